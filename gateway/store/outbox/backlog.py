"""The open deliveries: their lanes, their age, and which of them need a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from gateway.store.conditions import DUE, FAILING, OPEN, PERSON
from gateway.store.outbox.rows import Delivery
from gateway.store.reading import DELIVERY_COLUMNS, to_delivery
from gateway.store.tables import DELIVERY, LANE, REQUEST

_SQL = statements.load("backlog")
_HURRY, _LANES_WITH_WORK = _SQL["hurry"], _SQL["lanes_with_work"]
#: A delivery that failed so often, and is so old, is stuck: it is shown to a person while it is
#: still tried.
STUCK_FOR = timedelta(minutes=15)


#: Says that the lane is at fault, and no single request.
_OF_THE_LANE = [
    one.word for one in reasons.BUILT_IN if one.about in (About.FAR_END, About.SETTINGS)
]


def hurry(connection: Connection, lane: str, idle: datetime) -> int:
    """Make due at once what failed while the far end was away; return how many.

    They are due as of their creation, so the backlog leaves in its order. An unsure one is asked
    about if it was sent before `idle`, when the far end must have finished with it; otherwise it
    waits. Earlier questions in vain are forgotten.
    """
    return _HURRY.run(connection, lane=lane, idle=idle).rowcount


def lanes_with_work(connection: Connection) -> list[str]:
    """List the lanes with claimable deliveries."""
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
    """List deliveries, oldest first; by default those that wait for a person. With `now`, stuck
    ones as well."""
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
    """Return the condition of stuck deliveries: they fail again and again for a reason of their
    own, or while their lane is well."""
    lane_well = ~exists().where(LANE.c.name == DELIVERY.c.lane, LANE.c.breaker != "closed")
    return and_(
        FAILING,
        DELIVERY.c.created_at <= now - STUCK_FOR,
        or_(
            DELIVERY.c.reason.not_in(_OF_THE_LANE),
            # A reason without a connection is no single request's fault.
            and_(lane_well, DELIVERY.c.reason.not_in(reasons.UNCONNECTED)),
        ),
    )


@dataclass(frozen=True, slots=True)
class LanePressure:
    """The weight on a lane: since when the oldest delivery that could go waits, and how many wait
    for a person."""

    oldest: datetime | None = None
    parked: int = 0


def pressure(connection: Connection) -> dict[str, LanePressure]:
    """Return what weighs on each lane."""
    oldest = connection.execute(
        select(DELIVERY.c.lane, func.min(DELIVERY.c.created_at))
        .where(DUE)
        .group_by(DELIVERY.c.lane)
    )
    found = {lane: LanePressure(first) for lane, first in oldest}
    parked = connection.execute(
        select(DELIVERY.c.lane, func.count()).where(PERSON).group_by(DELIVERY.c.lane)
    )
    for lane, count in parked:
        found[lane] = LanePressure(found[lane].oldest if lane in found else None, count)
    return found


def waiting_by_lane(
    connection: Connection, now: datetime | None = None
) -> dict[str, tuple[int, int, datetime]]:
    """Count each lane's open deliveries and those that need a person, with the age of the oldest.

    A GRU's change that needs a person counts on the GRU's lane. With `now`, stuck deliveries need a
    person.
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
