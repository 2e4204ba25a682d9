"""The open deliveries: on which lanes they wait, since when, and which of them need a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    and_,
    case,
    exists,
    func,
    or_,
    select,
)

from gateway.core import reasons
from gateway.core.delivery import State
from gateway.core.reasons import About
from gateway.store import statements, untold
from gateway.store.conditions import FAILING, OPEN, PERSON
from gateway.store.outbox.rows import Delivery
from gateway.store.reading import DELIVERY_COLUMNS, to_delivery
from gateway.store.tables import DELIVERY, LANE, REQUEST

_SQL = statements.load("backlog")
_HURRY, _LANES_WITH_WORK = _SQL["hurry"], _SQL["lanes_with_work"]
#: A delivery that has failed so often, and is so old, is stuck: shown to a person, while it goes
#: on being tried.
STUCK_FOR = timedelta(minutes=15)


#: What says that something ails the lane, and no single request of it.
_OF_THE_LANE = [
    one.word for one in reasons.BUILT_IN if one.about in (About.FAR_END, About.SETTINGS)
]


def hurry(connection: Connection, lane: str, idle: datetime) -> int:
    """Have what failed while the far end was away be due at once, as it is back; how much that is.

    It is due since it was made, so that the backlog leaves in the order in which it came. What is
    unsure is asked about if it was sent before `idle`, so that the far end must be through with it;
    else it waits. How often it was asked in vain is forgotten.
    """
    return _HURRY.run(connection, lane=lane, idle=idle).rowcount


def lanes_with_work(connection: Connection) -> list[str]:
    """List the lanes that owe anything claimable."""
    return [row[0] for row in _LANES_WITH_WORK.rows(connection)]


def find_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(select(*DELIVERY_COLUMNS).where(DELIVERY.c.id == delivery_id)).first()
    return None if row is None else to_delivery(row)


def listing(
    connection: Connection,
    *,
    states: Sequence[State] | None = None,
    commune: str | None = None,
    request_id: str | None = None,
    limit: int = 100,
    now: datetime | None = None,
) -> list[Delivery]:
    """List deliveries, oldest first; by default those that wait for a person.

    With `now`, these and those that are stuck.
    """
    wanted: list[ColumnElement[bool] | TextClause]
    if states is not None:
        wanted = [DELIVERY.c.state.in_([s.value for s in states])]
    else:
        wanted = [PERSON] if now is None else [PERSON, _stuck(now)]
    found: list[Delivery] = []
    for condition in wanted:  # each has an index of its own
        statement = select(*DELIVERY_COLUMNS).order_by(DELIVERY.c.created_at).limit(limit)
        if request_id is not None:
            statement = statement.where(DELIVERY.c.request_id == request_id)
        if commune is not None:
            statement = statement.join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id).where(
                REQUEST.c.commune == commune
            )
        found += [to_delivery(row) for row in connection.execute(statement.where(condition))]
    return sorted(found, key=lambda one: one.created_at)[:limit]


def _stuck(now: datetime) -> ColumnElement[bool]:
    """Return the condition of deliveries that are tried again and again, and fail for a reason of
    their own or while their lane does well."""
    lane_well = ~exists().where(LANE.c.name == DELIVERY.c.lane, LANE.c.breaker != "closed")
    return and_(
        FAILING,
        DELIVERY.c.created_at <= now - STUCK_FOR,
        or_(
            DELIVERY.c.reason.not_in(_OF_THE_LANE),
            # Where nobody was reached, no single request is at fault.
            and_(lane_well, DELIVERY.c.reason.not_in(reasons.UNCONNECTED)),
        ),
    )


def waiting_by_lane(
    connection: Connection, now: datetime | None = None
) -> dict[str, tuple[int, int, datetime]]:
    """Count by lane what is open and what of it needs a person, and tell since when the oldest is.

    What a GRU told and a person is to look at waits on the GRU's lane. With `now`, what is stuck
    needs a person, too.
    """
    person: ColumnElement[bool] = DELIVERY.c.state.in_(
        [State.QUESTION.value, State.PARKED.value, State.DEAD.value]
    )
    if now is not None:
        person = or_(person, _stuck(now))
    rows = connection.execute(
        select(
            DELIVERY.c.lane,
            func.count(),
            func.sum(case((person, 1), else_=0)),
            func.min(DELIVERY.c.created_at),
        )
        .where(OPEN)
        .group_by(DELIVERY.c.lane)
    )
    found = {lane: (n, people, oldest) for lane, n, people, oldest in rows}
    for lane, (more, since) in untold.waiting_by_lane(connection).items():
        count, people, oldest = found.get(lane, (0, 0, since))
        found[lane] = (count + more, people + more, min(oldest, since))
    return found
