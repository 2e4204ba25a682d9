"""The reads and writes that a commune's own half-connector asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select, update

from gateway.core.request import Attachment
from gateway.store import history, sealed
from gateway.store.dialect import add_all
from gateway.store.reading import lock_request, request_by_id
from gateway.store.rows import IncomingChange, StoredRequest
from gateway.store.tables import ATTACHMENT, EVENT, HEARD, REQUEST


class KeyedReception(StrEnum):
    """The answer to a change that bears a key."""

    NEW = "new"
    KNOWN = "known"
    CONFLICT = "conflict"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class KeyedChange:
    """A change under the commune's own `key`; `digest` is a hash of all that it says. `number` is
    the commune's own of the request, where it tells one."""

    request_id: str
    key: str
    digest: str
    number: str | None = None

    @property
    def name(self) -> str:
        """Its name among what was heard of the request, before the digest."""
        return f"pivot:{self.key}:"


def find_request(
    connection: Connection, commune: str, gru: str, request_id: str
) -> StoredRequest | None:
    """Return a request of this GRU of this commune; None for another's, and for none."""
    found = request_by_id(connection, request_id)
    ours = found is not None and (found.commune, found.gru) == (commune, gru)
    return found if ours else None


def attachment(connection: Connection, request_id: str, sha256: str) -> Attachment | None:
    """Return a citizen's file of a request, by what is in it."""
    row = connection.execute(
        select(*sealed.ATTACHMENT_COLUMNS)
        .join(EVENT, EVENT.c.id == ATTACHMENT.c.event_id)
        .where(
            ATTACHMENT.c.request_id == request_id,
            ATTACHMENT.c.address.in_([sealed.address(connection, request_id, sha256), sha256]),
            EVENT.c.origin == "portal",
        )
        .limit(1)
    ).first()
    return None if row is None else sealed.read_attachment(connection, row)


def apply_keyed(
    connection: Connection,
    change: KeyedChange,
    commune: str,
    gru: str,
    news: Sequence[IncomingChange],
    judge: history.Judge,
    now: datetime,
    new_id: Callable[[], str],
) -> tuple[KeyedReception, list[str]]:
    """Apply all that a change says, once per key, or nothing of it; the lanes of the reports."""
    if not lock_request(connection, change.request_id):
        return KeyedReception.ERASED, []
    mine = HEARD.c.request_id == change.request_id
    heard = connection.execute(select(HEARD.c.name).where(mine)).scalars()
    told = next((name for name in heard if name.startswith(change.name)), None)
    if told is not None:
        same = told == change.name + change.digest
        return (KeyedReception.KNOWN if same else KeyedReception.CONFLICT), []
    marks = [{"request_id": change.request_id, "name": change.name + change.digest}]
    add_all(connection, HEARD, marks)
    if change.number is not None:
        unnamed = REQUEST.c.id == change.request_id, REQUEST.c.gru_reference.is_(None)
        connection.execute(update(REQUEST).where(*unnamed).values(gru_reference=change.number))
    lanes = history.apply_changes(connection, commune, gru, news, judge, now, new_id)
    return KeyedReception.NEW, lanes
