"""A person's acts on a delivery: replay it, answer its question, discard it."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, false, select, update

from gateway.core import reasons
from gateway.core.delivery import FINAL, MOVES, Kind, State
from gateway.core.errors import Conflict, NotFound
from gateway.core.lane_name import PortalLane
from gateway.core.reasons import About
from gateway.core.status import Status
from gateway.store.notices import notify
from gateway.store.outbox.backlog import find_delivery
from gateway.store.outbox.enqueuing import promote
from gateway.store.outbox.rows import Delivery, NewReport
from gateway.store.outbox.settling import owe_report
from gateway.store.reading import DELIVERY_COLUMNS, lock_request, to_delivery
from gateway.store.tables import DELIVERY, REQUEST
from gateway.store.texts import say


def replay(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Send a parked or dead delivery again, with a new clock.

    Its far end is asked first, unless nobody was ever called: it may hold the delivery whatever it
    answered. Where it cannot be asked and there is doubt, a person is.
    """
    known = find_delivery(connection, delivery_id)
    called = known is not None and reasons.of(known.reason).about is not About.UNSENT
    return _move(
        connection,
        delivery_id,
        {State.PARKED, State.DEAD},
        State.UNSURE if called else State.WAITING,
        "replayed",
        now,
        created_at=now,
        failures=0,
    )


def resolve(
    connection: Connection,
    delivery_id: str,
    there: bool,
    now: datetime,
    *,
    reference: str | None = None,
) -> Delivery:
    """Take a person's answer to "does the far end have it?": yes ends it, no sends it again.

    The portal is told of a creation that is there as of any other, with the GRU's `reference` if
    the person could read it.
    """
    state = State.DONE if there else State.WAITING
    reason = "person_said_yes" if there else "person_said_no"
    moved = _move(connection, delivery_id, {State.QUESTION}, state, reason, now, sent_at=None)
    if not there or moved.kind is not Kind.SUBMIT:
        return moved
    mine = REQUEST.c.id == moved.request_id
    if reference is not None:
        connection.execute(update(REQUEST).where(mine).values(gru_reference=reference))
    told = connection.execute(
        update(REQUEST)
        .where(mine, REQUEST.c.status == Status.RECEIVED.value)
        .values(status=Status.TRANSMITTED.value, status_at=now)
        .returning(REQUEST.c.portal, REQUEST.c.commune)
    ).first()
    if told is not None:
        report = NewReport(
            event_id=f"{delivery_id}-yes",
            delivery_id=f"{delivery_id}-told",
            request_id=moved.request_id,
            lane=str(PortalLane(told.portal, told.commune)),
            origin="gateway",
            key="transmitted",
            at=now,
            body={"status": Status.TRANSMITTED.value, "message": None},
            status=Status.TRANSMITTED,
        )
        owe_report(connection, report, now)
    return moved


def discard(
    connection: Connection, delivery_id: str, now: datetime, *, because: str = ""
) -> Delivery:
    """Discard it: what waited behind it goes on. `because` becomes its detail."""
    states = {s for s, to in MOVES.items() if State.DISCARDED in to} - {State.SENDING}
    return _move(connection, delivery_id, states, State.DISCARDED, "discarded", now, detail=because)


def _move(
    connection: Connection,
    delivery_id: str,
    from_states: Set[State],
    to: State,
    reason: str,
    now: datetime,
    **values: Any,
) -> Delivery:
    final = to in FINAL
    owner = connection.execute(
        select(DELIVERY.c.request_id).where(DELIVERY.c.id == delivery_id)
    ).scalar()
    if owner is not None:
        lock_request(connection, owner)
    row = connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.id == delivery_id,
            DELIVERY.c.state.in_([s.value for s in from_states]),
        )
        .values(
            state=to.value,
            reason=reason,
            next_at=now,
            head=false() if final else DELIVERY.c.head,
            settled_at=now if final else None,
            **{"detail": "", **values},
        )
        .returning(*DELIVERY_COLUMNS)
    ).first()
    if row is None:
        now_is = find_delivery(connection, delivery_id)
        if now_is is None:
            raise NotFound(say("no_delivery", id=delivery_id))
        allowed = tuple(sorted(s.value for s in from_states))
        state = now_is.state.value
        raise Conflict(say("other_state", id=delivery_id, state=state, allowed=allowed))
    moved = to_delivery(row)
    notify(connection, moved.lane)
    if final:
        promote(connection, [(moved.request_id, moved.lane)])
    return moved
