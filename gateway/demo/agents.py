"""The agents of the communes, who work in their own tools."""

from __future__ import annotations

import asyncio

from gateway.core.status import PORTAL_WORDS, Status
from gateway.demo.stage import Stage
from gateway.demo.story import Story
from gateway.demo.texts import say

#: A note to colleagues in one ticket of each scenario: it must never reach the portal.
INTERNAL = "NOTE-INTERNE : voir avec le prestataire avant de répondre."
_FIXED = "L'équipe est passée ce matin, le problème est réglé."
_ENROLLED = "Les enfants sont inscrits, les écoles vous écriront."


class Agents:
    """Close each ticket once the portal has its "accepted"."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self._stage = stage
        self._story = story
        self._closed: set[str] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._streets()
            await self._schools()
            await asyncio.sleep(0.1)

    def _streets(self) -> None:
        bron = self._stage.bron
        for ticket in bron.tickets:
            reference = ticket.param("attribute[toodego_ref]")
            if self._may_close(f"bron {ticket.id}", reference):
                bron.advance(ticket, "fixed", _FIXED)
                self._story.say("bron", say("agent_closes", ticket=ticket.id, text=_FIXED))

    async def _schools(self) -> None:
        gru = self._stage.villeurbanne
        for ticket in list(gru.tickets):
            if not self._may_close(f"villeurbanne {ticket.id}", ticket.external_id):
                continue
            gru.advance(ticket.id, "in_progress", INTERNAL, internal=True)
            self._story.say("villeurbanne", say("agent_notes", ticket=ticket.id, text=INTERNAL))
            gru.advance(ticket.id, "resolved", _ENROLLED)
            self._story.say("villeurbanne", say("agent_closes", ticket=ticket.id, text=_ENROLLED))
            statuses = await gru.notify()
            self._story.say("villeurbanne", say("webhook_told", statuses=str(statuses)))

    def _may_close(self, ticket: str, reference: str | None) -> bool:
        if ticket in self._closed or not self._was_reported(
            reference, PORTAL_WORDS[Status.ACCEPTED]
        ):
            return False
        self._closed.add(ticket)
        return True

    def _was_reported(self, reference: str | None, word: str) -> bool:
        portal = self._stage.portal
        return any(
            isinstance(event, dict) and event.get("statut") == word
            for slug, formdata_id in list(portal.formdata)
            if self._stage.reference_of(slug, formdata_id) == reference
            for event in portal.events(slug, formdata_id)
        )
