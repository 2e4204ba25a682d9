"""A poll's question: which requests a GRU is asked about, and from when on."""

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

#: How many requests one poll asks about at most; the longest unasked come first.
TRACKED = 2000
#: How often an ended request is asked about.
PACE = timedelta(hours=6)
#: A poll that is told nothing of most it asked about, and of so many at least, has a fault itself.
_MOST_MISSING = 4


@dataclass(frozen=True, slots=True)
class PollQuestion:
    """The `wanted` requests, and the `cursor` to go on from; None: from the beginning of each.

    `name` is the cursor's own.
    """

    name: str
    cursor: str | None
    wanted: Sequence[Tracked]


async def choose_question(
    store: Store, gru: Gru, begun: datetime, put_back: datetime | None
) -> PollQuestion | None:
    """Choose what the poll that has `begun` asks; None where there is nobody to ask about.

    `put_back`: when the database was, if lately.
    """
    name = f"poll:{gru.lane_name}"
    cursor = await store.read(cursors.get, name)
    if cursor is None or cursor.updated_at > begun:
        await store.write(clock.rewind_questions, gru.commune, gru.name, begun)
    tracked = await store.read(asking.tracked, gru.commune, gru.name, TRACKED, begun)
    value = None if cursor is None else cursor.value
    oldest = missed = None
    if value is not None and cursor is not None and put_back is not None:
        missed = _missed(tracked, put_back, cursor.updated_at)
    if missed is not None:
        value = None
    elif value is None:
        # The first poll tells where all later ones begin: before anything can have been told. A
        # request may be at the GRU long before its number is here.
        oldest = await store.read(asking.oldest_open, gru.commune, gru.name)
        if oldest is not None and not tracked:
            # There is nobody to ask about, and a poll would begin at its own time.
            await store.write(cursors.move, name, None, begun)
            return None
    wanted = [
        Tracked(r.id, r.gru_reference or "", missed or min(oldest or r.status_at, r.status_at))
        for r in tracked
    ]
    return PollQuestion(name, value, wanted)


def _missed(
    tracked: Sequence[StoredRequest], put_back: datetime, read_at: datetime
) -> datetime | None:
    """From when on a list is to be read again; None: it need not be.

    What was sent after the backup that was put back is taken in by reconcile, and known once its
    GRU was asked. What the list, `read_at`, told of it until then was passed over as another's.
    """
    lately = read_at - timedelta(seconds=LONGEST_POLL)
    lost = [r for r in tracked if r.submitted_at <= put_back <= r.received_at]
    return min((r.submitted_at for r in lost if r.status_at > lately), default=None)


def asked_numbers(changes: Changes, tracked: Sequence[str], follow: float | None) -> AskedNumbers:
    """Note which of the tracked requests the GRU was asked about, and which of them it has."""
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
    """Does the list lack most of what it was asked about? Then it is the list that is wrong."""
    if asked.seen is None:
        return False
    missing = sum(one not in asked.seen and one not in asked.gone for one in asked.asked)
    return missing >= _MOST_MISSING and 2 * missing > len(asked.asked)
