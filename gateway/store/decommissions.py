"""The records of communes that leave: announced, moved on, ended; each step is in the trail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.core.decommission import CLOSED, GONE, OVER, REVOCABLE, DecommissionStep, Departure
from gateway.core.errors import Conflict, NotFound
from gateway.store import cursors, trail
from gateway.store.decommission_tables import DECOMMISSION
from gateway.store.texts import say

#: The trail of decommissions: who, why, when, and counts.
STREAM = "decommission"
#: Names in the cursors what a decommission waits for past its time.
WAITING = "decommission:"


@dataclass(frozen=True, slots=True)
class Decommission:
    """One commune's end. `drain` and `tell` bound two steps, in seconds. `counts` are numbers by
    word. `reopened_at`: the commune is connected again. `codes` are INSEE codes beside `commune`
    that mean it as well."""

    id: str
    commune: str
    name: str
    portal: str
    step: DecommissionStep
    by: str
    because: str
    announced_at: datetime
    stop_at: datetime
    drain: int
    tell: int
    closed_at: datetime | None = None
    settled_at: datetime | None = None
    erasing_at: datetime | None = None
    ended_at: datetime | None = None
    reopened_at: datetime | None = None
    codes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def drain_until(self) -> datetime:
        """The time until which what waits may still go to the GRU."""
        return (self.closed_at or self.stop_at) + timedelta(seconds=self.drain)

    @property
    def tell_until(self) -> datetime:
        """The time until which the portal is told."""
        return (self.settled_at or self.drain_until) + timedelta(seconds=self.tell)

    @property
    def due_at(self) -> datetime:
        """The time by which the present step should be over."""
        match self.step:
            case DecommissionStep.ANNOUNCED:
                return self.stop_at
            case DecommissionStep.DRAINING:
                return self.drain_until
            case DecommissionStep.TELLING:
                return self.tell_until
        return self.erasing_at or self.tell_until

    @property
    def live(self) -> bool:
        return self.step not in OVER

    @property
    def departure(self) -> Departure:
        return Departure(self.commune, self.name, self.step, self.closed_at, self.codes)


_COLUMNS = tuple(DECOMMISSION.c[name] for name in Decommission.__slots__)
_CURRENT = (
    DECOMMISSION.c.reopened_at.is_(None),
    DECOMMISSION.c.step != DecommissionStep.CANCELLED.value,
)
_TIMES = {
    DecommissionStep.DRAINING: "closed_at",
    DecommissionStep.TELLING: "settled_at",
    DecommissionStep.ERASING: "erasing_at",
    DecommissionStep.ENDED: "ended_at",
}


def waiting_name(commune: str) -> str:
    return WAITING + commune


def waits(connection: Connection, commune: str) -> dict[str, Any] | None:
    """Return what a decommission waits for past its time, by word; None: it is in time."""
    known = cursors.get(connection, waiting_name(commune))
    if known is None:
        return None
    found: dict[str, Any] = json.loads(known.value or "{}")
    return found


def announce(connection: Connection, one: Decommission) -> None:
    """Record that a commune will leave. Raises Conflict when it leaves, or has left, already."""
    trail.lock_trail(connection)
    known = current(connection, one.commune)
    if known is not None:
        raise Conflict(say("leaves_already", commune=one.commune, id=known.id))
    values = {name: getattr(one, name) for name in Decommission.__slots__}
    values |= {"step": one.step.value, "counts": json.dumps(dict(one.counts))}
    values["codes"] = " ".join(one.codes)
    connection.execute(insert(DECOMMISSION).values(**values))
    data = {
        "decommission": one.id,
        "commune": one.commune,
        "name": one.name,
        "by": one.by,
        "because": one.because,
        "stop_at": one.stop_at.isoformat(),
        "drain": one.drain,
        "tell": one.tell,
    }
    trail.append(connection, STREAM, "announced", data, one.announced_at)


def current(connection: Connection, commune: str) -> Decommission | None:
    """Return the decommission that counts for a commune; None where it is connected as any."""
    row = connection.execute(
        select(*_COLUMNS).where(DECOMMISSION.c.commune == commune, *_CURRENT)
    ).first()
    return None if row is None else _read(row)


def every(connection: Connection) -> list[Decommission]:
    """List the decommissions that count, by commune."""
    rows = connection.execute(select(*_COLUMNS).where(*_CURRENT).order_by(DECOMMISSION.c.commune))
    return [_read(row) for row in rows]


def gone(connection: Connection) -> list[str]:
    """List the communes that are served no more."""
    return [one.commune for one in every(connection) if one.step in GONE]


def departed(connection: Connection) -> list[str]:
    """List the communes from which nothing is taken any more."""
    return [one.commune for one in every(connection) if one.step in CLOSED]


def advance(
    connection: Connection,
    one: Decommission,
    step: DecommissionStep,
    now: datetime,
    counts: Mapping[str, int] | None = None,
) -> bool:
    """Move to the next step, once; add `counts`. False when another process was faster."""
    mine = DECOMMISSION.c.id == one.id
    stored = select(DECOMMISSION.c.counts).where(mine, DECOMMISSION.c.step == one.step.value)
    text = connection.execute(stored.with_for_update()).scalar()
    if text is None:
        return False
    known = json.dumps({**json.loads(text), **(counts or {})})
    values = {"step": step.value, "counts": known, _TIMES[step]: now}
    connection.execute(update(DECOMMISSION).where(mine).values(**values))
    cursors.forget(connection, waiting_name(one.commune))
    data: dict[str, Any] = {"decommission": one.id, "commune": one.commune, **(counts or {})}
    trail.append(connection, STREAM, step.value, data, now)
    return True


def count(connection: Connection, one: Decommission, more: Mapping[str, int]) -> None:
    """Add these numbers to those of a decommission."""
    text = connection.execute(
        select(DECOMMISSION.c.counts).where(DECOMMISSION.c.id == one.id).with_for_update()
    ).scalar_one()
    known = json.loads(text)
    for name, number in more.items():
        known[name] = known.get(name, 0) + number
    connection.execute(
        update(DECOMMISSION).where(DECOMMISSION.c.id == one.id).values(counts=json.dumps(known))
    )


def note_codes(connection: Connection, one: Decommission, codes: tuple[str, ...]) -> None:
    """Note the further codes of a commune that leaves, as they are when it closes."""
    mine = DECOMMISSION.c.id == one.id
    connection.execute(update(DECOMMISSION).where(mine).values(codes=" ".join(codes)))


def cancel(connection: Connection, commune: str, by: str, now: datetime) -> Decommission:
    """Give a decommission up. Raises NotFound, and Conflict once anything was dropped."""
    one = _known(connection, commune)
    if one.step not in REVOCABLE:
        raise Conflict(say("leaves_for_good", commune=commune, step=one.step.value))
    connection.execute(
        update(DECOMMISSION)
        .where(DECOMMISSION.c.id == one.id)
        .values(step=DecommissionStep.CANCELLED.value)
    )
    cursors.forget(connection, waiting_name(commune))
    data = {"decommission": one.id, "commune": commune, "by": by}
    trail.append(connection, STREAM, "cancelled", data, now)
    return one


def hurry(connection: Connection, commune: str, by: str, now: datetime) -> Decommission:
    """Wait no longer in the present step. Raises NotFound, and Conflict for one that is over."""
    one = _known(connection, commune)
    if not one.live:
        raise Conflict(say("has_left", commune=commune, id=one.id))
    values: dict[str, Any] = {}
    if one.step is DecommissionStep.ANNOUNCED:
        values = {"stop_at": min(now, one.stop_at)}
    elif one.step is DecommissionStep.DRAINING:
        values = {"drain": 0}
    elif one.step is DecommissionStep.TELLING:
        values = {"tell": 0}
    if values:
        mine = DECOMMISSION.c.id == one.id
        connection.execute(update(DECOMMISSION).where(mine).values(**values))
        data = {"decommission": one.id, "commune": commune, "by": by, "step": one.step.value}
        trail.append(connection, STREAM, "hurried", data, now)
    return one


def reopen(connection: Connection, commune: str, by: str, now: datetime) -> Decommission:
    """Let a commune that has left be connected again. Raises NotFound, and Conflict while it is
    still leaving."""
    one = _known(connection, commune)
    if one.live:
        raise Conflict(say("still_leaves", commune=commune, step=one.step.value))
    connection.execute(
        update(DECOMMISSION).where(DECOMMISSION.c.id == one.id).values(reopened_at=now)
    )
    data = {"decommission": one.id, "commune": commune, "by": by}
    trail.append(connection, STREAM, "reopened", data, now)
    return one


def refuse_departed(connection: Connection, communes: Mapping[str, Any]) -> None:
    """Raises Conflict when one of these communes leaves, or has left."""
    for one in every(connection):
        if one.commune in communes and one.step in CLOSED:
            raise Conflict(say("has_left", commune=one.commune, id=one.id))


def _known(connection: Connection, commune: str) -> Decommission:
    trail.lock_trail(connection)
    one = current(connection, commune)
    if one is None:
        raise NotFound(say("leaves_not", commune=commune))
    return one


def _read(row: Any) -> Decommission:
    values = dict(zip(Decommission.__slots__, row, strict=True))
    values["step"] = DecommissionStep(values["step"])
    values["counts"] = json.loads(values["counts"])
    values["codes"] = tuple((values["codes"] or "").split())
    return Decommission(**values)
