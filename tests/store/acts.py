"""The usual acts of the outbox's tests: accept, claim, settle, read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from gateway.core.delivery import Settlement, State
from gateway.core.request import EventKind
from gateway.core.status import Status
from gateway.store import accepting, requests
from gateway.store.engine import Store
from gateway.store.outbox import backlog, settling
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import AttemptRecord, Delivery, NewReport, SettlementWrite
from gateway.store.rows import Acceptance, Trace
from gateway.store.tables import DELIVERY, REQUEST
from tests.builders import GRU_LANE, NOW, incoming, service_request, take

LEASE = 60.0


async def accept(store: Store, **changes: Any) -> Acceptance:
    return await store.write(accepting.accept, incoming(**changes))


async def amend(store: Store, ref: str, n: int, **changes: Any) -> Acceptance:
    """The n-th message on a request."""
    later = service_request(
        ref=ref,
        kind=EventKind.MESSAGE,
        key=f"message-{n}",
        message=f"message {n}",
        now=NOW + timedelta(seconds=n),
    )
    return await store.write(accepting.accept, incoming(later, **changes))


async def claim(
    store: Store, *, limit: int = 1, lane: str = GRU_LANE, owner: str = "one", now: datetime = NOW
) -> list[Claimed]:
    return await store.write(take, lane, limit, owner=owner, now=now, lease=LEASE)


async def claim_one(store: Store, **how: Any) -> Claimed:
    (claimed,) = await claim(store, **how)
    return claimed


def settled(
    claimed: Claimed,
    state: State,
    *,
    now: datetime = NOW,
    next_at: datetime | None = None,
    reference: str | None = None,
    reports: tuple[NewReport, ...] = (),
    status: Status | None = None,
    reason: str = "because",
    failures: int = 0,
) -> SettlementWrite:
    return SettlementWrite(
        delivery_id=claimed.delivery.id,
        request_id=claimed.request.id,
        lane=claimed.delivery.lane,
        fence=claimed.delivery.fence,
        settlement=Settlement(
            state, reason, next_at=next_at, reference=reference, failures=failures
        ),
        tried=AttemptRecord("find" if claimed.delivery.asking else "send", now, 12, "accepted"),
        now=now,
        reports=reports,
        status=status,
    )


async def settle(store: Store, claimed: Claimed, state: State, **how: Any) -> bool:
    return await store.write(settling.settle, settled(claimed, state, **how))


async def trace(store: Store, request_id: str) -> Trace:
    found = await store.read(requests.trace, request_id)
    assert found is not None
    return found


async def get(store: Store, delivery_id: str) -> Delivery:
    found = await store.read(backlog.find_delivery, delivery_id)
    assert found is not None
    return found


def put(connection: Connection, delivery_id: str, state: State, now: datetime = NOW) -> None:
    """Bring a delivery into a state by force, as the database's CHECKs allow it."""
    final = state in (State.DONE, State.DISCARDED)
    sending = state is State.SENDING
    connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id == delivery_id)
        .values(
            state=state.value,
            head=not final,
            settled_at=now if final else None,
            lease_owner="somebody" if sending else None,
            lease_until=now + timedelta(seconds=LEASE) if sending else None,
            failures=3,
        )
    )


def mark_erased(connection: Connection, request_id: str) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request_id).values(erased_at=NOW))
