"""One delivery: render what is owed, call its far end, and say what that came to.

Nothing here writes what came of it: the caller settles.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from gateway.catalogue.catalogue import Gru, Route
from gateway.core import reasons
from gateway.core.blame import where
from gateway.core.delivery import Kind
from gateway.core.errors import Rejected, Unavailable
from gateway.core.mapping import Mapping as MappingFile
from gateway.core.mapping import portal_call
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    Unsure,
)
from gateway.core.render import Rendered, Unmappable, render
from gateway.core.request import EventKind
from gateway.core.richtext import clean_text
from gateway.core.status import Status
from gateway.flow.claims import Claims
from gateway.flow.erase import erase_at
from gateway.flow.far_ends import FarEnds
from gateway.flow.files import FileOpener
from gateway.sdk import (
    Adapter,
    Amendment,
    File,
    FilePlaceholders,
    Submission,
    TookTooLong,
    UnusableAnswer,
    beside,
    discreet,
    texts_in,
    unusable,
    weight,
)
from gateway.sdk.work import work_of
from gateway.store import accepting, requests
from gateway.store.engine import Store
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import StoredRequest
from gateway.wire.departures import Departures, departures
from gateway.wire.formdata_state import FormdataState
from gateway.wire.portal import PortalClient

log = structlog.get_logger()

#: A document over this size, in bytes, is not put into JSON as Base64: w.c.s. keeps it in
#: `workflow.data`, in every read and every push that follows, and takes a second per megabyte.
LARGE_DOCUMENT = 1024 * 1024
#: Characters of what a far end calls a request by, or says of it in a word.
_LONGEST = 2_000


class _NoWay(Exception):
    """The configuration no longer leads to the far end; `args[0]` is the catalogue's code."""


class _Undecodable(Exception):
    """What is kept of the event cannot be read."""


#: Events all of whose files that go apart are their own: the mapping chooses among a form's.
_WITH_ITS_OWN_FILES = frozenset({EventKind.DOCUMENT, EventKind.MESSAGE})


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Makes the calls that deliveries owe. One per process."""

    store: Store
    far_ends: FarEnds
    files: FileOpener

    async def attempt(self, claimed: Claimed, timeout: float, within: float) -> Outcome | Finding:
        """Try a delivery once, or ask about one whose reply was lost.

        `timeout` is that of one call to the far end, `within` that of all, in seconds.
        Raises CancelledError only; anything else an adapter raises is a bug. Once its call has
        left, what it had done is asked about like any lost reply.
        """
        with work_of(claimed.delivery.lane):
            with departures() as left:
                outcome = await self._attempt(claimed, timeout, within, left)
            return await self._discreet(claimed, _storable(outcome))

    async def _discreet(self, claimed: Claimed, outcome: Outcome | Finding) -> Outcome | Finding:
        """The outcome, and in the far end's words none that the request holds."""
        if isinstance(outcome, Accepted | Found | Absent) or outcome.answer is None:
            return outcome
        held: list[Any] = [claimed.body, [file.filename for file in claimed.attachments]]
        if claimed.event_kind != EventKind.CREATION.value:
            try:
                held.append(await self.store.read(requests.first_body, claimed.request.id))
            except (Unavailable, ValueError):
                return dataclasses.replace(outcome, answer=None)
        said = outcome.answer
        try:
            said = await beside(weight(held), lambda: discreet(said, texts_in(held)))
        except TookTooLong:
            return dataclasses.replace(outcome, answer=None)
        return dataclasses.replace(outcome, answer=said)

    async def _attempt(
        self, claimed: Claimed, timeout: float, within: float, left: Departures
    ) -> Outcome | Finding:
        asking = claimed.delivery.asking
        try:
            # The client has its own timeouts; this one bounds an adapter that makes many calls.
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
        except _NoWay as error:
            if asking:
                return CannotTell("no_route", str(error))
            return Misconfigured("no_route", str(error))
        except _Undecodable:
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
                where=where(error),
            )
            if asking:
                return CannotTell("bug", f"{type(error).__name__} at {where(error)}")
            detail = f"{type(error).__name__} at {where(error)}"
            return Unsure("bug", detail) if left.unsafe else Refused("bug", detail)

    def gru(self, claimed: Claimed) -> Gru | None:
        """The GRU behind this delivery's lane, if it is still configured."""
        commune = self.far_ends.catalogue.communes.get(claimed.request.commune)
        return None if commune is None else commune.grus.get(claimed.request.gru)

    async def _send(self, claimed: Claimed, timeout: float) -> Outcome:
        match claimed.delivery.kind:
            case Kind.SUBMIT:
                return await self._submit(claimed, timeout)
            case Kind.AMEND:
                amendment = await self._amendment(claimed)
                if not isinstance(amendment, Amendment):
                    return amendment
                adapter = self._adapter(claimed)
                withheld = await self.files.withheld(amendment.files, timeout)
                return withheld or await adapter.amend(amendment)
            case Kind.REPORT:
                return await self._report(claimed, timeout)
            case Kind.ERASE:
                return await erase_at(self._adapter(claimed), claimed.request)

    async def _ask(self, claimed: Claimed) -> Finding:
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
                client, mapping = self._portal(claimed)
                call = portal_call(mapping, _status(claimed))
                if call is None:
                    return Found(called=False)
                if claimed.request.api_url is None:
                    return Absent(called=False)
                return await client.find_report(
                    claimed.request.api_url,
                    call.name,
                    _events(claimed, mapping),
                    mark=mapping.portal.mark,
                    jump=call.kind == "jump",
                )
            case Kind.ERASE:
                return Absent(called=False)  # erasing twice is erasing once

    async def _submit(self, claimed: Claimed, timeout: float) -> Outcome:
        route = self._route(claimed)
        rendered = await _rendered(route.mapping, _body(claimed), EventKind.CREATION)
        if isinstance(rendered, Unmappable):
            return _unmappable(rendered)
        adapter = self._adapter(claimed)
        chosen = {a["field"] for a in rendered.attachments}
        # A browser's empty file is no reason to keep the request: `judging` tells the citizen.
        files = [self.files.of(a) for a in claimed.attachments if a.field in chosen and a.size]
        if adapter.capabilities.files != "within":
            files = []
        submission = Submission(claimed.request.id, rendered.payload, files)
        return await self.files.withheld(files, timeout) or await adapter.submit(submission)

    async def _amendment(self, claimed: Claimed) -> Amendment | Outcome:
        route = self._route(claimed)
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
        rendered = await _rendered(route.mapping, _body(claimed), kind)
        if isinstance(rendered, Unmappable):
            return _unmappable(rendered)
        if files and EventKind(claimed.event_kind) not in _WITH_ITS_OWN_FILES:
            chosen = {a["field"] for a in rendered.attachments}
            if files[0].field not in chosen:
                return Accepted(proof={"file": "not among those the mapping sends"}, called=False)
        message = (_body(claimed).get("event") or {}).get("message")
        return Amendment(
            reference=claimed.request.id,
            gru_reference=claimed.request.gru_reference or "",
            key=key,
            kind=kind,
            payload=rendered.payload,
            message=message if isinstance(message, str) else None,
            files=files,
        )

    async def _report(self, claimed: Claimed, timeout: float) -> Outcome:
        if claimed.request.api_url is None:
            return Refused("no_address", "the request has no address at the portal")
        client, mapping = self._portal(claimed)
        call = portal_call(mapping, _status(claimed))
        if call is not None and not claimed.request.vouched:
            unclaimed = await self._claim(claimed.request)
            if unclaimed is not None:
                return unclaimed
        if call is None:
            # The mapping says that the portal is not to be told of this status.
            return Accepted(proof={"portal": "nothing to call"}, called=False)
        document = next(iter(claimed.attachments), None)
        hook = mapping.portal.document_hook
        if document is not None and hook is None and document.size > LARGE_DOCUMENT:
            return Misconfigured("no_document_hook", f"a document of {document.size} bytes")
        withheld = await self.files.withheld(claimed.attachments, timeout)
        if withheld is not None:
            return withheld
        event, *document_event = _events(claimed, mapping)
        payload: dict[str, Any] = {
            "evenement": event,
            # A note moves nothing: the status that the citizen has read is not entered again.
            "statut": call.word if claimed.event_kind == "status" else None,
            "message": _body(claimed).get("message"),
            "reference": claimed.request.gru_reference,
            "lien": claimed.request.gru_link,
        }
        files = FilePlaceholders()
        if document is not None and hook is None:
            payload["document"] = {
                "filename": document.filename,
                "content_type": document.content_type,
                "content": files.of(self.files.of(document), base64=True),
                "content_is_base64": True,
            }
        elif document is not None:
            payload |= {"document_attendu": document_event[0], "document_nom": document.filename}
        if _body(claimed).get("reopened"):
            payload["reouverture"] = True
        api_url, outcome = claimed.request.api_url, None
        state = await self._before(claimed, client)
        if not isinstance(state, FormdataState):
            return state
        mark = mapping.portal.mark
        if not state.carried_out(mark, event):
            if state.told(event):
                # Its worker died between the message and what proves the rest.
                payload["message"] = None
            send = client.jump if call.kind == "jump" else client.hook
            outcome = await send(api_url, call.name, payload, files)
            if not isinstance(outcome, Accepted):
                return outcome
        there: bool | Outcome = all(state.carried_out(mark, one) for one in document_event)
        if document is not None and hook is not None and not there:
            there = await self._attached(claimed, client, document.sha256)
        if not isinstance(there, bool):
            return there
        if document is not None and hook is not None and not there:
            # Announced before it comes: its bytes leave no room for the name of an event.
            outcome = await client.put_document(api_url, hook, self.files.of(document))
        return outcome or Accepted(proof={"portal": "carried out before"})

    async def _claim(self, request: StoredRequest) -> Outcome | None:
        """None once the portal says that the formdata is the commune's, which alone said so."""
        place = (request.portal, request.teleservice, request.ref)
        holds = await Claims(self.store, self.far_ends).holds(
            *place, request.commune, request.received_at
        )
        if holds is False:
            return Refused("not_its_commune", "the portal says that it is another commune's")
        if holds is None or holds is True:
            await self.store.write(accepting.vouch, request.id)
            return None
        return holds

    async def _before(self, claimed: Claimed, client: PortalClient) -> FormdataState | Outcome:
        """What the portal shows before a report is sent; nothing when no try can have come there.

        Asked before a report is sent again, whatever came of the last try: a call that was
        refused while the formdata's actions ran may have followed one of ours that was not lost.
        """
        if not _may_have_come(claimed):
            return FormdataState(frozenset(), {})
        return await client.state(claimed.request.api_url or "", history=True)

    async def _attached(
        self, claimed: Claimed, client: PortalClient, sha256: str
    ) -> bool | Outcome:
        """Do these bytes stand in the history, which is looked at before they are put again?

        A worker may have died just after it attached them, and before it noted that it did. A
        history that is larger than what is read of a formdata cannot tell: then they are put.
        """
        if not _may_have_come(claimed):
            return False
        attached = await client.attached(claimed.request.api_url or "")
        if isinstance(attached, frozenset):
            return sha256 in attached
        return False if getattr(attached, "reason", "") == "answer_too_large" else attached

    def _adapter(self, claimed: Claimed) -> Adapter:
        request = claimed.request
        adapter = self.far_ends.adapters.get(request.gru_lane)
        if adapter is None:
            raise _NoWay("unknown_gru")
        return adapter

    def _portal(self, claimed: Claimed) -> tuple[PortalClient, MappingFile]:
        return self.far_ends.portals[claimed.request.portal], self._route(claimed).mapping

    def _route(self, claimed: Claimed) -> Route:
        request = claimed.request
        try:
            runs = self.far_ends.catalogue
            return runs.route(request.portal, request.commune, request.teleservice)
        except Rejected as error:
            raise _NoWay(error.code) from None


def _storable(outcome: Outcome | Finding) -> Outcome | Finding:
    """The outcome, with texts of the far end as every database takes them: no U+0000, no more than
    `_LONGEST`. A number or a link that was cut would be another one."""
    mended: dict[str, Any] = {}
    for name in ("reference", "link", "detail"):
        text = getattr(outcome, name, None)
        if not isinstance(text, str):
            continue
        if len(text) > _LONGEST:
            mended[name] = clean_text(text[:_LONGEST]).strip() if name == "detail" else None
        elif not text.isprintable():
            mended[name] = clean_text(text).strip()
    return dataclasses.replace(outcome, **mended) if mended else outcome


async def _rendered(
    mapping: MappingFile, body: Mapping[str, Any], kind: EventKind
) -> Rendered | Unmappable:
    """`render`, beside the loop where much of it was written by others."""
    return await beside(weight(body), partial(render, mapping, body, kind))


def _body(claimed: Claimed) -> Mapping[str, Any]:
    if claimed.body is None:
        raise _Undecodable
    return claimed.body


def _event_kind(claimed: Claimed) -> EventKind:
    """What an amendment is: a file of the form that the GRU takes apart from it, and a later
    document, are documents."""
    if claimed.delivery.attachment_id is not None:
        return EventKind.DOCUMENT
    return EventKind(claimed.event_kind)


def _may_have_come(claimed: Claimed) -> bool:
    """May a try before this one have come to the far end?"""
    reason = reasons.of(claimed.delivery.reason)
    never_left = reason.unconnected or reason.about is reasons.About.UNSENT
    return claimed.delivery.attempts >= 2 and not never_left


def _events(claimed: Claimed, mapping: MappingFile) -> tuple[str, ...]:
    """The events that the portal is to carry out for a report, in order: a document that goes by
    itself is one of its own."""
    event = claimed.delivery.event_id
    if claimed.attachments and mapping.portal.document_hook is not None:
        return event, f"{event}-document"
    return (event,)


def _status(claimed: Claimed) -> Status:
    """The status told; a note's is the one that the request had when it came."""
    word = _body(claimed).get("status")
    return Status(word) if word else claimed.request.status


def _unmappable(rendered: Unmappable) -> Refused:
    return Refused("unmappable", "; ".join(f"{f.target}: {f.text}" for f in rendered.faults))
