"""Copies a live SQLite database, and doubts what a restored one holds. A restored database is older
than what far ends have seen: a waiting delivery may have been sent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, update

from gateway.core.delivery import State
from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.core.system_errors import system_error
from gateway.store import installation
from gateway.store.dialect import moment
from gateway.store.schema import require, status, upgrade
from gateway.store.tables import DELIVERY
from gateway.store.texts import say


class BadBackup(GatewayError):
    """The file is no whole database of ours; the text holds no data."""


def copy(source: Path, target: Path) -> None:
    """Copy what is committed in a SQLite database into a new file, mode 0600, synced to disk.

    Writers go on; the copy is of one moment, with all that was committed when it began. Raises
    BadBackup when the copy is not whole, GatewayError when it cannot be made.
    """
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            contextlib.closing(_opened(source, "ro")) as live,
            contextlib.closing(sqlite3.connect(target)) as made,
        ):
            live.backup(made)  # in one step: a later one would begin anew at each write
            made.execute("PRAGMA journal_mode = DELETE")  # one file, to be read anywhere
    except (sqlite3.Error, OSError) as error:
        places = {"source": str(source), "target": str(target)}
        raise GatewayError(say("not_copied", **places, error=_why(error))) from None
    check(target)
    _sync(target)


def copy_keys(source: Path, target: Path) -> None:
    """Copy the keys of a live SQLite file to `target`, in place of an older copy of the same keys.

    Raises BadBackup when something else lies there, GatewayError when it cannot be made.
    """
    draft = target.with_name(f".{target.name}.partial")
    draft.unlink(missing_ok=True)
    try:
        if target.exists() and not _knows_some(source, _key_ids(target)):
            raise BadBackup(say("other_keys", place=str(target)))
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            contextlib.closing(_opened(source, "ro")) as live,
            contextlib.closing(sqlite3.connect(draft)) as made,
        ):
            live.backup(made)
            made.execute("PRAGMA journal_mode = DELETE")
            made.execute("VACUUM")  # without the bytes of keys that were destroyed
        _sync(draft)
        draft.replace(target)
        _sync(target)
    except (sqlite3.Error, OSError) as error:
        places = {"source": str(source), "target": str(target)}
        raise GatewayError(say("not_copied", **places, error=_why(error))) from None
    finally:
        draft.unlink(missing_ok=True)


def _key_ids(path: Path) -> list[str]:
    with contextlib.closing(_opened(path, "ro")) as found:
        return [
            row[0]
            for row in found.execute("SELECT id FROM sealing_key WHERE id <> 'hashes' LIMIT 500")
        ]


def _knows_some(path: Path, ids: list[str]) -> bool:
    """Is one of these keys here, or none to be looked for?"""
    with contextlib.closing(_opened(path, "ro")) as found:
        asked = "SELECT 1 FROM sealing_key WHERE id = ?"
        return not ids or any(found.execute(asked, (one,)).fetchone() for one in ids)


def _sync(target: Path) -> None:
    for path in (target, target.parent):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def check(path: Path) -> None:
    """Raises BadBackup unless this is a whole database of this program or an older one."""
    try:
        with contextlib.closing(_opened(path, "ro")) as found:
            (said,) = found.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BadBackup(say("no_database", place=str(path), error=_why(error))) from None
    if said != "ok":
        raise BadBackup(say("damaged_backup", place=str(path)))
    known = status(f"sqlite:///{path}")
    if known.current is None:
        raise BadBackup(say("not_ours", place=str(path)))
    if not known.known:
        raise BadBackup(say("schema_of", place=str(path), said=known.said))


def marks(path: Path) -> tuple[str | None, dict[str, datetime]]:
    """Return the check value of the key of a SQLite database's marks, and the marks of what is
    erased in it. One that is damaged, or has none, tells nothing: the ledger beside it does."""
    try:
        with contextlib.closing(_opened(path, "ro")) as found:
            (key,) = found.execute(
                "SELECT value FROM installation WHERE name = ?", (installation.ERASURE_KEY,)
            ).fetchone()
            rows = found.execute(
                "SELECT mark, made_at FROM tombstone"
                " WHERE mark NOT IN (SELECT mark FROM erasure WHERE state = 'open')"
            ).fetchall()
    except (sqlite3.Error, TypeError):
        return None, {}
    return key, {mark: at for mark, made_at in rows if (at := moment(made_at)) is not None}


def restore(backup: Path, target: Path) -> None:
    """Restore a copy to `target`, where nothing may be, and bring it to this program's schema.
    Raises as `copy` and `upgrade` do."""
    check(backup)
    copy(backup, target)
    upgrade(f"sqlite:///{target}")
    require(f"sqlite:///{target}")


def doubt(connection: Connection, now: datetime) -> int:
    """Mark what waits as to be asked about before it is sent; return how much. Run it once on a
    restored database while no daemon runs."""
    installation.record_restore(connection, now)
    return connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.state.in_([State.WAITING.value, State.SENDING.value]))
        .values(
            state=State.UNSURE.value,
            asking=False,
            lease_owner=None,
            lease_until=None,
            reason="restored",
            detail="",
            sent_at=now,
            next_at=now,
        )
    ).rowcount


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)


def _why(error: Exception) -> str | Message:
    if isinstance(error, OSError):
        return system_error(error)
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
