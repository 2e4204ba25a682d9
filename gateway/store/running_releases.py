"""Releases as a running daemon sees them: the one it runs, and why it does not run another. Stored
beside the cursors while it runs; without an entry, no daemon runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, delete

from gateway.core.messages import Message, shortened, unfold
from gateway.store import cursors
from gateway.store.tables import CURSOR

_PREFIX = "release:"
#: Characters of a text that says why.
_LONGEST = 2000
#: Behind a commune's name: what goes on running there.
_FORMER = ":former"


@dataclass(frozen=True, slots=True)
class RunningRelease:
    """A commune's release: the active digest, and why it does not run (None: it does).

    `runs`: the digest of the release that runs, which is the former one where another is refused.
    """

    digest: str
    refused: Message | None
    at: datetime
    runs: str | None = None


def record(
    connection: Connection,
    words: Mapping[str, tuple[str, str | None]],
    now: datetime,
    former: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Note by commune the active digest and why it does not run, in place of all noted before.

    `former`: the digests of releases that go on running where the active one does not. What is said
    is as `messages.both` writes it down.
    """
    connection.execute(delete(CURSOR).where(CURSOR.c.name.startswith(_PREFIX, autoescape=True)))
    for insee, (digest, refused) in words.items():
        why = None if refused is None else shortened(refused, _LONGEST)
        cursors.move(connection, f"{_PREFIX}{insee}", digest, now, why)
    for insee, digest in former.items():
        cursors.move(connection, f"{_PREFIX}{insee}{_FORMER}", digest, now)


def get_all(connection: Connection) -> dict[str, RunningRelease]:
    """Return what the daemon noted, by commune."""
    noted = {
        name.removeprefix(_PREFIX): one
        for name, one in cursors.get_all(connection).items()
        if name.startswith(_PREFIX)
    }
    found = {}
    for insee, one in noted.items():
        if insee.endswith(_FORMER):
            continue
        refused = None if one.failure is None else unfold(one.failure)
        former = noted.get(insee + _FORMER)
        runs = one.value if refused is None else None if former is None else former.value
        found[insee] = RunningRelease(one.value or "", refused, one.updated_at, runs)
    return found
