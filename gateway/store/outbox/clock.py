"""Corrects times written by a clock that was set back since: somebody would wait for them. All such
times of the database are corrected here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.core.delivery import State
from gateway.store import installation, statements
from gateway.store.conditions import ASKABLE
from gateway.store.tables import ATTEMPT, DELIVERY, LANE, REQUEST

_REWIND = statements.load("backlog")["rewind"]
_LATEST_ATTEMPT = select(ATTEMPT.c.started_at).order_by(ATTEMPT.c.id.desc()).limit(1)
_CLAIMABLE = [State.WAITING.value, State.UNSURE.value]


def latest_act(connection: Connection) -> datetime | None:
    """Return when the last attempt began, or the database was put back if that is later, each by
    the clock of its time. None when there was neither."""
    attempt: datetime | None = connection.execute(_LATEST_ATTEMPT).scalar()
    restored = installation.restored_at(connection)
    return max((at for at in (attempt, restored) if at is not None), default=None)


def rewind(connection: Connection, now: datetime) -> None:
    """Correct every time ahead of `now`, except what lanes have under way (`rewind_lanes`).

    Breaks end, open breakers may be probed, questions are due, and so is what waits behind others.
    A call too early costs a far end little; a time far ahead would stop its commune until then.
    Reads whole tables, once for each time that the clock was set back.
    """
    connection.execute(update(LANE).where(LANE.c.hold_until > now).values(hold_until=None))
    connection.execute(update(LANE).where(LANE.c.probe_at > now).values(probe_at=now))
    # Those without a number as well: it may come before that time.
    connection.execute(update(REQUEST).where(REQUEST.c.ask_at > now).values(ask_at=now))
    # A delivery behind another was never sent; an unsure one is asked about once it is at the head.
    behind = (DELIVERY.c.state.in_(_CLAIMABLE), ~DELIVERY.c.head)
    connection.execute(
        update(DELIVERY).where(*behind, DELIVERY.c.next_at > now).values(next_at=now)
    )
    installation.rewind_restore(connection, now)


def rewind_questions(connection: Connection, commune: str, gru: str, now: datetime) -> None:
    """Make the questions about one GRU's tickets due, by an index: a poll sees that a clock ahead
    made the last one."""
    connection.execute(
        update(REQUEST)
        .where(ASKABLE, REQUEST.c.commune == commune, REQUEST.c.gru == gru)
        .where(REQUEST.c.ask_at > now)
        .values(ask_at=now)
    )


def rewind_lanes(
    connection: Connection, lanes: Sequence[str], now: datetime, ask_at: datetime
) -> int:
    """Correct the times of these lanes that are ahead of `now`; return how many.

    A waiting delivery is due now. An unsure one is asked about at `ask_at`, not before: the far end
    may still work on it.
    """
    given = {"lanes": list(lanes), "now": now, "ask_at": ask_at}
    return _REWIND.run(connection, **given).rowcount
