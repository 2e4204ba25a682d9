"""Tickets of incidents in the Métropole's tool: what is owed to it goes there, what people write
there comes back.

The tool is an adapter's far end, as a GRU is. An entry that may have been taken is asked about by
our reference before it is sent again; the entries of one incident go one after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from gateway.catalogue.catalogue import TicketTool
from gateway.catalogue.ticketing import TICKETING
from gateway.core import reasons
from gateway.core.error_place import error_place
from gateway.core.errors import Conflict
from gateway.core.incident import IncidentState
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Outcome,
    TryLater,
    Unsure,
)
from gateway.core.reasons import About
from gateway.core.request import EventKind
from gateway.core.ticket import entry_key, event_of
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.incident_notes import ticket_payload
from gateway.flow.judging import outcome_word
from gateway.sdk import Adapter, Amendment, Change, Changes, Submission, Tracked, masked
from gateway.store import cursors, incident_acts, incident_tickets, incidents
from gateway.store.engine import Store
from gateway.store.incident_tickets import IncidentTicket, OwedEntry

log = structlog.get_logger()

#: Seconds between two looks for entries to hand over.
EVERY: Final = 15.0
#: Seconds that the tool has for one entry, and for a question about one: together less than a claim
#: lasts.
_PATIENCE = 50.0
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(minutes=10)
#: After a lost answer the tool is left alone for so long: it may still be at work.
_ASK_AFTER = timedelta(minutes=1)
#: Entries of one run, tickets of one poll, changes taken from it; characters of what is kept.
_BATCH, _TRACKED, _TAKEN = 200, 200, 2000
_WORD, _KEY, _ANSWER = 100, 200, 10_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TicketDesk:
    """The tickets. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment

    @property
    def _ticketing(self) -> TicketTool | None:
        return self.far_ends.catalogue.settings.ticketing

    async def send(self) -> None:
        """Hand over what is owed, until all is, or the tool is out of reach. Raises Unavailable."""
        ticketing, adapter = self._ticketing, self.far_ends.ticketing
        if ticketing is None or adapter is None:
            return
        await self.store.write(incident_tickets.begin_missing, self.environment.now())
        for _ in range(_BATCH):
            one = await self.store.write(incident_tickets.claim_entry, self.environment.now())
            if one is None:
                return
            outcome = await self._hand_over(ticketing, adapter, one)
            self.environment.crash("incident.ticketed")
            if not await self._settle(one, outcome):
                return

    async def _hand_over(self, ticketing: TicketTool, adapter: Adapter, one: OwedEntry) -> Outcome:
        incident = await self.store.read(incidents.get, one.notice.incident_id)
        payload = ticket_payload(incident, one, self.far_ends.catalogue, ticketing.rules)
        reference, number = one.ticket.reference, one.ticket.number
        creates = one.ticket.taken_at is None
        kind = event_of(one.notice.step)
        able = adapter.capabilities.amends
        amendment = Amendment(
            reference,
            number or reference,
            entry_key(one.notice.incident_id, one.notice.n),
            kind if kind in able else EventKind.MESSAGE,
            payload,
        )
        if one.notice.unsure and ticketing.rules.ask:
            asked = adapter.find(reference, number) if creates else adapter.find_amend(amendment)
            found = _judged(one, await _in_time(asked, CannotTell("timeout")))
            if found is not None:
                return found
        if creates:
            return await _in_time(adapter.submit(Submission(reference, payload)), Unsure("timeout"))
        return await _in_time(adapter.amend(amendment), Unsure("timeout"))

    async def _settle(self, one: OwedEntry, outcome: Outcome) -> bool:
        """Store what became of an entry. May the next one go?"""
        now = self.environment.now()
        told = {"incident": one.notice.incident_id, "step": one.notice.step}
        if isinstance(outcome, Accepted):
            number, link = outcome.reference, outcome.link
            await self.store.write(incident_tickets.note_taken, one, now, number, link)
            log.info("ticket.taken", ticket=number or one.ticket.number, **told)
            return True
        reason = reasons.of(outcome.reason or outcome_word(outcome))
        unsure = isinstance(outcome, Unsure)
        wait = min(_FIRST * 2 ** min(one.notice.attempts - 1, 10), _LONGEST)
        after = timedelta(seconds=getattr(outcome, "after", None) or 0.0)
        wait = max(wait, min(after, timedelta(hours=1)), _ASK_AFTER if unsure else timedelta())
        await self.store.write(
            incident_tickets.put_off, one, reason.word, now + wait, unsure=unsure
        )
        log.warning("ticket.not_taken", reason=reason.word, unsure=unsure, **told)
        return reason.about not in (About.FAR_END, About.SETTINGS)

    # --- what comes back ------------------------------------------------------------------------

    async def poll(self) -> None:
        """Take what changed in the tool. Raises Unavailable."""
        ticketing, adapter = self._ticketing, self.far_ends.ticketing
        if ticketing is None or adapter is None or not adapter.capabilities.statuses:
            return
        now = self.environment.now()
        tickets = await self.store.read(incident_tickets.followed, now, _TRACKED)
        known = await self.store.read(cursors.get, TICKETING)
        if not tickets and known is None:
            return
        tracked = [Tracked(t.reference, t.number or t.reference, t.begun_at) for t in tickets]
        cursor = None if known is None else known.value
        with self.far_ends.using(TICKETING):
            changes = await _in_time(
                adapter.statuses(tracked, cursor), Changes(failure=TryLater("poll_too_long"))
            )
            failure = changes.failure
            for change in changes.items[:_TAKEN]:
                failure = await self._take_change(ticketing, change) or failure
        whole = failure is changes.failure and len(changes.items) <= _TAKEN
        reached = changes.cursor if whole and changes.cursor is not None else cursor
        word = None
        if failure is not None:
            word = reasons.of(getattr(failure, "reason", "") or outcome_word(failure)).word
            log.warning("ticket.poll_failed", reason=word)
        await self.store.write(cursors.move, TICKETING, reached, self.environment.now(), word)

    async def _take_change(self, ticketing: TicketTool, change: Change) -> Outcome | None:
        """Take one change. Return why it could not be read."""
        names = change.reference, change.gru_reference
        ticket = await self.store.read(incident_tickets.ticket_named, *names)
        if ticket is None:
            return None  # somebody else's
        if change.more is not None and change.public:
            whole = await _in_time(change.more(), TryLater("poll_too_long"))
            if not isinstance(whole, Change):
                return whole
            change = whole
        if change.message and change.public and not _is_ours(change, ticket):
            await self._take_answer(ticket, change)
        if change.status is not None and change.key is None:
            await self._take_word(ticketing, ticket, change.status[:_WORD])
        return None

    async def _take_answer(self, ticket: IncidentTicket, change: Change) -> None:
        text = (change.message or "")[:_ANSWER]
        key = change.key or hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:26]
        now = self.environment.now()
        at = min(change.at or now, now)
        kept = await self.store.write(
            incident_tickets.add_answer, ticket, key[:_KEY], at, masked(text, ())
        )
        if kept:
            log.info("ticket.answered", incident=ticket.incident_id, ticket=ticket.number)

    async def _take_word(self, ticketing: TicketTool, ticket: IncidentTicket, word: str) -> None:
        now = self.environment.now()
        over = word in ticketing.rules.closed
        if not await self.store.write(incident_tickets.note_word, ticket, word, now, over=over):
            return
        log.info("ticket.over", incident=ticket.incident_id, ticket=ticket.number)
        one = await self.store.read(incidents.get, ticket.incident_id)
        # One that is resolved ends by itself; it may come back meanwhile.
        if not ticketing.rules.closes or one.state is not IncidentState.OPEN:
            return
        number = ticket.number or ticket.reference
        try:
            await self.store.write(
                incident_acts.close, ticket.incident_id, f"ticket {number}", TICKETING, now=now
            )
        except Conflict as error:  # it is closed, or a person has a word to add
            log.warning("ticket.does_not_close", incident=ticket.incident_id, why=error.said.word)


def _judged(one: OwedEntry, found: Finding) -> Outcome | None:
    """Return what the tool's answer means; None: it has it not."""
    match found:
        case Found(reference, link):
            return Accepted(reference, link)
        case CannotTell():
            return Unsure(found.reason, found.detail, after=found.after)
        case Absent(settle) if settle > _ASK_AFTER.total_seconds():
            # Its index lags: only what is absent after that is not there.
            if one.notice.failure != "absent":
                return Unsure("absent", after=settle)
    return None


def _is_ours(change: Change, ticket: IncidentTicket) -> bool:
    """Is it a word of ours that the tool gives back?"""
    ours = f"{ticket.incident_id}-"
    if change.sender_key is not None and change.sender_key.startswith(ours):
        return True
    last = (change.message or "").rstrip().rpartition("[")[2]
    return last.startswith(ours) and last.endswith("]")


async def _in_time(asked: Awaitable[_T], otherwise: _T) -> _T:
    """Ask the tool. An adapter's own error is one that is retried."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asked
    except TimeoutError:
        return otherwise
    except Exception as error:
        # The error's text may quote what was sent; its class and place do not.
        log.error("ticket.bug", error=type(error).__name__, where=error_place(error))
        return otherwise


__all__ = ["EVERY", "TicketDesk"]
