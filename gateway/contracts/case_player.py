"""Plays one case through the real code: receiver, outbox, mapping, adapter, portal client. Only the
far ends are simulated. Time stands still, so every run gives the same result."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.catalogue.catalogue import Catalogue, Route, self_contained
from gateway.contracts.case_bodies import EVENT_KEY, creation_of, event_of_case
from gateway.contracts.case_databases import CaseDatabase, Databases
from gateway.contracts.case_model import Given
from gateway.contracts.cases import Case
from gateway.contracts.fake_far_ends import (
    Constants,
    GruFarEnd,
    PortalFarEnd,
    PortalReport,
    RecordedCall,
)
from gateway.contracts.texts import say
from gateway.core.delivery import CLAIMABLE, Kind, State
from gateway.core.errors import Rejected
from gateway.core.messages import Message
from gateway.core.render import Unmappable, render
from gateway.core.request import EventKind, Json
from gateway.flow.engine import Engine, open_engine
from gateway.flow.environment import Environment
from gateway.sdk import (
    Adapter,
    Capabilities,
    Change,
    Changes,
    Document,
    Note,
    Outcome,
    Refused,
    Submission,
    Tracked,
)
from gateway.store import requests
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Trace
from gateway.wire.event import read_event
from gateway.wire.formdata import parse_formdata

NOW = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
#: Seconds for one case: the far ends answer at once.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class StoppedDelivery:
    """A delivery that did not go through. `fields` are targets that the mapping cannot fill."""

    state: str
    reason: str
    detail: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consequences:
    """The consequences. `problem` says why the case could not be played up to its question.
    `document` is what the mapping read for `event`; `words` are the GRU's statuses it judged."""

    calls: tuple[RecordedCall, ...] = ()
    told: tuple[PortalReport, ...] = ()
    stopped: StoppedDelivery | None = None
    problem: Message | None = None
    document: Json = None
    event: EventKind = EventKind.CREATION
    words: tuple[str, ...] = ()


async def play(case: Case, catalogue: Catalogue, route: Route, made: Databases) -> Consequences:
    """Play a case over one route of a catalogue."""
    ids = itertools.count(1)
    environment = Environment(
        now=lambda: NOW,
        chance=lambda: 0.0,
        entropy=lambda: 0,
        new_id=lambda: f"{next(ids):020x}",
        crash=lambda point: None,
    )
    constants = Constants(
        {EVENT_KEY: "{evenement}", NOW.isoformat().replace("+00:00", "Z"): "{maintenant}"}
    )
    gru = GruFarEnd(case.bench.answers, constants)
    portal = PortalFarEnd(constants)
    portals = {one.far_end for one in catalogue.portals.values()}
    async with (
        made.fresh() as database,
        open_engine(
            self_contained(catalogue),
            database,
            environment=environment,
            owner="case",
            transport=lambda far_end: portal if far_end in portals else gru,
            links=GivenLink(case.given.link),
        ) as engine,
    ):
        work = asyncio.create_task(engine.lanes.run(engine.lane_names()))
        try:
            async with asyncio.timeout(PATIENCE):
                return await _Play(case, engine, database, route, gru, portal, constants).run()
        except TimeoutError:
            return Consequences(problem=say("case_too_long", seconds=f"{PATIENCE:.0f}"))
        finally:
            await engine.lanes.stop(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class GivenLink:
    """The link that a case gives its citizen, whoever that is."""

    link: dict[str, Json] | None

    async def document(self, commune: str, account: str | None) -> dict[str, Json] | None:
        return self.link


@dataclass(slots=True)
class _Play:
    case: Case
    engine: Engine
    store: CaseDatabase
    route: Route
    gru: GruFarEnd
    portal: PortalFarEnd
    constants: Constants
    request: str = ""
    problem: Message | None = None

    @property
    def api_url(self) -> str:
        base = self.engine.catalogue.portals[self.route.portal].base_url.rstrip("/")
        return f"{base}/api/forms/{self.route.teleservice}/{self.case.formdata['id']}/"

    async def run(self) -> Consequences:
        given = self.case.given
        event = await self._push(creation_of(self.case, self.api_url))
        if event is None:
            return Consequences(problem=self.problem)
        if given.event is EventKind.CREATION and not given.returns:
            return await self._observed(EventKind.CREATION, event)
        trace = await self._trace()
        stopped = await self._stopped(trace, EventKind.CREATION, event)
        if stopped is not None:
            why = stopped.detail or stopped.reason
            return Consequences(problem=say("creation_fails", why=why))
        self.gru.calls.clear()
        if given.returns:
            return await self._returns(given)
        self.portal.told.clear()
        event = await self._push(event_of_case(self.case, self.api_url))
        if event is None:
            return Consequences(problem=self.problem)
        return await self._observed(given.event, event)

    # --- the portal speaks --------------------------------------------------------------------

    async def _push(self, body: dict[str, Json]) -> str | None:
        """Push a body; return the event's id once everything has settled, or None with `problem`
        set."""
        self.problem = None
        try:
            formdata = parse_formdata(
                json.dumps(body).encode(), "application/json", limits=self.engine.limits
            )
            event = read_event(formdata.extra)
            acceptance = await self.engine.receiver.receive(self.route, formdata, event)
        except Rejected as error:
            self.problem = say("push_refused", why=error.text)
            return None
        if acceptance.request is None or acceptance.event_id is None:
            self.problem = say("push_not_taken", why=acceptance.reception.value)
            return None
        self.request = acceptance.request.id
        self.constants.texts[self.request] = "{reference}"
        await self._settle()
        return acceptance.event_id

    async def _settle(self) -> None:
        """Work until nothing is under way: the rest waits for later, or for a person."""
        while True:
            self.store.written.clear()
            if not any(map(_under_way, await self.store.read(requests.deliveries, self.request))):
                return
            await self.store.written.wait()

    async def _trace(self) -> Trace:
        trace = await self.store.read(requests.trace, self.request)
        if trace is None:
            raise LookupError(self.request)
        return trace

    async def _observed(self, kind: EventKind, event: str) -> Consequences:
        stopped = await self._stopped(await self._trace(), kind, event)
        document = await self._body(event)
        return Consequences(
            calls=tuple(self.gru.calls),
            told=tuple(self.portal.told),
            stopped=stopped,
            document=document,
            event=kind,
        )

    async def _body(self, event: str) -> Json:
        """Return what the mapping reads of an event."""
        body = await self.store.read(requests.event_body, event)
        return body if body is None else {**body, "link": self.case.given.link}

    async def _stopped(self, trace: Trace, kind: EventKind, event: str) -> StoppedDelivery | None:
        for one in trace.deliveries:
            if one.event_id != event or one.state is State.DONE or one.kind is Kind.REPORT:
                continue
            fields: tuple[str, ...] = ()
            if one.reason == "unmappable":
                body = await self._body(event)
                rendered = render(self.route.mapping, body, kind)
                if isinstance(rendered, Unmappable):
                    fields = tuple(fault.target for fault in rendered.faults)
            return StoppedDelivery(one.state.value, one.reason, one.detail, fields)
        return None

    # --- the GRU speaks -----------------------------------------------------------------------

    async def _returns(self, given: Given) -> Consequences:
        lane = self.route.gru.lane_name
        speaking = ScriptedAdapter(self.engine.adapters[lane].context)
        self.engine.far_ends.adapters[lane] = speaking
        taker = self.engine.changes
        for n, word in enumerate(given.after, 1):
            at = NOW + timedelta(minutes=n)
            speaking.said = Change(f"avant-{n}", reference=self.request, status=word, at=at)
            await taker.poll(self.route.gru)
            await self._settle()
        self.portal.told.clear()
        documents: tuple[Document, ...] = ()
        if given.document is not None:
            file = given.document
            documents = (Document(file.filename, file.content_type, file.text.encode()),)
        speaking.said = Change(
            "cas",
            reference=self.request,
            status=given.status,
            message=given.message,
            public=given.public,
            at=NOW + timedelta(hours=1),
            documents=documents,
        )
        await taker.poll(self.route.gru)
        await self._settle()
        words = (*given.after, *([given.status] if given.status is not None else []))
        return Consequences(told=tuple(self.portal.told), words=words)


class ScriptedAdapter(Adapter):
    """The GRU's words, at the adapter's contract: each adapter's own tests cover its reading."""

    kind = "case"

    def __init__(self, context: Any) -> None:
        super().__init__(None, context)
        self.said = Change("")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(statuses=True)

    async def check(self) -> Sequence[Note]:
        return ()

    async def submit(self, submission: Submission) -> Outcome:
        return Refused("not_supported")

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        return Changes((self.said,), cursor)


def _under_way(one: Delivery) -> bool:
    if one.state is State.SENDING:
        return True
    return one.head and one.state in CLAIMABLE and one.next_at <= NOW
