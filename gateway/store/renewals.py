"""Secrets and certificates read anew: a person orders it, and each running daemon answers.

Stored beside the cursors. A running daemon has an answer there, to the order that it last followed;
a killed one leaves an old answer behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from gateway.core.messages import Message, shortened, unfold
from gateway.store import cursors
from gateway.store.tables import CURSOR

_ASKED = "secrets"
_PREFIX = "secrets:"
#: Characters of a text that says why.
_LONGEST = 4000
#: Seconds between two signs of life of a daemon; one that was silent for three times as long is
#: dead.
BEAT = 60.0


@dataclass(frozen=True, slots=True)
class RenewalAnswer:
    """A daemon's answer: the order that it last followed, and what it could not read."""

    asked: str
    refused: Message | None
    at: datetime
    #: The ids of the master keys that it knows.
    masters: frozenset[str] = frozenset()


def order(connection: Connection, asked: str, now: datetime) -> None:
    """Order every daemon to read its secrets and certificates anew. `asked` names the order."""
    cursors.move(connection, _ASKED, asked, now)


def last_order(connection: Connection) -> str:
    """Return the last order; empty when there was none."""
    found = cursors.get(connection, _ASKED)
    return "" if found is None else found.value or ""


def record_answer(
    connection: Connection,
    owner: str,
    asked: str,
    refused: str | None,
    now: datetime,
    masters: Iterable[str] = (),
) -> None:
    """Record that a daemon has read its secrets, or that it lives. `refused` is as `messages.both`
    writes it down; `masters` are the ids of its master keys."""
    why = None if refused is None else shortened(refused, _LONGEST)
    cursors.move(connection, _PREFIX + owner, asked, now, why, " ".join(masters))


def forget(connection: Connection, owner: str) -> None:
    """Forget a daemon that stops."""
    connection.execute(delete(CURSOR).where(CURSOR.c.name == _PREFIX + owner))


def forget_others(connection: Connection, owner: str) -> None:
    """Forget all other daemons: this one is alone, so they were killed."""
    others = CURSOR.c.name.startswith(_PREFIX, autoescape=True)
    connection.execute(delete(CURSOR).where(others, CURSOR.c.name != _PREFIX + owner))


def answers(connection: Connection, now: datetime) -> dict[str, RenewalAnswer]:
    """Return the answers of the living daemons, by name."""
    return {
        name.removeprefix(_PREFIX): RenewalAnswer(
            one.value or "",
            None if one.failure is None else unfold(one.failure),
            one.updated_at,
            frozenset((one.fault or "").split()),
        )
        for name, one in cursors.get_all(connection).items()
        if name.startswith(_PREFIX) and one.updated_at > now - timedelta(seconds=3 * BEAT)
    }
