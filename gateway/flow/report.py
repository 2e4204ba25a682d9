"""Reports: tells the portal what became of a request, and asks whether it was told.

A document that goes apart takes two steps: the hook announces it, then it is put. The portal is
read before either is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.core import reasons
from gateway.core.mapping import PortalCall, RequestMapping, portal_call
from gateway.core.outcome import (
    Absent,
    Accepted,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
)
from gateway.core.status import Status
from gateway.core.workflow import document_event
from gateway.flow.claimed import body_of, route_of
from gateway.flow.commune_proof import CommuneProof
from gateway.flow.far_ends import FarEnds
from gateway.flow.files import FileOpener
from gateway.sdk import FilePlaceholders
from gateway.sdk.publik.formdata_state import FormdataState
from gateway.store import accepting
from gateway.store.engine import Store
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import StoredRequest
from gateway.wire.portal import PortalClient

#: Bytes. A larger document is not put into JSON as Base64: w.c.s. keeps that in `workflow.data`, in
#: every later read and push, and takes a second per megabyte.
LARGE_DOCUMENT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes the portal's calls of due reports."""

    store: Store
    far_ends: FarEnds
    files: FileOpener

    async def send(self, claimed: Claimed, timeout: float) -> Outcome:
        """Report to the portal. `timeout` bounds one call, in seconds.

        Raises NoRoute and UndecodableEvent.
        """
        request = claimed.request
        if request.api_url is None:
            return Refused("no_address", "the request has no address at the portal")
        client, mapping = self._portal(claimed)
        call = portal_call(mapping, _status(claimed))
        if call is None:
            # The mapping tells the portal nothing of this status.
            return Accepted(proof={"portal": "nothing to call"}, called=False)
        if not request.vouched:
            unclaimed = await self._check_commune(request)
            if unclaimed is not None:
                return unclaimed
        document, hook = next(iter(claimed.attachments), None), mapping.portal.document_hook
        if document is not None and hook is None and document.size > LARGE_DOCUMENT:
            return Misconfigured("no_document_hook", f"a document of {document.size} bytes")
        withheld = await self.files.withheld(claimed.attachments, timeout)
        if withheld is not None:
            return withheld
        state = await self._before(claimed, client)
        if not isinstance(state, FormdataState):
            return state
        told = await self._call_portal(claimed, mapping, call, state)
        if told is not None and not isinstance(told, Accepted):
            return told
        attached = await self._attach(claimed, mapping, state)
        return attached or told or Accepted(proof={"portal": "carried out before"})

    async def find(self, claimed: Claimed) -> Finding:
        """Ask the portal whether it was told. Raises NoRoute, UndecodableEvent."""
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

    async def _call_portal(
        self, claimed: Claimed, mapping: RequestMapping, call: PortalCall, state: FormdataState
    ) -> Outcome | None:
        """Call the hook or jump of a report; None when the portal carried it out before."""
        event = claimed.delivery.event_id
        if state.carried_out(mapping.portal.mark, event):
            return None
        files = FilePlaceholders()
        payload = self._payload(claimed, mapping, call, files)
        if state.has_message(event):
            # Its worker died between the message and the mark that proves the rest.
            payload["message"] = None
        client, _ = self._portal(claimed)
        send = client.jump if call.kind == "jump" else client.hook
        return await send(claimed.request.api_url or "", call.name, payload, files)

    def _payload(
        self, claimed: Claimed, mapping: RequestMapping, call: PortalCall, files: FilePlaceholders
    ) -> dict[str, Any]:
        event, *document_event = _events(claimed, mapping)
        payload: dict[str, Any] = {
            "evenement": event,
            # A note must not enter a status that the citizen has read once more.
            "statut": call.word if claimed.event_kind == "status" else None,
            "message": body_of(claimed).get("message"),
            "reference": claimed.request.gru_reference,
            "lien": claimed.request.gru_link,
        }
        document = next(iter(claimed.attachments), None)
        if document is not None and document_event:
            payload |= {"document_attendu": document_event[0], "document_nom": document.filename}
        elif document is not None:
            payload["document"] = {
                "filename": document.filename,
                "content_type": document.content_type,
                "content": files.of(self.files.of(document), base64=True),
                "content_is_base64": True,
            }
        if body_of(claimed).get("reopened"):
            payload["reouverture"] = True
        return payload

    async def _attach(
        self, claimed: Claimed, mapping: RequestMapping, state: FormdataState
    ) -> Outcome | None:
        """Put a document that goes apart; None when there is none, or the portal has it."""
        document, hook = next(iter(claimed.attachments), None), mapping.portal.document_hook
        event, mark = claimed.delivery.event_id, mapping.portal.mark
        if document is None or state.carried_out(mark, document_event(event)):
            return None
        if hook is None:
            # The mapping named a hook when the report announced the document.
            awaited = state.awaits_document(mark, event)
            return Misconfigured("no_document_hook", "it was announced") if awaited else None
        client, _ = self._portal(claimed)
        there = await self._attached(claimed, client, document.sha256)
        if not isinstance(there, bool):
            return there
        if there:
            return None
        # Without an event's name, for which a file's body has no room: the hook announced it.
        return await client.put_document(
            claimed.request.api_url or "", hook, self.files.of(document)
        )

    async def _check_commune(self, request: StoredRequest) -> Outcome | None:
        """Return None if the formdata is the commune's by the portal's word, or why not."""
        place = (request.portal, request.teleservice, request.ref)
        holds = await CommuneProof(self.store, self.far_ends).belongs_to(
            *place, request.commune, request.received_at
        )
        if holds is False:
            return Refused("not_its_commune", "the portal says that it is another commune's")
        if holds is None or holds is True:
            await self.store.write(accepting.vouch, request.id)
            return None
        return holds

    async def _before(self, claimed: Claimed, client: PortalClient) -> FormdataState | Outcome:
        """Read the portal's state before a report is repeated; an empty one for a first try.

        It is read whatever the last try's outcome: a call refused while the formdata's actions ran
        may have followed one of ours that arrived.
        """
        if not _may_have_come(claimed):
            return FormdataState(frozenset(), {})
        return await client.state(claimed.request.api_url or "", history=True)

    async def _attached(
        self, claimed: Claimed, client: PortalClient, sha256: str
    ) -> bool | Outcome:
        """Does the history hold these bytes? It is read before they are put again.

        A worker may die after it attached them and before it noted that. A history too large to
        read does not tell: then they are put.
        """
        if not _may_have_come(claimed):
            return False
        attached = await client.attached(claimed.request.api_url or "")
        if isinstance(attached, frozenset):
            return sha256 in attached
        return False if getattr(attached, "reason", "") == "answer_too_large" else attached

    def _portal(self, claimed: Claimed) -> tuple[PortalClient, RequestMapping]:
        mapping = route_of(self.far_ends.catalogue, claimed.request).mapping
        return self.far_ends.portals[claimed.request.portal], mapping


def _may_have_come(claimed: Claimed) -> bool:
    """May an earlier try have reached the far end? Of a report with a document the last try's
    reason tells nothing: its first call may have arrived, and the second one failed."""
    reason = reasons.of(claimed.delivery.reason)
    never_left = reason.unconnected or reason.about is reasons.About.UNSENT
    return claimed.delivery.attempts >= 2 and (bool(claimed.attachments) or not never_left)


def _events(claimed: Claimed, mapping: RequestMapping) -> tuple[str, ...]:
    """Name the events that the portal carries out for a report, in order. A document that goes
    apart is an event of its own."""
    event = claimed.delivery.event_id
    if claimed.attachments and mapping.portal.document_hook is not None:
        return event, document_event(event)
    return (event,)


def _status(claimed: Claimed) -> Status:
    """Return the status that is told; a note has the one that held when it came."""
    word = body_of(claimed).get("status")
    return Status(word) if word else claimed.request.status
