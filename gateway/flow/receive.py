"""From a verified call of the portal to a request on disk, with what it makes us owe."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from gateway.catalogue.catalogue import Route
from gateway.core.content import Content, InMemory
from gateway.core.delivery import Kind
from gateway.core.difference import difference
from gateway.core.errors import Rejected, Unavailable
from gateway.core.ids import displaced_ref, is_ours, reference, request_id
from gateway.core.outcome import Misconfigured, Refused
from gateway.core.render import Rendered, render
from gateway.core.request import Attachment, Event, EventKind, Json, ServiceRequest
from gateway.flow.attachments import Attachments
from gateway.flow.claims import Claims
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.tombstone import Tombstones
from gateway.sdk import Files, beside
from gateway.store import accepting, installation, requests
from gateway.store.engine import Store
from gateway.store.objects import UPLOAD_PATIENCE
from gateway.store.outbox.rows import NewDelivery
from gateway.store.rows import Acceptance, Incoming, Reception, StoredRequest
from gateway.wire.addresses import own_api_url, own_file_url
from gateway.wire.event import Announced, read_event
from gateway.wire.files import IncomingFile, agrees, sniff
from gateway.wire.formdata import Formdata, content_of, sent_along
from gateway.wire.history import instant_of
from gateway.wire.spool import Inflow

log = structlog.get_logger()

#: What a citizen's photo or document must never turn out to be.
_DANGEROUS = frozenset({"text/html", "application/x-msdownload", "application/x-executable"})


@dataclass(frozen=True, slots=True)
class SpentNonce:
    """A signed call's nonce, and until when it must not come again."""

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
    references: References
    tombstones: Tombstones | None = None

    @property
    def claims(self) -> Claims:
        return Claims(self.far_ends)

    async def receive(
        self,
        portal: str,
        commune: str,
        teleservice: str,
        formdata: Formdata,
        *,
        nonce: SpentNonce | None = None,
        event: Announced | None = None,
        at: datetime | None = None,
        vouched: bool = True,
        pulled: bool = False,
        aside: bool = False,
    ) -> Acceptance:
        """Keep one event, and its deliveries, in one transaction.

        `pulled`: no push brought it, and the GRU may have it from before a loss: it is asked first.

        `event` replaces what the formdata's `extra` says; `at` is the instant of its entry in the
        formdata's history, looked for there when it is not given. `vouched`: the portal itself says
        that the formdata is the commune's; otherwise it is asked where that matters. What names
        another's formdata is kept aside, as if nobody had named it; `aside`: the event of a request
        that is.

        When this returns NEW or SAME the request is on disk. Raises Rejected (404 no route, 400 for
        a number of our own form, 4xx files, 403 for an address of another formdata, 400 for one of
        another host than the portal's) and Unavailable (the portal cannot be asked for a file or
        for whose the formdata is, the disk is full, the database or the object store does not
        answer).
        """
        route = self.far_ends.catalogue.route(portal, commune, teleservice)
        formdata = self._own(route, formdata)
        if event is None:
            event = await beside(formdata.size, partial(read_event, formdata.extra))
        if event.kind is EventKind.CREATION and is_ours(formdata.ref):
            raise Rejected(400, "bad_id", "L'identifiant (id) a la forme de ceux de la passerelle.")
        if event.kind is EventKind.DOCUMENT and not formdata.files:
            raise Rejected(400, "missing_file", "L'événement « document » n'a pas de fichier.")
        if event.kind is not EventKind.CREATION and at is None:
            events = self.far_ends.catalogue.portals[route.portal].teleservices[teleservice].events
            history = formdata.history
            at = await beside(formdata.size, lambda: instant_of(history, event, events))
        if not vouched and any(file.content is None for file in formdata.files):
            # Its files are about to be read with our rights.
            await self._claim(route, formdata.ref)
            vouched = True
        with Inflow(self.far_ends.catalogue.settings.data_dir) as inflow:
            files = [await self._content(portal, file, inflow) for file in formdata.files]
            if files:
                formdata = dataclasses.replace(formdata, files=tuple(files))
            now = self.environment.now()
            attachments, contents = attachments_of(files)
            content = await beside(formdata.size, partial(content_of, formdata, event))
            place = (route.portal, route.commune, route.teleservice)
            key = await self.references.key()
            made = partial(
                request_of,
                reference(key, *place, formdata.ref, formdata.uuid or ""),
                place,
                formdata,
                Event(_name(event, content, at), event.kind, event.message),
                attachments,
                now,
            )
            request = await beside(formdata.size, made)
            if aside:
                request = _aside(request)
            if event.kind is EventKind.CHANGE:
                request = await self._compared(request, formdata.size)
            marks = self._marks(request)
            blobs = await self._put(contents, request, marks)
            incoming = Incoming(
                request=request,
                event_id=self.environment.new_id(),
                digest=content,
                told_key=event.key,
                entry_at=at,
                gru=route.gru.name,
                received_at=now,
                deliveries=tuple(
                    dataclasses.replace(planned, asks=pulled)
                    for planned in await beside(formdata.size, partial(self._plan, route, request))
                ),
                blobs=blobs,
                nonce=nonce.key if nonce else None,
                nonce_until=nonce.until if nonce else None,
                marks=marks,
                vouched=vouched,
                spare_id=request_id(now, self.environment.entropy()),
            )
            self.environment.crash("receive.before_commit")
            acceptance = await self.store.write(accepting.accept, incoming)
            if await self._gives_way(acceptance.request, request):
                incoming = dataclasses.replace(incoming, nonce=None, nonce_until=None, vouched=True)
                acceptance = await self.store.write(accepting.accept, incoming)
            elif not vouched and await self._is_anothers(acceptance.request, request):
                incoming = dataclasses.replace(
                    incoming, nonce=None, nonce_until=None, request=_aside(request)
                )
                acceptance = await self.store.write(accepting.accept, incoming)
        self.environment.crash("receive.after_commit")
        if acceptance.reception is not Reception.NEW:
            await self._give_up(blobs)
        log.info(
            "request.received",
            reception=acceptance.reception.value,
            request=acceptance.request.id if acceptance.request else None,
            portal=portal,
            commune=commune,
            teleservice=teleservice,
            kind=event.kind.value,
            files=len(attachments),
        )
        if acceptance.reception is Reception.NEW:
            self.wake(route.gru.lane_name)
        return acceptance

    def _own(self, route: Route, formdata: Formdata) -> Formdata:
        """The formdata with addresses of our own making in the place of those that it names."""
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

    async def _claim(self, route: Route, ref: str) -> None:
        """Raises Rejected 403 unless the portal says that the formdata is the commune's."""
        holds = await self.claims.holds(route.portal, route.teleservice, ref, route.commune)
        if holds is None or holds is False:
            text = "Le portail ne dit pas que cette demande est celle de la commune."
            raise Rejected(403, "other_commune", text)
        if holds is not True:
            raise Unavailable("whose the formdata is cannot be read from the portal now")

    async def _gives_way(self, known: StoredRequest | None, request: ServiceRequest) -> bool:
        """Another commune's key named this formdata before: does that request let go of it?

        Only if the portal says that it is the one's that brings it now, and was not the other's
        when that one brought it.
        """
        if known is None or known.vouched or known.commune == request.commune:
            return False
        place = (request.portal, request.teleservice, request.ref)
        theirs = await self.claims.holds(*place, known.commune, known.received_at)
        if theirs is True:
            await self.store.write(accepting.vouch, known.id)
            return False
        ours = theirs if theirs is not False else await self.claims.holds(*place, request.commune)
        if ours is None or isinstance(ours, bool):
            if ours:
                await self.store.write(accepting.displace, known.id)
                log.warning("request.displaced", request=known.id, commune=known.commune)
            return bool(ours)
        raise Unavailable("whose the formdata is cannot be read from the portal now")

    async def _is_anothers(self, known: StoredRequest | None, request: ServiceRequest) -> bool:
        """Is the formdata another commune's, and not this one's either, so that it is not to learn
        that the other has it?"""
        if known is None or known.commune == request.commune:
            return False
        place = (request.portal, request.teleservice, request.ref)
        ours = await self.claims.holds(*place, request.commune)
        if ours is not None and not isinstance(ours, bool):
            raise Unavailable("whose the formdata is cannot be read from the portal now")
        return ours is False

    async def _compared(self, request: ServiceRequest, size: int) -> ServiceRequest:
        """The request with what the citizen changed since its form last came."""
        last = await self.store.read(
            requests.last_fields, request.portal, request.teleservice, request.ref
        )
        if last is None or not request.fields:
            return request
        changes = await beside(size, partial(difference, last, request.fields))
        return dataclasses.replace(request, changes=tuple(changes))

    async def _put(
        self, contents: Mapping[str, Content], request: ServiceRequest, marks: tuple[str, ...]
    ) -> Mapping[str, Content]:
        """The files where they are to lie, within the time that the portal waits.

        Those of somebody erased are to lie nowhere, not even until they are refused.
        """
        if not contents or not self.attachments.external:
            return contents
        if await self.store.read(accepting.erased, request, marks):
            return contents
        return await self.attachments.put(contents, UPLOAD_PATIENCE)

    async def _give_up(self, blobs: Mapping[str, Content]) -> None:
        """The answer stands whether or not this succeeds; what is left goes by itself."""
        with contextlib.suppress(Unavailable):
            await self.attachments.give_up(blobs.values())

    def _marks(self, request: ServiceRequest) -> tuple[str, ...]:
        if self.tombstones is None or request.user is None:
            return ()
        return self.tombstones.known(request.user.uuid)

    def _plan(self, route: Route, request: ServiceRequest) -> tuple[NewDelivery, ...]:
        lane, new_id = route.gru.lane_name, self.environment.new_id
        kind = request.event.kind
        if kind is EventKind.DOCUMENT and request.attachments:
            return tuple(
                NewDelivery(new_id(), Kind.AMEND, lane, n) for n in range(len(request.attachments))
            )
        says_nothing = kind is EventKind.MESSAGE and not request.event.message
        planned = (
            []
            if says_nothing
            else [
                NewDelivery(
                    new_id(), Kind.SUBMIT if kind is EventKind.CREATION else Kind.AMEND, lane
                )
            ]
        )
        if kind is EventKind.MESSAGE:
            planned += [
                NewDelivery(new_id(), Kind.AMEND, lane, n)
                for n, attachment in enumerate(request.attachments)
                if sent_along(attachment.field)
            ]
        adapter = self.far_ends.adapters.get(lane)
        apart = adapter is not None and (
            adapter.capabilities.files is Files.AFTER
            if kind is EventKind.CREATION
            # Those that an edit brings: what went before does not go again.
            else kind is EventKind.CHANGE and EventKind.DOCUMENT in adapter.capabilities.amends
        )
        if apart:
            # Before any later event. Unmappable now: all of them, since the mapping will be mended
            # and what it does not send is passed over then.
            rendered = render(route.mapping, request.document(), EventKind.DOCUMENT)
            chosen = (
                {a["field"] for a in rendered.attachments}
                if isinstance(rendered, Rendered)
                else None
            )
            planned += [
                NewDelivery(new_id(), Kind.AMEND, lane, n)
                for n, attachment in enumerate(request.attachments)
                if chosen is None or attachment.field in chosen
                # The creation's own report tells of its empty files.
                if attachment.size or kind is not EventKind.CREATION
            ]
        return tuple(planned)

    async def _content(self, portal: str, file: IncomingFile, inflow: Inflow) -> IncomingFile:
        """The file with its bytes, fetched from the portal alone when only an address came."""
        content = file.content
        content_type = file.content_type
        if content is None:
            if file.url is None:
                raise Rejected(
                    400, "file_without_content", f"Le fichier du champ {file.field} est vide."
                )
            got = await self.far_ends.portals[portal].download(file.url, inflow)
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
        if not agrees(content_type, shown):
            if shown in _DANGEROUS:
                raise Rejected(
                    415,
                    "dangerous_file",
                    f"Le fichier du champ {file.field} n'est pas du type annoncé.",
                )
            # A phone that calls a HEIC photo a JPEG must not cost the citizen the request.
            content_type = shown or "application/octet-stream"
        return dataclasses.replace(file, content=content, content_type=content_type)


def attachments_of(
    files: list[IncomingFile],
) -> tuple[tuple[Attachment, ...], dict[str, Content]]:
    """The files by reference, and their bytes by SHA-256."""
    attachments: list[Attachment] = []
    blobs: dict[str, Content] = {}
    for file in files:
        content = file.content or InMemory(b"")
        blobs[content.sha256] = content
        attachments.append(
            Attachment(file.field, file.filename, file.content_type, content.size, content.sha256)
        )
    return tuple(attachments), blobs


def request_of(
    new_id: str,
    place: tuple[str, str, str],
    formdata: Formdata,
    event: Event,
    attachments: tuple[Attachment, ...],
    now: datetime,
) -> ServiceRequest:
    """The canonical request of a formdata; `place` is (portal, commune, teleservice)."""
    portal, commune, teleservice = place
    return ServiceRequest(
        id=new_id,
        portal=portal,
        commune=commune,
        teleservice=teleservice,
        ref=formdata.ref,
        event=event,
        submitted_at=formdata.receipt_time or now,
        uuid=formdata.uuid,
        number=formdata.display_id,
        channel=formdata.channel,
        url=formdata.url,
        api_url=formdata.api_url,
        user=formdata.user,
        fields=_placed(formdata.fields, attachments),
        workflow_fields=_placed(formdata.workflow_fields, attachments),
        extra=_placed(formdata.extra, attachments),
        location=formdata.location,
        attachments=attachments,
    )


def _aside(request: ServiceRequest) -> ServiceRequest:
    return dataclasses.replace(
        request, ref=displaced_ref(request.ref, request.commune), api_url=None, url=None
    )


def _placed(value: Any, attachments: tuple[Attachment, ...]) -> Json:
    """The value with each lifted file's place taken by its reference."""
    if not attachments:
        return value
    if isinstance(value, Mapping):
        if value.keys() == {"file"} and isinstance(value["file"], int):
            return attachments[value["file"]].as_json()
        return {k: _placed(v, attachments) for k, v in value.items()}
    return [_placed(v, attachments) for v in value] if isinstance(value, list) else value


def _name(event: Announced, content: str, at: datetime | None) -> str:
    """The key to keep an event under, which GRUs are asked about it by.

    By its instant in the history where that is known: so it is the same whether a push brings it or
    reconcile, and again after a loss.
    """
    if event.kind is EventKind.CREATION:
        return event.kind.value  # a request is created once, whatever the workflow calls it
    if at is None and event.key is not None:
        return event.key
    said = content if at is None else at.astimezone(UTC).isoformat()
    return f"{event.kind.value}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
