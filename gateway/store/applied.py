"""Each commune's file as it was last applied.

Besides the release, to which the commune agreed, the file holds matters of operation (a key, a
pause, lanes, polls, timeouts, contacts). These need no agreement, but run as applied too: a file
that is being edited concerns nobody yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, select

from gateway.store import releases, trail
from gateway.store.dialect import upsert
from gateway.store.release_tables import APPLIED_FILE
from gateway.store.releases import SET, STREAM, ContractRun, UrgentActivation, sha256


def files(connection: Connection) -> dict[str, str]:
    """Return the applied texts by commune."""
    rows = connection.execute(select(APPLIED_FILE.c.commune, APPLIED_FILE.c.content))
    return {row.commune: row.content for row in rows}


def record(connection: Connection, texts: Mapping[str, str], now: datetime) -> list[str]:
    """Store these texts of communes' files. Return the communes whose text changed. The trail
    records it too, so a running daemon sees one change with the rest of the transaction."""
    trail.lock_trail(connection)
    known = files(connection)
    changed = [insee for insee, text in texts.items() if known.get(insee) != text]
    for insee in changed:
        upsert(connection, APPLIED_FILE, "commune", commune=insee, content=texts[insee], at=now)
        data = {"commune": insee, "sha256": sha256(texts[insee])}
        trail.append(connection, STREAM, SET, data, now)
    return changed


def apply(
    connection: Connection,
    runs: Sequence[ContractRun],
    wanted: Mapping[str, str],
    texts: Mapping[str, str],
    now: datetime,
    *,
    dev: bool = False,
    urgent: Mapping[str, UrgentActivation] = MappingProxyType({}),
) -> None:
    """Record contract runs, activate releases (digests by commune), and record the texts of files,
    as one change. Raises as `releases.record_runs` and `releases.activate` do."""
    if runs:
        releases.record_runs(connection, runs)
    if wanted:
        releases.activate(connection, wanted, now, dev=dev, urgent=urgent)
    record(connection, texts, now)
