"""Chooses the requests that a poll asks a GRU about, and the time from which on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.catalogue.catalogue import Gru
from gateway.sdk import Changes, Tracked
from gateway.sdk.patience import LONGEST_POLL
from gateway.store import asking, cursors
from gateway.store.asking import AskedNumbers
from gateway.store.engine import Store
from gateway.store.outbox import clock
from gateway.store.rows import StoredRequest

#: Requests that one poll asks about; those not asked for longest come first.
TRACKED = 2000
#: Time between two questions about an ended request.
PACE = timedelta(hours=6)
#: A poll without an answer for most of its requests, and for so many at least, is faulty itself.
_MOST_MISSING = 4


@dataclass(frozen=True, slots=True)
class PollQuestion:
    """The requests `wanted`, and the `cursor` to go on from; None: from each one's beginning.
    `name` names the cursor."""

    name: str
    cursor: str | None
    wanted: Sequence[Tracked]


async def choose_question(
    store: Store, gru: Gru, begun: datetime, restored_at: datetime | None
) -> PollQuestion | None:
    """Choose the question of the poll that has `begun`; None when there is no request to ask about.
    `restored_at` is when a backup was restored, if lately."""
    name = f"poll:{gru.lane_name}"
    cursor = await store.read(cursors.get, name)
    if cursor is None or cursor.updated_at > begun:
        await store.write(clock.rewind_questions, gru.commune, gru.name, begun)
    tracked = await store.read(asking.tracked, gru.commune, gru.name, TRACKED, begun)
    value = None if cursor is None else cursor.value
    oldest = missed = None
    if value is not None and cursor is not None and restored_at is not None:
        missed = _missed(tracked, restored_at, cursor.updated_at)
    if missed is not None:
        value = None
    elif value is None:
        # The first poll sets the cursor, before any change can come: a request may be at the GRU
        # long before its number is here.
        oldest = await store.read(asking.oldest_open, gru.commune, gru.name)
        if oldest is not None and not tracked:
            # With no request to ask about, a poll would begin at its own time.
            await store.write(cursors.move, name, None, begun)
            return None
    wanted = [
        Tracked(r.id, r.gru_reference or "", missed or min(oldest or r.status_at, r.status_at))
        for r in tracked
    ]
    return PollQuestion(name, value, wanted)


def _missed(
    tracked: Sequence[StoredRequest], restored_at: datetime, read_at: datetime
) -> datetime | None:
    """Return the time from which a list is to be read again; None when it need not be.

    Reconcile brings back what was sent after a restored backup; its GRU is asked for the numbers.
    What the list, read at `read_at`, told of it before was passed over as another's.
    """
    lately = read_at - timedelta(seconds=LONGEST_POLL)
    lost = [r for r in tracked if r.submitted_at <= restored_at <= r.received_at]
    return min((r.submitted_at for r in lost if r.status_at > lately), default=None)


def asked_numbers(changes: Changes, tracked: Sequence[str], follow: float | None) -> AskedNumbers:
    """Return which tracked requests the GRU was asked about, and which of them it has."""
    known = frozenset(tracked)
    asked = tracked if changes.asked is None else [r for r in changes.asked if r in known]
    return AskedNumbers(
        asked,
        None if changes.seen is None else frozenset(changes.seen),
        frozenset(changes.gone),
        PACE,
        None if follow is None else timedelta(seconds=follow),
    )


def most_are_missing(asked: AskedNumbers) -> bool:
    """Does the list lack most of the requests asked about? Then the list is wrong."""
    if asked.seen is None:
        return False
    missing = sum(one not in asked.seen and one not in asked.gone for one in asked.asked)
    return missing >= _MOST_MISSING and 2 * missing > len(asked.asked)
