"""Is this event known already? A later event of a request may be seen several times.

The workflow pushes it, and again when our answer was lost; the formdata's history shows it too. A
workflow's key is not always sound: one key may come with two messages, and the same words without a
key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: The time by which the portal's clock may be ahead of ours.
SKEW = timedelta(minutes=10)
#: Time for which the same event, without a key or a place in the history, is a repeated call.
AGAIN = timedelta(hours=24)


#: The longest time for which a workflow retries an event.
RETRIED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sighting of an event, by a push or in the history.

    `content` is a hash of its words, `at` the instant of its history entry (None: unknown), `key`
    the workflow's name of it (None: without a name, or not pushed yet). `name` is the key under
    which it is stored, `id` its row's.
    """

    content: str
    received_at: datetime
    at: datetime | None = None
    key: str | None = None
    name: str = ""
    id: str = ""


def same_event(known: Sequence[Sighting], new: Sighting) -> Sighting | None:
    """Return the one of `known` (of one request and one kind) that `new` repeats; None for a new
    event.

    The instant in the history decides where both have one, else the key where both have one. A push
    without an instant and an entry are the same when their words are, and the push did not come
    before the entry. If no entry has its words, a push with a key is the latest entry before it
    that was not pushed yet: a workflow may word a message in its own way, and sends one event after
    the other. (If that is wrong, its own entry tells later.)
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
        return True  # stored before instants and keys were
    if one.content != new.content:
        return False
    if one.at is not None and new.at is not None:
        return one.at == new.at
    if one.key is not None and new.key is not None:
        return one.key == new.key
    if one.at is not None and new.at is None:
        # A push of an event known from the history may still come days later, with its key.
        again = new.key is not None or new.received_at - one.received_at < AGAIN
        return again and new.received_at >= one.at - SKEW
    if new.at is not None:
        return one.received_at >= new.at - SKEW
    return new.received_at - one.received_at < AGAIN
