"""Secrets and certificates read anew: a person asks for it, and each running daemon answers.

Kept beside the cursors. A daemon that runs has an answer there, of what was asked last when it
read them; one that ended without a word leaves an old one behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from gateway.store import cursors
from gateway.store.tables import CURSOR

_ASKED = "secrets"
_PREFIX = "secrets:"
#: Of a text that says why.
_LONGEST = 4000
#: A daemon says so often that it is there, in seconds; one that was silent for thrice as long is
#: not.
BEAT = 60.0


@dataclass(frozen=True, slots=True)
class RenewalAnswer:
    """A daemon's answer: what it was asked when it last read its secrets, and what it lacks."""

    asked: str
    refused: str | None
    at: datetime


def ask(connection: Connection, asked: str, now: datetime) -> None:
    """Have every daemon read its secrets and certificates anew. `asked` tells this time apart."""
    cursors.move(connection, _ASKED, asked, now)


def asked(connection: Connection) -> str:
    """Return what was asked last; empty: nothing so far."""
    found = cursors.get(connection, _ASKED)
    return "" if found is None else found.value or ""


def answer(
    connection: Connection, owner: str, asked: str, refused: str | None, now: datetime
) -> None:
    """Note that a daemon has read its secrets, or that it is still there."""
    why = refused
    if why is not None and len(why) > _LONGEST:  # whole lines, and that there are more
        head = why[: _LONGEST - 2]
        why = (head.rpartition("\n")[0] or head) + "\n…"
    cursors.move(connection, _PREFIX + owner, asked, now, why)


def leave(connection: Connection, owner: str) -> None:
    """Forget a daemon that ends."""
    connection.execute(delete(CURSOR).where(CURSOR.c.name == _PREFIX + owner))


def leave_others(connection: Connection, owner: str) -> None:
    """A daemon works on this database alone: whoever else answered was killed."""
    others = CURSOR.c.name.startswith(_PREFIX, autoescape=True)
    connection.execute(delete(CURSOR).where(others, CURSOR.c.name != _PREFIX + owner))


def answers(connection: Connection, now: datetime) -> dict[str, RenewalAnswer]:
    """Return the answers of the daemons that are there, by daemon."""
    return {
        name.removeprefix(_PREFIX): RenewalAnswer(one.value or "", one.failure, one.updated_at)
        for name, one in cursors.get_all(connection).items()
        if name.startswith(_PREFIX) and one.updated_at > now - timedelta(seconds=3 * BEAT)
    }
