"""Enqueues deliveries, each behind the open ones of its request on the same lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert

from gateway.core.content import Content
from gateway.core.delivery import Kind, State
from gateway.core.request import Attachment
from gateway.store import blobs, sealed, statements
from gateway.store.notices import notify
from gateway.store.outbox import feed
from gateway.store.tables import ATTACHMENT

_SQL = statements.load("enqueue")
_OWED, _INSERT, _PROMOTE = _SQL["owed"], _SQL["insert_delivery"], _SQL["promote"]


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """One delivery for one far end, sent when it is `due`. `asks`: the far end may have it already,
    and is asked first."""

    id: str
    request_id: str
    event_id: str
    kind: Kind
    lane: str
    made_at: datetime
    due: datetime
    attachment_id: str | None = None
    asks: bool = False
    #: It gets a number in its lane's feed, as the erasure of what is in one does anyway.
    fed: bool = False


def enqueue(
    connection: Connection, deliveries: Sequence[QueuedDelivery], *, new: bool = False
) -> None:
    """Enqueue these in order, behind open deliveries of their requests on the same lanes. The
    transaction has locked these requests, or made them (`new`): then they have none yet."""
    if not deliveries:
        return
    ids = sorted({one.request_id for one in deliveries})
    owed: dict[tuple[str, str], tuple[int, ...]] = {}
    if not new:
        owed = {row[:2]: row[2:] for row in _OWED.rows(connection, ids=ids)}
    fed = [one for one in deliveries if _is_fed(one, owed)]
    numbers = feed.next_numbers(connection, (one.lane for one in fed))
    by_id = {one.id: number for one, number in zip(fed, numbers, strict=True)}
    rows = []
    for one in deliveries:
        last, still_open, *_ = owed.get((one.request_id, one.lane), (0, 0))
        owed[one.request_id, one.lane] = (last + 1, still_open + 1)
        rows.append(
            {
                "id": one.id,
                "request_id": one.request_id,
                "event_id": one.event_id,
                "attachment_id": one.attachment_id,
                "kind": one.kind.value,
                "lane": one.lane,
                "seq": last + 1,
                # Unsure though never sent: the far end is asked, and it is sent unless that has it.
                "state": (State.UNSURE if one.asks else State.WAITING).value,
                "head": not still_open,
                "due": one.due,
                "made_at": one.made_at,
                "feed": by_id.get(one.id),
            }
        )
    _INSERT.run_all(connection, rows)
    notify(connection, *sorted({one.lane for one in deliveries}))


def _is_fed(one: QueuedDelivery, owed: Mapping[tuple[str, str], tuple[int, ...]]) -> bool:
    numbered = owed.get((one.request_id, one.lane), (0, 0, 0))[2:]
    return one.fed or (one.kind is Kind.ERASE and any(numbered))


def attach(
    connection: Connection,
    request_id: str,
    key_id: str | None,
    event_id: str,
    n: int,
    attachment: Attachment,
    content: Content,
) -> str:
    """Store the n-th file of an event, with the key of its request; return its attachment id."""
    address = sealed.address(connection, request_id, attachment.sha256)
    blobs.store(connection, content, address, key_id)
    attachment_id = f"{event_id}-{n:03}"
    connection.execute(
        insert(ATTACHMENT).values(
            id=attachment_id,
            request_id=request_id,
            event_id=event_id,
            field=attachment.field,
            filename=sealed.seal_name(connection, key_id, attachment_id, request_id, attachment),
            content_type=attachment.content_type,
            size=attachment.size,
            address=address,
        )
    )
    return attachment_id


def promote(connection: Connection, places: Sequence[tuple[str, str]]) -> None:
    """Let the next open delivery of each request and lane go, if it is not at the head already."""
    rows = [{"request_id": request_id, "lane": lane} for request_id, lane in places]
    _PROMOTE.run_all(connection, rows)
