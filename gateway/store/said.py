"""What a running daemon says of the releases: which it runs, and why it does not run another.

Kept beside the cursors, while it runs; where nothing is said, no daemon is there to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete

from gateway.store import cursors
from gateway.store.reading import CURSOR

_PREFIX = "release:"
#: Of a text that says why.
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Word:
    """Of one commune: the digest that was looked at, and why it does not run; None: it does."""

    digest: str
    refused: str | None
    at: datetime


def say(connection: Connection, words: Mapping[str, tuple[str, str | None]], now: datetime) -> None:
    """By commune the digest that is active, and why it does not run; of others nothing more."""
    connection.execute(delete(CURSOR).where(CURSOR.c.name.startswith(_PREFIX, autoescape=True)))
    for insee, (digest, refused) in words.items():
        why = None if refused is None else refused[:_LONGEST]
        cursors.move(connection, f"{_PREFIX}{insee}", digest, now, why)


def said(connection: Connection) -> dict[str, Word]:
    """By commune."""
    return {
        name.removeprefix(_PREFIX): Word(one.value or "", one.failure, one.updated_at)
        for name, one in cursors.get_all(connection).items()
        if name.startswith(_PREFIX)
    }
