"""Plays a scenario on the test instances of a commune and the portal: really sent, then tidied up.

What it creates is in a temporary database. An instance marked production is refused before any
call.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from gateway.catalogue.catalogue import Catalogue, Route, self_contained
from gateway.catalogue.insee import unknown_communes
from gateway.contracts.live_texts import say as words
from gateway.contracts.texts import say
from gateway.core.content import InMemory
from gateway.core.delivery import FINAL, NEEDS_A_PERSON, Kind, State
from gateway.core.errors import GatewayError, NotFound, Rejected
from gateway.core.lane_policy import CALLS
from gateway.core.messages import Message
from gateway.core.outcome import Accepted, ErasureAnswer, ErasureResult, Found
from gateway.core.request import EventKind
from gateway.flow.engine import Engine, open_engine
from gateway.sdk import Adapter, Files
from gateway.store import requests
from gateway.store.engine import Database
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import StoredRequest, Trace
from gateway.store.schema import upgrade
from gateway.wire.event import CREATION, AnnouncedEvent
from gateway.wire.files import IncomingFile
from gateway.wire.formdata import Formdata, parse_formdata
from gateway.wire.portal import Page, PortalClient
from gateway.wire.spool import SpooledBody

#: Latest formdata of the portal searched for one of the commune.
LOOK_AT = 50
MESSAGE = "Message d'essai de la recette : ne pas tenir compte."
FILE = b"Document d'essai de la recette.\n"
#: A picture of one pixel, which any system takes.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Production(GatewayError):
    """A live run was asked for on an instance that is not marked `environment: test`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `skipped` is what the GRU cannot do, `todo` what a person has to do."""

    teleservice: str
    name: Message
    result: Literal["ok", "fault", "skipped", "todo"]
    detail: str | Message = ""


#: Called with the GRU's reference once the request is there, to have it moved.
Move = Callable[[str], Awaitable[None]]
#: Takes the GRU's own calls while open; gives the address before their path.
Listen = Callable[[Engine], AbstractAsyncContextManager[str]]
#: Called with a French sentence: what a person has to do while the scenario waits.
Ask = Callable[[Message], None]


class _Stop(Exception):
    """The rest of the scenario makes no sense."""


async def run_live(
    catalogue: Catalogue,
    commune: str,
    *,
    teleservice: str | None = None,
    formdata: str | None = None,
    wait: float = 0,
    move: Move | None = None,
    listen: Listen | None = None,
    ask: Ask = lambda _: None,
) -> list[Step]:
    """Play the scenario on each route of a commune (or the one of `teleservice`).

    `formdata` is the id of the test portal's formdata to use; else the latest of the commune. After
    `move`, the GRU has `wait` seconds to say something; `listen` takes its calls. Raises
    Production, and NotFound.
    """
    known = catalogue.communes.get(commune)
    if known is None:
        names = {insee: one.name for insee, one in catalogue.communes.items()}
        raise unknown_communes([commune], names)
    routes = [r for r in known.routes.values() if teleservice in (None, r.teleservice)]
    if not routes:
        if teleservice is None:
            raise NotFound(say("no_route_at_all", name=known.name))
        raise NotFound(say("no_route_for", name=known.name, slug=teleservice))
    for route in routes:
        _refuse_production(catalogue, route)
    awake = dataclasses.replace(known, paused=False)
    alone = dataclasses.replace(catalogue, communes={commune: awake})
    steps: list[Step] = []
    with TemporaryDirectory(prefix="gru-gateway-live-") as folder:
        url = f"sqlite:///{Path(folder) / 'live.db'}"
        await asyncio.to_thread(upgrade, url)
        database = Database(url)
        try:
            async with open_engine(self_contained(alone), database) as engine:
                work = asyncio.create_task(engine.lanes.run(engine.lane_names()))
                try:
                    for route in routes:
                        scenario = _Scenario(engine, route, steps, wait, move, listen, ask)
                        await scenario.run(formdata)
                finally:
                    await engine.lanes.stop(5)
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        finally:
            database.close()
    return steps


def _refuse_production(catalogue: Catalogue, route: Route) -> None:
    for production, what in (
        (catalogue.portals[route.portal].production, say("the_portal", name=route.portal)),
        (
            route.gru.production,
            say("the_gru", name=route.gru.name, commune=route.commune),
        ),
    ):
        if production:
            raise Production(say("is_production", what=what))


@dataclass(slots=True)
class _Scenario:
    engine: Engine
    route: Route
    steps: list[Step]
    wait: float
    move: Move | None
    listen: Listen | None
    ask: Ask
    request: str = ""
    #: Events whose reports an earlier step named.
    told: set[str] = field(default_factory=set)
    #: Did the portal hear of it?
    reported: bool = False

    @property
    def adapter(self) -> Adapter:
        return self.engine.adapters[self.route.gru.lane_name]

    @property
    def client(self) -> PortalClient:
        return self.engine.portals[self.route.portal]

    def step(
        self,
        name: Message,
        result: Literal["ok", "fault", "skipped", "todo"],
        detail: str | Message = "",
    ) -> None:
        self.steps.append(Step(self.route.teleservice, name, result, detail))

    async def run(self, ref: str | None) -> None:
        try:
            await self._check()
            formdata = self._with_a_file(await self._formdata(ref))
            kept = await self._create(formdata)
        except _Stop:
            return
        try:
            await self._files(formdata)
            await self._find(kept)
            await self._message(formdata)
            await self._document(formdata)
            await self._called(kept)
            await self._status(kept)
        finally:
            await self._tidy_up(formdata, kept)

    async def _check(self) -> None:
        notes = await self.adapter.check()
        faults = tuple(note.said for note in notes if note.level == "fault")
        if faults:
            self.step(words("gru_access"), "fault", words("that", what=faults))
            raise _Stop
        noted = tuple(note.said for note in notes)
        self.step(words("gru_access"), "ok", words("that", what=noted))

    async def _formdata(self, ref: str | None) -> Formdata:
        slug = self.route.teleservice
        for one in [ref] if ref is not None else await self._latest():
            body = await self.client.formdata(self.client.api_url(slug, one))
            if not isinstance(body, SpooledBody):
                if ref is not None:
                    self.step(words("portal_request"), "fault", _reason(body))
                    raise _Stop
                continue
            teleservice = self.engine.catalogue.portals[self.route.portal].teleservices[slug]
            try:
                if teleservice.commune_path is not None:
                    code = teleservice.code_in(json.loads(body.text))
                    if self.engine.catalogue.insee(code) != self.route.commune:
                        continue
                parsed = parse_formdata(body.text, "application/json", limits=self.engine.limits)
            except Rejected as error:
                self.step(words("portal_request"), "fault", error.text)
                raise _Stop from None
            self.step(words("portal_request"), "ok", f"formdata {one}")
            return parsed
        what = words("no_request_of", slug=slug, commune=self.route.commune)
        self.step(words("portal_request"), "fault", what)
        raise _Stop

    async def _latest(self) -> list[str]:
        """Return the ids of the form's last formdata, latest first."""
        offset = 0
        found: list[str] = []
        while True:
            page = await self.client.listing(self.route.teleservice, None, offset, LOOK_AT)
            if not isinstance(page, Page):
                self.step(words("portal_access"), "fault", _reason(page))
                raise _Stop
            found = (found + [str(row["id"]) for row in page.rows if "id" in row])[-LOOK_AT:]
            if not page.more or not page.rows:
                count = words("requests", count=offset + len(page.rows))
                self.step(words("portal_access"), "ok", count)
                return found[::-1]
            offset += len(page.rows)

    def _with_a_file(self, formdata: Formdata) -> Formdata:
        """Add a picture of ours to the formdata, if it has no file, the GRU takes files and the
        mapping sends some."""
        choice = self.route.mapping.attachments
        if self.adapter.capabilities.files is Files.NEVER or self._sent(formdata):
            return formdata
        names = ["piece"] if choice.patterns is None else [name for name, _ in choice.patterns]
        plain = next((name for name in names if name.isidentifier()), None)
        if plain is None:
            return formdata
        file = IncomingFile(plain, "recette.png", "image/png", InMemory(PICTURE))
        fields = {**formdata.fields, plain: {"file": len(formdata.files)}}
        return dataclasses.replace(formdata, fields=fields, files=(*formdata.files, file))

    def _sent(self, formdata: Formdata) -> list[str]:
        """Return the names of the creation's files that the mapping sends."""
        patterns = self.route.mapping.attachments.patterns
        return [
            file.filename
            for file in formdata.files
            if patterns is None or any(pattern.fullmatch(file.field) for _, pattern in patterns)
        ]

    async def _files(self, formdata: Formdata) -> None:
        """Did the files of the creation arrive, whenever this GRU takes them?"""
        name = words("files")
        sent = self._sent(formdata)
        if self.adapter.capabilities.files is Files.NEVER:
            self.step(name, "skipped", words("takes_none"))
        elif not sent:
            self.step(name, "skipped", words("sends_no_file"))
        else:
            trace = await self._trace()
            left = [
                one
                for one in trace.deliveries
                if one.kind is not Kind.REPORT and one.state is not State.DONE
            ]
            told = await self._why(left[0]) if left else ", ".join(sent)
            self.step(name, "fault" if left else "ok", told)

    async def _create(self, formdata: Formdata) -> StoredRequest:
        one = await self._send(words("creation"), formdata, CREATION, Kind.SUBMIT)
        trace = await self._trace()
        if one is None or one.state is not State.DONE:
            raise _Stop
        await self._reported(trace, "gateway", words("sent_back"))
        return trace.request

    async def _send(
        self,
        name: Message,
        formdata: Formdata,
        event: AnnouncedEvent,
        kind: Kind,
    ) -> Delivery | None:
        """Give an event to the gateway, and wait for its result."""
        try:
            acceptance = await self.engine.receiver.receive(self.route, formdata, event)
        except GatewayError as error:
            self.step(name, "fault", error.said)
            return None
        if acceptance.request is None:
            self.step(name, "fault", acceptance.reception.value)
            return None
        self.request = acceptance.request.id
        await self._settled()
        trace = await self._trace()
        ours = [d for d in trace.deliveries if d.event_id == acceptance.event_id]
        one = next((d for d in ours if d.kind is kind), None)
        if one is None:
            self.step(name, "fault", words("nothing_to_send"))
        elif one.state is State.DONE:
            number = trace.request.gru_reference or words("no_number")
            self.step(name, "ok", words("numbered", id=trace.request.id, number=number))
        else:
            self.step(name, "fault", await self._why(one))
        return one

    async def _settled(self) -> None:
        """Wait until everything was tried once, and what succeeded has gone on."""
        limit = time.monotonic() + self.route.gru.lane.timeout * CALLS + 10
        while time.monotonic() < limit:
            trace = await self._trace()
            if all(
                d.state in FINAL or d.state in NEEDS_A_PERSON or d.failures or not d.head
                for d in trace.deliveries
            ):
                return
            await asyncio.sleep(0.02)

    async def _trace(self) -> Trace:
        trace = await self.engine.store.read(requests.trace, self.request)
        if trace is None:
            raise LookupError(self.request)
        return trace

    async def _why(self, one: Delivery) -> str:
        """Return why it is not through, in the far end's words: both ends are test instances."""
        said = await self.engine.store.read(requests.answers, self.request)
        answer = next((s.answer for s in reversed(said) if s.delivery_id == one.id), "")
        return " ".join(f"{one.reason} {one.detail} {answer}".split())

    async def _reported(self, trace: Trace, origin: str, name: Message) -> bool:
        events = {
            event.id: event
            for event in trace.events
            if event.origin == origin and event.id not in self.told
        }
        reports = [d for d in trace.deliveries if d.kind is Kind.REPORT and d.event_id in events]
        self.told |= {*events}
        self.reported |= bool(reports)
        for one in reports:
            detail = events[one.event_id].status or "note"
            if one.state is not State.DONE:
                why = await self._why(one)
                self.step(name, "fault", words("not_through", status=detail, why=why))
                return True
        if reports:
            told = ", ".join(events[one.event_id].status or "note" for one in reports)
            self.step(name, "ok", told)
        return bool(reports)

    async def _find(self, kept: StoredRequest) -> None:
        name = words("find")
        if not self.adapter.capabilities.find:
            self.step(name, "skipped", words("not_asked"))
            return
        found = await self.adapter.find(kept.id, kept.gru_reference)
        if isinstance(found, Found):
            self.step(name, "ok", found.reference or "")
        else:
            self.step(name, "fault", f"{type(found).__name__} {_reason(found)}".strip())

    async def _message(self, formdata: Formdata) -> None:
        if EventKind.MESSAGE not in self.adapter.capabilities.amends:
            self.step(words("message"), "skipped", words("takes_none"))
            return
        event = AnnouncedEvent(EventKind.MESSAGE, f"recette-message-{self.request}", MESSAGE)
        await self._send(words("message"), formdata, event, Kind.AMEND)

    async def _document(self, formdata: Formdata) -> None:
        if EventKind.DOCUMENT not in self.adapter.capabilities.amends:
            self.step(words("document"), "skipped", words("takes_none"))
            return
        file = IncomingFile("extra.piece", "recette.txt", "text/plain", InMemory(FILE))
        alone = dataclasses.replace(
            formdata, fields={}, workflow_fields={}, extra={"piece": {"file": 0}}, files=(file,)
        )
        event = AnnouncedEvent(EventKind.DOCUMENT, f"recette-document-{self.request}")
        await self._send(words("document"), alone, event, Kind.AMEND)

    async def _called(self, kept: StoredRequest) -> None:
        """Wait for the GRU's own call, where it can reach us."""
        name = words("called")
        gru = self.route.gru
        if not self.adapter.capabilities.webhook:
            self.step(name, "skipped", words("calls_not"))
            return
        path = f"/gru/v1/communes/{gru.commune}/webhooks/{gru.name}"
        if self.listen is None:
            what = words("try_listen", path=path)
            self.step(name, "todo", what)
            return
        async with self.listen(self.engine) as base:
            number = kept.gru_reference or kept.id
            self.ask(words("have_it_call", url=f"{base}{path}", number=number))
            if await self._heard(kept, name):
                return
        seconds = f"{self.wait:.0f}"
        self.step(name, "fault", words("no_call", url=f"{base}{path}", seconds=seconds))

    async def _status(self, kept: StoredRequest) -> None:
        name = words("status")
        if not self.adapter.capabilities.statuses:
            self.step(name, "skipped", words("not_polled"))
            return
        self.ask(words("change_status", number=kept.gru_reference or kept.id))
        if await self._heard(kept, name, poll=True):
            return
        what = words("said_nothing")
        self.step(name, "skipped", what)

    async def _heard(self, kept: StoredRequest, name: Message, *, poll: bool = False) -> bool:
        """Have the request moved, and wait for the GRU to say so: is the portal told of it?"""
        if self.move is not None:
            await self.move(kept.gru_reference or "")
        limit = time.monotonic() + self.wait
        while True:
            if poll:
                await self.engine.changes.poll(self.route.gru)
            await self._settled()
            if await self._reported(await self._trace(), "gru", name):
                return True
            if time.monotonic() >= limit:
                return False
            await asyncio.sleep(min(1.0, max(0.02, self.wait / 10)))

    async def _tidy_up(self, formdata: Formdata, kept: StoredRequest) -> None:
        await self._tidy_up_gru(formdata, kept)
        if self.reported:
            where = formdata.url or formdata.ref
            what = words("keeps_trial", ref=formdata.ref, where=where)
            self.step(words("tidy_portal"), "todo", what)

    async def _tidy_up_gru(self, formdata: Formdata, kept: StoredRequest) -> None:
        name = words("tidy")
        capabilities = self.adapter.capabilities
        if capabilities.erase:
            outcome = await self.adapter.erase(kept.id, kept.gru_reference)
            if isinstance(outcome, Accepted):
                self.step(name, *made_of_trial(outcome))
                return
        if EventKind.CANCELLATION in capabilities.amends:
            event = AnnouncedEvent(EventKind.CANCELLATION, f"recette-annulation-{self.request}")
            await self._send(words("tidy_cancelled"), formdata, event, Kind.AMEND)
            return
        what = words("delete_by_hand", number=kept.gru_reference or kept.id)
        self.step(name, "todo", what)


def made_of_trial(outcome: Accepted) -> tuple[Literal["ok", "fault", "todo"], Message]:
    """Return what the GRU made of the trial's data, which it has taken."""
    answer = outcome.erasure or ErasureAnswer()
    match answer.result:
        case ErasureResult.KEPT:
            return "todo", words("kept_there", ground=answer.ground or "?")
        case ErasureResult.ABSENT:
            return "fault", words("absent_there")
        case ErasureResult.ANONYMISED:
            return "ok", words("anonymised_there")
        case _:
            return "ok", words("erased")


def _reason(outcome: object) -> str:
    told = (getattr(outcome, part, None) for part in ("reason", "detail", "answer"))
    return " ".join(" ".join(part for part in told if part).split())
