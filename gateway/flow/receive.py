"""Takes in a verified event of the portal: stores the request and the deliveries it requires."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from gateway.catalogue.catalogue import Route
from gateway.core.content import Content
from gateway.core.difference import difference
from gateway.core.errors import Rejected, Unavailable
from gateway.core.ids import is_ours, reference, request_id
from gateway.core.outcome import Misconfigured, Refused
from gateway.core.request import Event, EventKind, ServiceRequest
from gateway.flow.antivirus import Antivirus
from gateway.flow.attachments import Attachments
from gateway.flow.canonical import attachments_of, event_key, request_of, set_aside
from gateway.flow.commune_proof import CommuneProof
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds
from gateway.flow.owing import owed
from gateway.sdk import beside
from gateway.store import accepting, installation, requests
from gateway.store.engine import Store
from gateway.store.objects import UPLOAD_PATIENCE
from gateway.store.rows import Acceptance, Incoming, Reception
from gateway.wire.addresses import own_api_url, own_file_url
from gateway.wire.event import AnnouncedEvent
from gateway.wire.event_content import content_of
from gateway.wire.files import DANGEROUS, IncomingFile, agrees, sniff, true_type
from gateway.wire.formdata import Formdata
from gateway.wire.history import instant_of
from gateway.wire.spool import BodyReader

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SpentNonce:
    """The nonce of a signed call, which must not come again before `until`."""

    key: str
    until: datetime


@dataclass(slots=True)
class References:
    """The key of our references, read once per process."""

    store: Store
    _key: bytes | None = None

    async def key(self) -> bytes:
        """Raises Unavailable."""
        if self._key is None:
            self._key = await self.store.write(installation.reference_key)
        return self._key


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes the portal's events in. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    wake: Callable[..., None]
    attachments: Attachments
    antivirus: Antivirus
    references: References
    hasher: AccountHasher | None = None

    @property
    def commune_proof(self) -> CommuneProof:
        return CommuneProof(self.store, self.far_ends)

    async def receive(
        self,
        route: Route,
        formdata: Formdata,
        event: AnnouncedEvent,
        *,
        at: datetime | None = None,
        nonce: SpentNonce | None = None,
        vouched: bool = True,
        pulled: bool = False,
        aside: bool = False,
        traceparent: str | None = None,
    ) -> Acceptance:
        """Store one event and its deliveries in one transaction.

        `at` is the event's instant in the formdata's history; it is looked up there when not given.
        `pulled`: no push brought it, so the GRU may have it from before a loss and is asked first.
        `vouched`: the portal itself says whose the formdata is; otherwise it is asked where that
        matters. `aside`: the event is of a request that was set aside because it named another's
        formdata. `traceparent`: the caller's place in a trace.

        On NEW or SAME the request is on disk. Raises Rejected: 400 for an id of our own form or an
        address on another host than the portal's, 403 for an address of another formdata, 410 for a
        commune that has left, 4xx for files. Raises Unavailable when the portal cannot be asked for
        a file or a commune, the disk is full, or the database or object store does not answer.
        """
        formdata = self._own(route, formdata)
        if event.kind is EventKind.CREATION and is_ours(formdata.ref):
            raise Rejected(400, "bad_id", "L'identifiant (id) a la forme de ceux de la passerelle.")
        if event.kind is EventKind.DOCUMENT and not formdata.files:
            raise Rejected(400, "missing_file", "L'événement « document » n'a pas de fichier.")
        if not vouched and any(file.content is None for file in formdata.files):
            # Its files are about to be fetched with our rights.
            await self.commune_proof.require(route, formdata.ref)
            vouched = True
        with BodyReader(self.far_ends.catalogue.settings.data_dir) as body_reader:
            files = [
                await self._content(route.portal, file, body_reader) for file in formdata.files
            ]
            await self._scan(files)
            if files:
                formdata = dataclasses.replace(formdata, files=tuple(files))
            incoming = await self._incoming(
                route, formdata, event, at, nonce, vouched=vouched, pulled=pulled, aside=aside
            )
            incoming = dataclasses.replace(incoming, traceparent=traceparent)
            await self.far_ends.departures.check(self.store, route.commune)
            self.environment.crash("receive.before_commit")
            acceptance = await self._accept(incoming)
        self.environment.crash("receive.after_commit")
        if acceptance.reception is not Reception.NEW:
            await self._drop(incoming.blobs)
        log.info(
            "request.received",
            reception=acceptance.reception.value,
            request=acceptance.request.id if acceptance.request else None,
            portal=route.portal,
            commune=route.commune,
            teleservice=route.teleservice,
            kind=event.kind.value,
            files=len(files),
        )
        if acceptance.reception is Reception.NEW:
            self.wake(route.gru.lane_name)
        return acceptance

    async def _incoming(
        self,
        route: Route,
        formdata: Formdata,
        event: AnnouncedEvent,
        at: datetime | None,
        nonce: SpentNonce | None,
        *,
        vouched: bool,
        pulled: bool,
        aside: bool,
    ) -> Incoming:
        """Make what is stored of an event. Puts its files in their place."""
        size, now = formdata.size, self.environment.now()
        if event.kind is not EventKind.CREATION and at is None:
            portal = self.far_ends.catalogue.portals[route.portal]
            statuses = portal.teleservices[route.teleservice].events
            at = await beside(size, partial(instant_of, formdata.history, event, statuses))
        attachments, contents = attachments_of(formdata.files)
        content = await beside(size, partial(content_of, formdata, event))
        place = (route.portal, route.commune, route.teleservice)
        key = await self.references.key()
        made = partial(
            request_of,
            reference(key, *place, formdata.ref, formdata.uuid or ""),
            place,
            formdata,
            Event(event_key(event, content, at), event.kind, event.message),
            attachments,
            now,
        )
        request = await beside(size, made)
        if aside:
            request = set_aside(request)
        if event.kind is EventKind.CHANGE:
            request = await self._compared(request, size)
        marks, mark = self._marks(request)
        blobs = await self._put(contents, request, marks, mark)
        adapter = self.far_ends.adapters.get(route.gru.lane_name)
        capabilities = None if adapter is None else adapter.capabilities
        event_id = self.environment.new_id()
        owes = partial(owed, route, request, capabilities, self.environment.new_id, asks=pulled)
        return Incoming(
            request=request,
            event_id=event_id,
            digest=content,
            told_key=event.key,
            entry_at=at,
            gru=route.gru.name,
            received_at=now,
            deliveries=await beside(size, owes),
            blobs=blobs,
            nonce=nonce.key if nonce else None,
            nonce_until=nonce.until if nonce else None,
            marks=marks,
            mark=mark,
            vouched=vouched,
            spare_id=request_id(now, self.environment.entropy()),
        )

    async def _accept(self, incoming: Incoming) -> Acceptance:
        """Store it. Where another commune named the formdata, the portal says whose it is."""
        acceptance = await self.store.write(accepting.accept, incoming)
        known, request = acceptance.request, incoming.request
        if await self.commune_proof.displaces(known, request):
            again = dataclasses.replace(incoming, vouched=True)
        elif not incoming.vouched and await self.commune_proof.is_anothers(known, request):
            again = dataclasses.replace(incoming, request=set_aside(request))
        else:
            return acceptance
        again = dataclasses.replace(again, nonce=None, nonce_until=None)  # the nonce is spent
        return await self.store.write(accepting.accept, again)

    def _own(self, route: Route, formdata: Formdata) -> Formdata:
        """Replace the addresses in the formdata by those that we make ourselves."""
        base = self.far_ends.catalogue.portals[route.portal].base_url
        place = (base, route.teleservice, formdata.ref)
        api_url = own_api_url(*place, formdata.api_url)
        if api_url == formdata.api_url and all(file.url is None for file in formdata.files):
            return formdata
        files = tuple(
            file
            if file.url is None or file.content is not None
            else dataclasses.replace(file, url=own_file_url(*place, file.url))
            for file in formdata.files
        )
        return dataclasses.replace(formdata, api_url=api_url, files=files)

    async def _compared(self, request: ServiceRequest, size: int) -> ServiceRequest:
        """Return the request with what the citizen changed since its last form."""
        last = await self.store.read(
            requests.last_fields, request.portal, request.teleservice, request.ref
        )
        if not request.fields:
            return request
        changes = await beside(size, partial(difference, last, request.fields))
        return dataclasses.replace(request, changes=tuple(changes))

    async def _put(
        self,
        contents: Mapping[str, Content],
        request: ServiceRequest,
        marks: tuple[str, ...],
        mark: str | None,
    ) -> Mapping[str, Content]:
        """Put the files in their place, while the portal waits. Files of an erased person are never
        put."""
        if not contents or not self.attachments.external:
            return contents
        if await self.store.read(accepting.erased, request, marks, mark):
            return contents
        return await self.attachments.put(contents, UPLOAD_PATIENCE, request_id=request.id)

    async def _drop(self, blobs: Mapping[str, Content]) -> None:
        """Drop files. The answer stands even if this fails: a sweep deletes the rest."""
        with contextlib.suppress(Unavailable):
            await self.attachments.drop(blobs.values())

    def _marks(self, request: ServiceRequest) -> tuple[tuple[str, ...], str | None]:
        if self.hasher is None:
            return (), None
        account = None if request.user is None else request.user.uuid
        return self.hasher.marks_of(account, request.portal, request.teleservice, request.ref)

    async def _scan(self, files: Sequence[IncomingFile]) -> None:
        """Raises Rejected 415 for a file in which a virus was found, and Unavailable."""
        contents = [file.content for file in files if file.content is not None]
        infected = await self.antivirus.infected(contents)
        for file in files:
            if file.content is not None and file.content.sha256 in infected:
                raise Rejected(
                    415,
                    "virus_found",
                    f"L'antivirus a reconnu un virus dans le fichier du champ {file.field} :"
                    " il est refusé.",
                )

    async def _content(
        self, portal: str, file: IncomingFile, body_reader: BodyReader
    ) -> IncomingFile:
        """Return the file with its bytes, fetched from the portal when only an address came."""
        content = file.content
        content_type = file.content_type
        if content is None:
            if file.url is None:
                raise Rejected(
                    400, "file_without_content", f"Le fichier du champ {file.field} est vide."
                )
            got = await self.far_ends.portals[portal].download(file.url, body_reader)
            if isinstance(got, Misconfigured | Refused):
                raise Rejected(
                    400,
                    "file_not_fetched",
                    f"Le fichier du champ {file.field} ne peut être lu sur le portail"
                    f" ({got.reason}).",
                )
            if not isinstance(got, tuple):
                raise Unavailable("a file of the request cannot be read from the portal now")
            content, told = got
            content_type = content_type if content_type != "application/octet-stream" else told
        shown = sniff(content.head, content.tail)
        if shown in DANGEROUS and not agrees(content_type, shown):
            raise Rejected(
                415,
                "dangerous_file",
                f"Le fichier du champ {file.field} n'est pas du type annoncé.",
            )
        # A HEIC photo that a phone names JPEG must not cost the citizen the request.
        content_type = true_type(content_type, content.head, content.tail)
        return dataclasses.replace(file, content=content, content_type=content_type)
