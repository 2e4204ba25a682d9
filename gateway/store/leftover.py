"""The unfinished work that withdrawing or pausing a commune would leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.core.delivery import FINAL, Kind
from gateway.core.status import FINAL as ENDED
from gateway.store.outbox import backlog
from gateway.store.tables import DELIVERY, REQUEST


@dataclass(frozen=True, slots=True)
class Leftover:
    """`open` requests have not ended. `waiting` deliveries go by themselves, `person` ones wait for
    a person; `erasures` of both are orders to erase somebody."""

    open: int = 0
    waiting: int = 0
    person: int = 0
    erasures: int = 0


def leftovers(
    connection: Connection, lanes: Mapping[str, Sequence[str]], now: datetime
) -> dict[str, Leftover]:
    """Count unfinished work by commune, given the lanes of each."""
    requests = connection.execute(
        select(REQUEST.c.commune, func.count())
        .where(
            REQUEST.c.commune.in_(list(lanes)),
            REQUEST.c.status.not_in([one.value for one in ENDED]),
            REQUEST.c.erased_at.is_(None),
        )
        .group_by(REQUEST.c.commune)
    )
    opened = {row[0]: row[1] for row in requests}
    orders = connection.execute(
        select(DELIVERY.c.lane, func.count())
        .where(
            DELIVERY.c.lane.in_([lane for names in lanes.values() for lane in names]),
            DELIVERY.c.kind == Kind.ERASE.value,
            DELIVERY.c.state.not_in([one.value for one in FINAL]),
        )
        .group_by(DELIVERY.c.lane)
    )
    erasures = {row[0]: row[1] for row in orders}
    waiting = backlog.waiting_by_lane(connection, now)
    found = {}
    for insee, names in lanes.items():
        counts = [waiting[lane] for lane in names if lane in waiting]
        person = sum(one[1] for one in counts)
        found[insee] = Leftover(
            opened.get(insee, 0),
            sum(one[0] for one in counts) - person,
            person,
            sum(erasures.get(lane, 0) for lane in names),
        )
    return found
