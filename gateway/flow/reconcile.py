"""Takes in what no push brought: w.c.s. does not retry, so every push may be lost."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from gateway.catalogue.catalogue import Teleservice
from gateway.core.errors import Rejected, Unavailable
from gateway.core.outcome import Misconfigured, Outcome, Refused
from gateway.core.request import EventKind, Json
from gateway.flow.due import DueFound, DueReader, MissingRequest, cursor_name
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.receive import Receiver
from gateway.sdk import beside
from gateway.sdk.patience import LONGEST_READING, Patience
from gateway.store import cursors, intake
from gateway.store.engine import Store
from gateway.store.intake import OTHER_COMMUNE, PassedOverRequest
from gateway.store.rows import Acceptance, Reception
from gateway.wire.event import CREATION, AnnouncedEvent
from gateway.wire.formdata import Formdata, Limits, formdata_of, parse_formdata
from gateway.wire.history import events_in, read_history
from gateway.wire.spool import NO_TEXTS, BodyReader, SpooledBody, read_document

log = structlog.get_logger()

#: Requests taken in at once. If none of so many can be read, the portal is unwell.
AT_ONCE = 5
#: A slow push must not be overtaken by its own reconciliation.
SETTLE = timedelta(minutes=1)


class _UnreadableFormdata(Exception):
    """A formdata cannot be read; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Takes in what is due at the portal and missing here. One per process."""

    store: Store
    far_ends: FarEnds
    receiver: Receiver
    environment: Environment
    limits: Limits
    settle: timedelta = SETTLE

    @property
    def due(self) -> DueReader:
        return DueReader(self.store, self.far_ends, self.settle)

    async def connect(self) -> None:
        """Note the routes that exist from now on. Earlier requests are not due to new routes."""
        places = [
            (commune.portal, commune.insee, slug)
            for commune in self.far_ends.catalogue.communes.values()
            for slug in commune.routes
        ]
        await self.store.write(intake.record_routes, places, self.environment.now())

    async def reconcile(self, portal: str, teleservice: Teleservice) -> int:
        """Read a form. Return how many requests and later events were taken in.

        The cursor moves to what was surely seen, and stays when the portal cannot be read. A
        request that cannot be taken is noted (`intake.passed_over`), and looked at again by each
        run.
        """
        if not teleservice.due:
            return 0
        await self.connect()
        slug, now = teleservice.slug, self.environment.now()
        taken, failure, patience = 0, None, Patience(LONGEST_READING)
        async for found in self.due.read(portal, teleservice, now):
            if not isinstance(found, DueFound):
                failure = getattr(found, "reason", "unreadable_answer")
                break
            await self._note(portal, slug, found)
            more, failure = await self._receive(portal, slug, found.missing)
            taken += more
            if failure is None and patience.over:
                failure = "poll_too_long"
            if failure is not None:
                break
        name, reached = cursor_name(portal, slug), (now - self.settle).isoformat()
        if failure is None:
            await self.store.write(cursors.move, name, reached, now, None)
        else:
            cursor = await self.store.read(cursors.get, name)
            value = None if cursor is None else cursor.value
            await self.store.write(cursors.move, name, value, now, failure)
        if taken or failure:
            log.warning(
                "reconcile.found", portal=portal, teleservice=slug, taken=taken, failure=failure
            )
        return taken

    async def preview(
        self, portal: str, slug: str, item: MissingRequest
    ) -> list[tuple[EventKind, datetime, str | None]]:
        """List what would be taken of a request, or why not: (kind, time, code of the refusal)."""
        return await _Recovery(self, portal, slug, item).preview()

    async def left(self, portal: str, slug: str) -> tuple[str | None, list[PassedOverRequest]]:
        """Return why the last run could not read the form (None: it could), and the requests passed
        over."""
        cursor = await self.store.read(cursors.get, cursor_name(portal, slug))
        passed = await self.store.read(intake.passed_over, portal, slug)
        return None if cursor is None else cursor.failure, passed

    async def _note(self, portal: str, slug: str, found: DueFound) -> None:
        if found.placed:
            await self.store.write(intake.place_events, found.placed)
        if found.settled:
            await self.store.write(intake.remove, portal, slug, found.settled)
        for ref, commune, code in found.refused:
            await self._pass_over(portal, slug, ref, commune, code)

    async def _pass_over(
        self,
        portal: str,
        slug: str,
        ref: str,
        commune: str | None,
        code: str,
        *,
        later: bool = False,
    ) -> None:
        now = self.environment.now()
        await self.store.write(intake.pass_over, portal, slug, ref, code, commune, now, later)
        log.warning("reconcile.passed_over", portal=portal, teleservice=slug, code=code)

    async def _receive(
        self, portal: str, slug: str, missing: Sequence[MissingRequest]
    ) -> tuple[int, str | None]:
        """Take requests in. Return how many events, and why no more can be taken now."""
        taken = 0
        for start in range(0, len(missing), AT_ONCE):
            some = [_Recovery(self, portal, slug, one) for one in missing[start : start + AT_ONCE]]
            results = await asyncio.gather(*[one.receive() for one in some])
            taken += sum(one.taken for one in results)
            if len(results) == AT_ONCE and all(one.passing for one in results):
                return taken, results[0].code
            for item, result in zip((one.item for one in some), results, strict=True):
                if result.code is not None:
                    later = result.taken > 0 or not item.created
                    await self._pass_over(
                        portal, slug, item.ref, item.commune, result.code, later=later
                    )
                elif not item.created:
                    await self.store.write(intake.remove, portal, slug, [item.ref])
        return taken, None


@dataclass(frozen=True, slots=True)
class _Result:
    """The number of new events of one request, and the reason why others were not taken.

    `passing`: they may be taken soon. `over`: nothing more is to be taken.
    """

    taken: int
    code: str | None = None
    passing: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Recovery:
    """Takes one request in."""

    reconciler: Reconciler
    portal: str
    slug: str
    item: MissingRequest

    async def receive(self) -> _Result:
        """Take the events in order. An event that can never be taken is passed over alone."""
        taken, code = 0, None
        if self.item.created:
            created = await self._tried(self._create())
            if created.over or created.code is not None:
                return created
            taken = created.taken
        for at, event in self.item.events:
            result = await self._tried(self._event(at, event))
            taken, code = taken + result.taken, code or result.code
            if result.over or result.passing:
                return dataclasses.replace(result, taken=taken)
        return _Result(taken, code)

    async def _tried(self, work: Awaitable[Reception]) -> _Result:
        try:
            reception = await work
        except Rejected as error:
            return _Result(0, error.code)
        except Unavailable:
            return _Result(0, "unavailable", passing=True)
        except _UnreadableFormdata as error:
            match error.outcome:
                case Refused("unknown_formdata"):
                    return _Result(0, over=True)  # deleted since the list was made
                case Refused(reason) | Misconfigured(reason):
                    return _Result(0, reason)
                case other:
                    reason = getattr(other, "reason", "unreadable_answer")
                    return _Result(0, reason, passing=True)
        return _Result(int(reception is Reception.NEW), over=reception is Reception.ERASED)

    async def preview(self) -> list[tuple[EventKind, datetime, str | None]]:
        """List the events to take, each with the code of its refusal if there is one. Nothing is
        taken. What the list tells by itself is not read."""
        looked: list[tuple[EventKind, datetime, str | None]] = []
        if self.item.created:
            code = None
            if self._handed_over_at is not None:
                _, code = await self._read_only(self._handed_over)
            looked.append((EventKind.CREATION, self.item.due_at, code))
        for at, event in self.item.events:
            brings, code = True, None
            told_by_list = event.kind is not EventKind.MESSAGE or bool(event.message)
            if event.kind is EventKind.CHANGE or not told_by_list:
                brings, code = await self._read_only(partial(self._brought, at=at, event=event))
            if brings:
                looked.append((event.kind, at, code))
        return looked

    async def _read_only(
        self, read: Callable[[BodyReader], Awaitable[object]]
    ) -> tuple[bool, str | None]:
        """Return whether a read gives something, or the code of its refusal."""
        gave = False

        async def tried() -> Reception:
            nonlocal gave
            with self._body_reader() as body_reader:
                gave = bool(await read(body_reader))
            return Reception.SAME

        code = (await self._tried(tried())).code
        return gave or code is not None, code

    @property
    def _handed_over_at(self) -> datetime | None:
        """Return the time of its hand-over, if the citizen changed it since."""
        edits = [at for at, event in self.item.events if event.kind is EventKind.CHANGE]
        entries = read_history(self.item.row.get("evolution")) if edits else ()
        return max((one.at for one in entries if one.at < edits[0]), default=None)

    async def _handed_over(self, body_reader: BodyReader) -> Formdata:
        return await self._read(body_reader, self._handed_over_at)

    async def _create(self) -> Reception:
        """Take the request in as it was handed over, before the citizen's later changes."""
        with self._body_reader() as body_reader:
            # A push may have brought it meanwhile: SAME, or CONFLICT when its values differ by now.
            formdata = await self._handed_over(body_reader)
            return (await self._receive(formdata, CREATION, None)).reception

    async def _event(self, at: datetime, event: AnnouncedEvent) -> Reception:
        reception = Reception.SAME
        with self._body_reader() as body_reader:
            for formdata, told in await self._brought(body_reader, at, event):
                reception = (await self._receive(formdata, told, at)).reception
        return reception

    async def _brought(
        self, body_reader: BodyReader, at: datetime, event: AnnouncedEvent
    ) -> list[tuple[Formdata, AnnouncedEvent]]:
        """List what to receive for an entry of the history. Nothing when the entry says nothing, or
        when a later one says it all. Raises Rejected as a push would be."""
        match event.kind:
            case EventKind.CHANGE:
                try:
                    return [(await self._read(body_reader, at), event)]
                except Rejected as error:
                    if error.code == OTHER_COMMUNE and self._edited_since(at):
                        return []
                    raise
            case EventKind.DOCUMENT:
                documents = await self._documents(body_reader, at)
                return [(documents, event)] if documents.files else []
            case EventKind.MESSAGE:
                # Lists show no files. Documents come first: a known message is not looked at again.
                documents = await self._documents(body_reader, at)
                along = [(documents, AnnouncedEvent(EventKind.DOCUMENT))] if documents.files else []
                return along + ([(self._bare({}, None), event)] if event.message else [])
            case _:
                return [(self._bare({}, None), event)]

    def _edited_since(self, at: datetime) -> bool:
        events = events_in(read_history(self.item.row.get("evolution")), self._teleservice.events)
        return any(e.at > at and told.kind is EventKind.CHANGE for e, told in events)

    @property
    def _teleservice(self) -> Teleservice:
        return self.reconciler.far_ends.catalogue.portals[self.portal].teleservices[self.slug]

    async def _receive(
        self, formdata: Formdata, event: AnnouncedEvent, at: datetime | None
    ) -> Acceptance:
        catalogue, receiver = self.reconciler.far_ends.catalogue, self.reconciler.receiver
        route = catalogue.route(self.portal, self.item.commune, self.slug)
        return await receiver.receive(route, formdata, event, at=at, pulled=True)

    def _body_reader(self) -> BodyReader:
        return BodyReader(self.reconciler.far_ends.catalogue.settings.data_dir)

    async def _read(self, body_reader: BodyReader, at: datetime | None) -> Formdata:
        """Return the whole formdata, as it was `at` that time if given. Raises Rejected when it was
        filled in for another commune, as its push would be."""
        body = await self._body(body_reader, at)
        catalogue, limits = self.reconciler.far_ends.catalogue, self.reconciler.limits

        def parsed() -> Formdata:
            made = parse_formdata(body.text, "application/json", limits=limits, texts=body.texts)
            catalogue.commune_of(self._teleservice, made.document, self.item.commune)
            # Its address is the one that was read, whatever name the portal gives itself.
            return dataclasses.replace(made, api_url=self._address())

        return await beside(body.size, parsed)

    async def _body(self, body_reader: BodyReader, at: datetime | None) -> SpooledBody:
        client = self.reconciler.far_ends.portals[self.portal]
        address = self._address()
        body = await client.formdata(address, body_reader, at=at)
        if at is not None and isinstance(body, Refused) and body.reason == "refused":
            body = await client.formdata(address, body_reader)  # it has no values from that time
        if not isinstance(body, SpooledBody):
            raise _UnreadableFormdata(body)
        return body

    def _address(self) -> str:
        return self.reconciler.far_ends.portals[self.portal].api_url(self.slug, self.item.ref)

    async def _documents(self, body_reader: BodyReader, at: datetime) -> Formdata:
        """Return the request without its fields, with the files of one entry of its history."""
        body = await self._body(body_reader, None)
        extra: dict[str, Json] = {}
        for entry in read_document(body.text).get("evolution") or []:
            if [one.at for one in read_history([entry])] != [at]:
                continue
            for part in entry.get("parts") or []:
                if isinstance(part, dict) and part.get("type") == "workflow-attachment":
                    name = f"document_{len(extra) + 1}" if extra else "document"
                    extra[name] = {**part, "content_is_base64": True}
        return self._bare(extra, body)

    def _bare(self, extra: Mapping[str, Json], body: SpooledBody | None) -> Formdata:
        """Return the request without its fields, as an event that is pushed without its form."""
        names = ("id", "uuid", "display_id", "url", "receipt_time")
        document: dict[str, Any] = {name: self.item.row.get(name) for name in names}
        document["api_url"] = self._address()
        return formdata_of(
            document | {"fields": {}, "extra": dict(extra)},
            limits=self.reconciler.limits,
            texts=NO_TEXTS if body is None else body.texts,
            size=0 if body is None else len(body.text),
        )
