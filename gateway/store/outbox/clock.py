"""Bring back times that were written by a clock that has been set back since: somebody would wait
until then. All such times of the database are brought back here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.core.delivery import State
from gateway.store import installation, statements
from gateway.store.conditions import ASKABLE
from gateway.store.tables import ATTEMPT, DELIVERY, LANE, REQUEST

_REWIND = statements.load("backlog")["rewind"]


def latest_act(connection: Connection) -> datetime | None:
    """Tell when the last attempt began, or when the database was put back, if later: each by the
    clock of its time. None when there was neither."""
    attempt: datetime | None = connection.execute(
        select(ATTEMPT.c.started_at).order_by(ATTEMPT.c.id.desc()).limit(1)
    ).scalar()
    put_back = installation.put_back_at(connection)
    return max((at for at in (attempt, put_back) if at is not None), default=None)


def rewind(connection: Connection, now: datetime) -> None:
    """Have nobody wait for a time of a clock ahead of `now`, but for what lanes have under way
    (`rewind_lanes`): breaks are over, open breakers may be probed, questions are due, and so is
    what waits behind others. A database that was put back was so no later than now.

    A call too early costs a far end little; a time that was set down by a clock far ahead would
    cost its commune all that time. Whole tables are read, once each time that it is set back.
    """
    connection.execute(update(LANE).where(LANE.c.hold_until > now).values(hold_until=None))
    connection.execute(update(LANE).where(LANE.c.probe_at > now).values(probe_at=now))
    # Those without a number, too, which may come in an hour that is earlier again.
    connection.execute(update(REQUEST).where(REQUEST.c.ask_at > now).values(ask_at=now))
    connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.state == State.WAITING.value, ~DELIVERY.c.head, DELIVERY.c.next_at > now)
        .values(next_at=now)
    )
    installation.rewind_put_back(connection, now)


def rewind_questions(connection: Connection, commune: str, gru: str, now: datetime) -> None:
    """Have the questions about one GRU's tickets be due, by an index: a poll sees that the one
    before it was made by a clock ahead."""
    connection.execute(
        update(REQUEST)
        .where(ASKABLE, REQUEST.c.commune == commune, REQUEST.c.gru == gru)
        .where(REQUEST.c.ask_at > now)
        .values(ask_at=now)
    )


def rewind_lanes(
    connection: Connection, lanes: Sequence[str], now: datetime, ask_at: datetime
) -> int:
    """Have lanes go on with what a clock ahead of `now` has set down; how much that is.

    What only waits is due now. What is unsure is asked about at `ask_at` at the latest, and no
    earlier: the far end may still be at work on it.
    """
    given = {"lanes": list(lanes), "now": now, "ask_at": ask_at}
    return _REWIND.run(connection, **given).rowcount
