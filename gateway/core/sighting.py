"""Is it the event that we know already? A later event of a request may be seen several times.

The portal's workflow pushes it, and again when our answer was lost; the formdata's history shows
it, too. A key that a workflow gives is not always sound: the same key may come with another
message, and the same words with no key at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: How far the portal's clock may be ahead of ours.
SKEW = timedelta(minutes=10)
#: An event that comes again, without a key or a place in the history, is a repeated call for so
#: long.
AGAIN = timedelta(hours=24)


#: A workflow tries an event again for at most so long.
RETRIED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One time that an event was seen, by a push or in the history.

    `content` is a hash of what it says, `at` the instant of its history entry (None: not known),
    `key` what the workflow calls it (None: nothing, or it was not pushed yet). `name` is the key
    under which it is kept, `id` its row's.
    """

    content: str
    received_at: datetime
    at: datetime | None = None
    key: str | None = None
    name: str = ""
    id: str = ""


def same_event(known: Sequence[Sighting], new: Sighting) -> Sighting | None:
    """Return the one of `known` (of one request and one kind) that `new` is once more; None: it is
    new.

    The instant in the history decides where both have one, and else the key where both have one.
    A push without an instant and an entry of the history are the same when they say the same and
    the push did not come before the entry. When none says the same, a push with a key is the
    latest entry before it that was not pushed yet: a workflow may word a message in its own way,
    and sends one event after the other. (If it is not that one, its own entry tells later.)
    """
    ordered = sorted(known, key=lambda sighting: sighting.received_at)
    for one in ordered:
        if _same(one, new):
            return one
    if new.at is not None or new.key is None:
        return None
    first, last = new.received_at - RETRIED, new.received_at + SKEW
    pending = [one for one in ordered if one.key is None and one.at and first <= one.at <= last]
    return max(pending, key=lambda one: one.at or first, default=None)


def _same(one: Sighting, new: Sighting) -> bool:
    if one.key is None and one.at is None and new.key is not None and one.name == new.key:
        return True  # kept before instants and the workflow's keys were
    if one.content != new.content:
        return False
    if one.at is not None and new.at is not None:
        return one.at == new.at
    if one.key is not None and new.key is not None:
        return one.key == new.key
    if one.at is not None and new.at is None:
        # A push of what was taken from the history may still come days later, with its key.
        again = new.key is not None or new.received_at - one.received_at < AGAIN
        return again and new.received_at >= one.at - SKEW
    if new.at is not None:
        return one.received_at >= new.at - SKEW
    return new.received_at - one.received_at < AGAIN
