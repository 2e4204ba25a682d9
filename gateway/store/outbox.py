"""Deliveries: enqueue, claim, settle, reap, and what a person may do to them.

The literal conditions on `state` and `head` repeat those of the partial indexes: with bound
parameters the planner could not use them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    update,
)

from gateway.core import reasons
from gateway.core.content import Content
from gateway.core.delivery import FINAL, STUCK_FAILURES, Kind, State
from gateway.core.reasons import About
from gateway.core.request import Attachment
from gateway.store import blobs, untold
from gateway.store.notices import notify
from gateway.store.prepared import Prepared
from gateway.store.reading import (
    ATTACHMENT,
    DELIVERY,
    DELIVERY_COLUMNS,
    LANE,
    REQUEST,
    delivery,
    hold,
)
from gateway.store.rows import Delivery

MOMENT = DELIVERY.c.next_at.type
_DUE = text("head AND state IN ('waiting', 'unsure')")
SENDING = text("state = 'sending'")
_OPEN = text("state NOT IN ('done', 'discarded')")
_PERSON = text("state IN ('question', 'parked', 'dead')")
#: The condition of `ix_delivery_stuck`.
_FAILS_ON = text(f"head AND state IN ('waiting', 'unsure') AND failures >= {STUCK_FAILURES}")
#: A delivery that has failed so often, and is so old, is stuck: shown to a person, while it goes
#: on being tried.
STUCK_FOR = timedelta(minutes=15)
#: What says that something ails the lane, and no single request of it.
_OF_THE_LANE = [
    one.word for one in reasons.BUILT_IN if one.about in (About.FAR_END, About.SETTINGS)
]


_OWED = select(
    func.max(DELIVERY.c.seq),
    func.sum(
        case((DELIVERY.c.state.in_(literal_column(f"'{s.value}'") for s in FINAL), 0), else_=1)
    ),
).where(DELIVERY.c.request_id == bindparam("of"), DELIVERY.c.lane == bindparam("on"))
OWE = Prepared(
    lambda dialect: (
        insert(DELIVERY)
        .inline()
        .values(
            id=bindparam("id"),
            request_id=bindparam("request_id"),
            event_id=bindparam("event_id"),
            attachment_id=bindparam("attachment_id"),
            kind=bindparam("kind"),
            lane=bindparam("lane"),
            seq=bindparam("seq"),
            state=bindparam("state"),
            head=bindparam("head"),
            asking=False,
            next_at=bindparam("due"),
            failures=0,
            attempts=0,
            reason="",
            detail="",
            fence=0,
            created_at=bindparam("now"),
        )
    )
)


def enqueue(
    connection: Connection,
    delivery_id: str,
    *,
    request_id: str,
    event_id: str,
    kind: Kind,
    lane: str,
    now: datetime,
    attachment_id: str | None = None,
    behind: int | None = None,
    held: bool = False,
    asks: bool = False,
) -> None:
    """Owe one thing, behind all that this request already owes on this lane.

    `held`: this transaction holds the request already. `asks`: the far end is asked first.
    `behind`: how much that is, from who has made the request in this very transaction; then the
    database is not asked.
    """
    last, still_open = behind, behind
    if behind is None:
        if not held:
            hold(connection, request_id)
        last, still_open = connection.execute(_OWED, {"of": request_id, "on": lane}).one()
    OWE(
        connection,
        id=delivery_id,
        request_id=request_id,
        event_id=event_id,
        attachment_id=attachment_id,
        kind=kind.value,
        lane=lane,
        seq=1 if last is None else last + 1,
        state=begin(asks),
        head=not still_open,
        now=now,
        due=now,
    )
    notify(connection, lane)


def begin(asks: bool) -> str:
    """The state in which a delivery begins. Unsure of what was never sent: it is asked about, and
    sent where the far end has it not or cannot tell."""
    return (State.UNSURE if asks else State.WAITING).value


def attach(
    connection: Connection,
    request_id: str,
    event_id: str,
    n: int,
    attachment: Attachment,
    content: Content,
) -> str:
    """Keep the n-th file of an event; its attachment id."""
    blobs.keep(connection, content)
    attachment_id = f"{event_id}-{n:03}"
    connection.execute(
        insert(ATTACHMENT).values(
            id=attachment_id,
            request_id=request_id,
            event_id=event_id,
            field=attachment.field,
            filename=attachment.filename,
            content_type=attachment.content_type,
            size=attachment.size,
            sha256=attachment.sha256,
        )
    )
    return attachment_id


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A claim, as others see it."""

    id: str
    lane: str
    fence: int


def under_way(connection: Connection) -> list[UnderWay]:
    """What is being sent now, by whomever."""
    rows = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.lane, DELIVERY.c.fence).where(SENDING)
    )
    return [UnderWay(*row) for row in rows]


def reap(connection: Connection, silent: Mapping[str, int], now: datetime) -> list[str]:
    """Claims (delivery and fence) whose owner let the lease run out may have been sent: they
    become unsure. Returns the lanes hit."""
    return _reap(connection, {id_: (fence, now) for id_, fence in silent.items()}, now)


def reap_all(connection: Connection, now: datetime, busy: Callable[[str], float]) -> list[str]:
    """A lone process starts, and has claimed nothing yet: every claim is a dead one's.

    `busy` tells, per lane, how many seconds a far end may be at work on a call. The dead process
    may have made one the moment before, so none is asked about earlier than that from now; but no
    later than the end of its lease, when its owner has been dead for long. Returns the lanes.
    """
    rows = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.lane, DELIVERY.c.fence, DELIVERY.c.lease_until).where(
            SENDING
        )
    ).all()
    claims = {}
    for row in rows:
        idle = now + timedelta(seconds=busy(row.lane))
        claims[row.id] = (row.fence, max(now, min(row.lease_until or idle, idle)))
    return _reap(connection, claims, now)


def _reap(
    connection: Connection, claims: Mapping[str, tuple[int, datetime]], now: datetime
) -> list[str]:
    hit = set()
    for delivery_id, (fence, ask_at) in sorted(claims.items()):
        lane = connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == delivery_id, DELIVERY.c.fence == fence, SENDING)
            .values(
                state=State.UNSURE.value,
                # Of one that was being asked about, the sending was noted before.
                sent_at=case((DELIVERY.c.asking, DELIVERY.c.sent_at), else_=literal(now, MOMENT)),
                asking=False,
                lease_owner=None,
                lease_until=None,
                reason="owner_died",
                detail="the process that was sending it stopped before the answer",
                next_at=ask_at,
            )
            .returning(DELIVERY.c.lane)
        ).scalar()
        if lane is not None:
            hit.add(lane)
            drop_erased(connection, delivery_id, now)
    for lane in sorted(hit):
        notify(connection, lane)
    return sorted(hit)


def hurry(connection: Connection, lane: str, idle: datetime) -> int:
    """The far end is back: what failed while it was away need not wait out its delay.

    They are due since they were made, so that the backlog leaves in the order in which it came.
    What is unsure is asked about if it was sent before `idle`, so that the far end must be through
    with it; else it waits. How often it was asked in vain is forgotten.
    """
    return connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.lane == lane,
            _DUE,
            or_(DELIVERY.c.state == State.WAITING.value, DELIVERY.c.sent_at < idle),
            DELIVERY.c.next_at > DELIVERY.c.created_at,
            DELIVERY.c.failures > 0,
        )
        .values(
            next_at=DELIVERY.c.created_at,
            failures=case((DELIVERY.c.state == State.UNSURE.value, 1), else_=DELIVERY.c.failures),
        )
    ).rowcount


#: From one lane to the next by the index: what waits on a lane is not read through.
_LANES_WITH_WORK = text(
    "WITH RECURSIVE found(lane) AS ("
    " SELECT min(lane) FROM delivery WHERE head AND state IN ('waiting', 'unsure')"
    " UNION ALL"
    " SELECT (SELECT min(d.lane) FROM delivery d"
    " WHERE d.head AND d.state IN ('waiting', 'unsure') AND d.lane > found.lane)"
    " FROM found WHERE found.lane IS NOT NULL)"
    " SELECT lane FROM found WHERE lane IS NOT NULL"
)


def lanes_with_work(connection: Connection) -> list[str]:
    """Lanes that owe anything claimable."""
    return [row.lane for row in connection.execute(_LANES_WITH_WORK)]


def release(connection: Connection, delivery_id: str, fence: int, now: datetime) -> bool:
    """Give a claim back untried: it goes to where it came from. False when it is not ours."""
    back = case((DELIVERY.c.asking, State.UNSURE.value), else_=State.WAITING.value)
    ours = bool(
        connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == delivery_id, DELIVERY.c.fence == fence, SENDING)
            .values(
                state=back,
                asking=False,
                lease_owner=None,
                lease_until=None,
                attempts=DELIVERY.c.attempts - 1,
                next_at=now,
            )
        ).rowcount
    )
    if ours:
        drop_erased(connection, delivery_id, now)
    return ours


def drop_erased(connection: Connection, delivery_id: str, now: datetime) -> None:
    """What was under way as its person was being erased goes no further, unless it went through.

    `next_at` stays: it tells from when on the far end must be through with what it was sent.
    """
    # EXISTS, as SQLite would read all requests for an IN.
    erased = exists().where(REQUEST.c.id == DELIVERY.c.request_id, REQUEST.c.erased_at.is_not(None))
    connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.id == delivery_id,
            DELIVERY.c.kind != Kind.ERASE.value,
            _OPEN,
            DELIVERY.c.state != State.SENDING.value,
            erased,
        )
        .values(
            state=State.DISCARDED.value, head=false(), reason="erased", detail="", settled_at=now
        )
    )


def get(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(select(*DELIVERY_COLUMNS).where(DELIVERY.c.id == delivery_id)).first()
    return None if row is None else delivery(row)


def listing(
    connection: Connection,
    *,
    states: Sequence[State] | None = None,
    commune: str | None = None,
    request_id: str | None = None,
    limit: int = 100,
    now: datetime | None = None,
) -> list[Delivery]:
    """Deliveries, oldest first; by default those that wait for a person.

    With `now`, these and those that are stuck.
    """
    wanted: list[ColumnElement[bool] | TextClause]
    if states is not None:
        wanted = [DELIVERY.c.state.in_([s.value for s in states])]
    else:
        wanted = [_PERSON] if now is None else [_PERSON, _stuck(now)]
    found: list[Delivery] = []
    for condition in wanted:  # each has an index of its own
        statement = select(*DELIVERY_COLUMNS).order_by(DELIVERY.c.created_at).limit(limit)
        if request_id is not None:
            statement = statement.where(DELIVERY.c.request_id == request_id)
        if commune is not None:
            statement = statement.join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id).where(
                REQUEST.c.commune == commune
            )
        found += [delivery(row) for row in connection.execute(statement.where(condition))]
    return sorted(found, key=lambda one: one.created_at)[:limit]


def _stuck(now: datetime) -> ColumnElement[bool]:
    """What goes on being tried and fails for a reason of its own, or while its lane does well."""
    lane_well = ~exists().where(LANE.c.name == DELIVERY.c.lane, LANE.c.breaker != "closed")
    return and_(
        _FAILS_ON,
        DELIVERY.c.created_at <= now - STUCK_FOR,
        or_(
            DELIVERY.c.reason.not_in(_OF_THE_LANE),
            # Where nobody was reached, no single request is at fault.
            and_(lane_well, DELIVERY.c.reason.not_in(reasons.UNCONNECTED)),
        ),
    )


_FOLLOWING = (
    select(DELIVERY.c.id)
    .where(DELIVERY.c.request_id == bindparam("of"), DELIVERY.c.lane == bindparam("on"), _OPEN)
    .order_by(DELIVERY.c.seq)
    .limit(1)
    .scalar_subquery()
)
PROMOTE = Prepared(
    lambda dialect: update(DELIVERY).where(DELIVERY.c.id == _FOLLOWING).values(head=True)
)


def promote(connection: Connection, request_id: str, lane: str) -> None:
    """Let the request's next open delivery on this lane go, if it is not already at the head."""
    PROMOTE(connection, of=request_id, on=lane)


def waiting_by_lane(
    connection: Connection, now: datetime | None = None
) -> dict[str, tuple[int, int, datetime]]:
    """Per lane: how much is open, how much of it needs a person, and since when the oldest.

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
        .where(_OPEN)
        .group_by(DELIVERY.c.lane)
    )
    found = {lane: (n, people, oldest) for lane, n, people, oldest in rows}
    for lane, (more, since) in untold.waiting_by_lane(connection).items():
        count, people, oldest = found.get(lane, (0, 0, since))
        found[lane] = (count + more, people + more, min(oldest, since))
    return found
