"""Makes the call of one delivery: renders the payload, calls the far end, returns the outcome. The
caller records the outcome; nothing is written here."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from gateway.core.delivery import Kind
from gateway.core.error_place import error_place
from gateway.core.errors import Unavailable
from gateway.core.mapping import RequestMapping
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.render import Rendered, Unmappable, render
from gateway.core.request import Attachment, EventKind
from gateway.core.richtext import clean_text
from gateway.flow.claimed import NoRoute, UndecodableEvent, body_of, route_of
from gateway.flow.erase import erase_at
from gateway.flow.far_ends import FarEnds
from gateway.flow.files import FileOpener
from gateway.flow.links import LinkFinder
from gateway.flow.report import Reporter
from gateway.sdk import (
    Adapter,
    Amendment,
    File,
    Filing,
    Submission,
    TookTooLong,
    UnusableAnswer,
    beside,
    masked,
    texts_in,
    unusable,
    weight,
)
from gateway.sdk.work import work_of
from gateway.store import requests
from gateway.store.engine import Store
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import StoredRequest
from gateway.wire.departures import SentCalls, departures

log = structlog.get_logger()

#: An outcome, or what was found.
_Answer = TypeVar("_Answer", bound=Outcome | Finding)
#: Characters kept of a far end's number or word.
_LONGEST = 2_000
#: Characters kept of why a far end keeps what it was to erase.
_LONGEST_WORDS = 500
#: Events whose separate files are all their own. From a whole form the mapping chooses.
_WITH_ITS_OWN_FILES = frozenset({EventKind.DOCUMENT, EventKind.MESSAGE})


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Makes the calls that deliveries owe. One per process."""

    store: Store
    far_ends: FarEnds
    files: FileOpener
    #: None when accounts are not linked.
    links: LinkFinder | None = None

    async def attempt(self, claimed: Claimed, timeout: float, within: float) -> Outcome | Finding:
        """Try a delivery once, or ask about one whose reply was lost.

        `timeout` bounds one call to the far end, `within` all of them, in seconds. Raises
        CancelledError only; any other exception of an adapter is a bug. A call that left counts as
        a lost reply then.
        """
        with work_of(claimed.delivery.lane):
            with departures() as left:
                outcome = await self._attempt(claimed, timeout, within, left)
            return await self.cleaned(claimed, outcome)

    async def cleaned(self, claimed: Claimed, outcome: _Answer) -> _Answer:
        """Return an outcome as it can be kept: storable, and without the request's own values."""
        return await self._mask(claimed, _storable(outcome))

    def made_with(self, request: StoredRequest) -> tuple[str | None, str | None]:
        """Return the release (its digest, None where none runs) and the mapping with its version
        by which what is sent for a request is made now."""
        catalogue = self.far_ends.catalogue
        try:
            mapping = route_of(catalogue, request).mapping
        except NoRoute:
            return None, None
        digest = (catalogue.releases or {}).get(request.commune)
        return digest, f"{mapping.key} v{mapping.version}"

    async def _mask(self, claimed: Claimed, outcome: _Answer) -> _Answer:
        """Mask the request's own values in the far end's words."""
        if isinstance(outcome, Accepted | Found | Absent) or outcome.answer is None:
            return outcome
        held: list[Any] = [claimed.body, [file.filename for file in claimed.attachments]]
        if self.links is not None:
            try:
                held.append(await self._link(claimed))
            except Unavailable:
                return dataclasses.replace(outcome, answer=None)
        if claimed.event_kind != EventKind.CREATION.value:
            try:
                held.append(await self.store.read(requests.first_body, claimed.request.id))
            except (Unavailable, ValueError):
                return dataclasses.replace(outcome, answer=None)
        said = outcome.answer
        try:
            said = await beside(weight(held), lambda: masked(said, texts_in(held)))
        except TookTooLong:
            return dataclasses.replace(outcome, answer=None)
        return dataclasses.replace(outcome, answer=said)

    async def _attempt(
        self, claimed: Claimed, timeout: float, within: float, left: SentCalls
    ) -> Outcome | Finding:
        asking = claimed.delivery.asking
        try:
            # The client bounds each call; this bounds an adapter that makes many.
            async with asyncio.timeout(within):
                if asking:
                    return await self._ask(claimed)
                return await self._send(claimed, timeout)
        except TimeoutError:
            if asking:
                return CannotTell("timeout", "the far end did not answer in time")
            return Unsure("timeout", "the far end did not answer in time")
        except TookTooLong as error:
            if asking:
                return CannotTell("took_too_long", error.text)
            return unusable(UnusableAnswer("took_too_long", error.text), safe=not left.unsafe)
        except NoRoute as error:
            if asking:
                return CannotTell("no_route", str(error))
            return Misconfigured("no_route", str(error))
        except UndecodableEvent:
            kept = "what the database holds of it is damaged"
            if asking:
                return CannotTell("undecodable", kept, forever=True)
            return Refused("undecodable", kept)
        except Exception as error:
            # The error's text can hold personal data; its class and place cannot.
            log.error(
                "delivery.bug",
                delivery=claimed.delivery.id,
                lane=claimed.delivery.lane,
                error=type(error).__name__,
                where=error_place(error),
            )
            if asking:
                return CannotTell("bug", f"{type(error).__name__} at {error_place(error)}")
            detail = f"{type(error).__name__} at {error_place(error)}"
            return Unsure("bug", detail) if left.unsafe else Refused("bug", detail)

    async def _send(self, claimed: Claimed, timeout: float) -> Outcome:
        match claimed.delivery.kind:
            case Kind.SUBMIT:
                return await self._submit(claimed, timeout)
            case Kind.AMEND:
                amendment = await self._amendment(claimed)
                if not isinstance(amendment, Amendment):
                    return amendment
                adapter = self._adapter(claimed)
                withheld = await self.files.withheld(_sent(claimed, amendment.files), timeout)
                return withheld or await adapter.amend(amendment)
            case Kind.REPORT:
                return await self._reporter.send(claimed, timeout)
            case Kind.ERASE:
                return await erase_at(self._adapter(claimed), claimed.request)

    async def _ask(self, claimed: Claimed) -> Finding:
        to_gru = claimed.delivery.kind in (Kind.SUBMIT, Kind.AMEND)
        if to_gru and self._adapter(claimed).capabilities.repeatable:
            return Absent(called=False)  # it is sent again, and taken once
        match claimed.delivery.kind:
            case Kind.SUBMIT:
                return await self._adapter(claimed).find(
                    claimed.request.id, claimed.request.gru_reference
                )
            case Kind.AMEND:
                amendment = await self._amendment(claimed)
                if not isinstance(amendment, Amendment):
                    return CannotTell("unmappable", "the mapping no longer renders it")
                return await self._adapter(claimed).find_amend(amendment)
            case Kind.REPORT:
                return await self._reporter.find(claimed)
            case Kind.ERASE:
                return Absent(called=False)  # a second erasure changes nothing

    async def compose(self, claimed: Claimed) -> Submission | Amendment | Outcome:
        """Make what is owed to a GRU without sending it, or the outcome that it cannot be made.

        Raises NoRoute and UndecodableEvent.
        """
        if claimed.delivery.kind is Kind.SUBMIT:
            return await self._submission(claimed)
        return await self._amendment(claimed)

    async def _submit(self, claimed: Claimed, timeout: float) -> Outcome:
        submission = await self._submission(claimed)
        if not isinstance(submission, Submission):
            return submission
        withheld = await self.files.withheld(_sent(claimed, submission.files), timeout)
        return withheld or await self._adapter(claimed).submit(submission)

    async def _submission(self, claimed: Claimed) -> Submission | Outcome:
        route = route_of(self.far_ends.catalogue, claimed.request)
        body = await self._document(route.mapping, claimed)
        if isinstance(body, TryLater):
            return body
        rendered = await _rendered(route.mapping, body, EventKind.CREATION)
        if isinstance(rendered, Unmappable):
            return _unmappable(rendered)
        adapter = self._adapter(claimed)
        chosen = {a["field"] for a in rendered.attachments}
        # An empty file from a browser must not block the request: `judging` tells the citizen.
        files = [self.files.of(a) for a in claimed.attachments if a.field in chosen and a.size]
        files = _called(route.mapping, rendered, files, claimed.request.id)
        if adapter.capabilities.files != "within":
            files = []
        return Submission(claimed.request.id, rendered.payload, files, _filing(claimed))

    async def _amendment(self, claimed: Claimed) -> Amendment | Outcome:
        route = route_of(self.far_ends.catalogue, claimed.request)
        kind = _event_kind(claimed)
        key = claimed.event_key
        files: list[File] = []
        if claimed.delivery.attachment_id is not None:
            key = f"{key}-{claimed.attachments[0].sha256[:12]}"
            files = [self.files.of(claimed.attachments[0])]
            if not claimed.attachments[0].size:
                return Refused("empty_file", "a file of 0 bytes")
        if kind not in self._adapter(claimed).capabilities.amends:
            return Refused("not_supported", f"this GRU takes no {kind.value}")
        body = await self._document(route.mapping, claimed)
        if isinstance(body, TryLater):
            return body
        rendered = await _rendered(route.mapping, body, kind)
        if isinstance(rendered, Unmappable):
            return _unmappable(rendered)
        if files and EventKind(claimed.event_kind) not in _WITH_ITS_OWN_FILES:
            chosen = {a["field"] for a in rendered.attachments}
            if files[0].field not in chosen:
                return Accepted(proof={"file": "not among those the mapping sends"}, called=False)
        files = _called(route.mapping, rendered, files, claimed.request.id)
        message = (body_of(claimed).get("event") or {}).get("message")
        return Amendment(
            reference=claimed.request.id,
            gru_reference=claimed.request.gru_reference or "",
            key=key,
            kind=kind,
            payload=rendered.payload,
            message=message if isinstance(message, str) else None,
            files=files,
            filing=_filing(claimed),
        )

    async def _document(
        self, mapping: RequestMapping, claimed: Claimed
    ) -> Mapping[str, Any] | TryLater:
        """Return what the mapping reads: the event, and the citizen's link where it asks for it."""
        body = body_of(claimed)
        if not mapping.reads_link:
            return body
        try:
            return {**body, "link": await self._link(claimed)}
        except Unavailable as error:
            return TryLater("database_unavailable", str(error))

    async def _link(self, claimed: Claimed) -> dict[str, Any] | None:
        """Return the citizen's link with the commune's own portal. Raises Unavailable."""
        if self.links is None:
            return None
        user = (claimed.body or {}).get("user")
        account = user.get("uuid") if isinstance(user, dict) else None
        account = account if isinstance(account, str) else None
        return await self.links.document(claimed.request.commune, account)

    @property
    def _reporter(self) -> Reporter:
        return Reporter(self.store, self.far_ends, self.files)

    def _adapter(self, claimed: Claimed) -> Adapter:
        adapter = self.far_ends.adapters.get(claimed.request.gru_lane)
        if adapter is None:
            raise NoRoute("unknown_gru")
        return adapter


def _storable(outcome: _Answer) -> _Answer:
    """Make the far end's texts storable: no U+0000, no more than `_LONGEST` characters. A number or
    link that is too long is dropped, since a cut one would be another one."""
    mended: dict[str, Any] = {}
    for name in ("reference", "link", "detail"):
        text = getattr(outcome, name, None)
        if not isinstance(text, str):
            continue
        if len(text) > _LONGEST:
            mended[name] = clean_text(text[:_LONGEST]).strip() if name == "detail" else None
        elif not text.isprintable():
            mended[name] = clean_text(text).strip()
    answer = outcome.erasure if isinstance(outcome, Accepted) else None
    if answer is not None:
        mended["erasure"] = dataclasses.replace(
            answer, ground=_line(answer.ground), by=_line(answer.by)
        )
    return dataclasses.replace(outcome, **mended) if mended else outcome


def _line(text: str | None) -> str | None:
    """Return a far end's words as one line of a ledger, bounded."""
    return clean_text(" ".join((text or "")[:_LONGEST].split()))[:_LONGEST_WORDS].strip() or None


def _called(
    mapping: RequestMapping, rendered: Rendered, files: list[File], reference: str
) -> list[File]:
    """Return the files by the names that the mapping gives them."""
    policy = mapping.attachments.names
    if policy is None:
        return files
    named = {str(one["field"]): str(one["filename"]) for one in rendered.attachments}
    return [
        dataclasses.replace(
            file, filename=named.get(file.field) or policy.name(file.filename, 1, reference)
        )
        for file in files
    ]


async def _rendered(
    mapping: RequestMapping, body: Mapping[str, Any], kind: EventKind
) -> Rendered | Unmappable:
    """Render; in a thread when the request is large."""
    return await beside(weight(body), partial(render, mapping, body, kind))


def _event_kind(claimed: Claimed) -> EventKind:
    """Name the kind of an amendment. A file that goes apart from its form is a document."""
    if claimed.delivery.attachment_id is not None:
        return EventKind.DOCUMENT
    return EventKind(claimed.event_kind)


def _filing(claimed: Claimed) -> Filing:
    request = claimed.request
    return Filing(
        request.portal,
        request.teleservice,
        request.number,
        request.submitted_at,
        request.received_at,
        claimed.delivery.seq,
    )


def _sent(claimed: Claimed, files: Sequence[File]) -> list[Attachment]:
    """Return the stored files that these were made of."""
    chosen = {file.sha256 for file in files}
    return [one for one in claimed.attachments if one.sha256 in chosen]


def _unmappable(rendered: Unmappable) -> Refused:
    return Refused("unmappable", "; ".join(f"{f.target}: {f.text}" for f in rendered.faults))
