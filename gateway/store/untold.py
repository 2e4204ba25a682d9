"""GRUs' changes that the citizen was not told yet: stored, shown, judged again, dropped.

Most wait for a mapping that knows a word. Some wait for a number: a GRU may call before its answer
to the creation is in, with the number that this answer will bring.

Both are bounded, and the newest are left out: otherwise a flood would drive out the first ones.
What is left out of one request is counted and shown; an early caller is told to call again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.core.errors import NotFound, Unavailable
from gateway.core.lane_name import GruLane
from gateway.store import resealing, sealed, statements
from gateway.store.conditions import FOR_A_PERSON
from gateway.store.dialect import add, upsert
from gateway.store.erasure_tables import TARGET
from gateway.store.reading import as_text
from gateway.store.rows import StoredRequest, Untold, WithheldPart
from gateway.store.tables import HEARD, REQUEST, UNTOLD
from gateway.store.texts import say

_COLUMNS = tuple(UNTOLD.c[name] for name in Untold.__slots__)
_IN_DOUBT = statements.load("backlog")["in_doubt"]
#: Bounds of one request, in parts of changes and in characters of JSON.
MOST_OF_ONE = 100
MOST_OF_ONE_SIZE = 20_000_000
#: One of each exists at most, and it is the request's present state: it is always stored.
_ALWAYS = frozenset({"status", "gone"})
#: The row that counts the parts left out, up to so many.
LEFT_OUT = "left_out"
MOST_LEFT_OUT = 1000
#: Bounds of the calls of one GRU that wait for a number: calls, characters, and time.
MOST_EARLY = 1000
MOST_EARLY_SIZE = 100_000_000
KEPT_EARLY = timedelta(days=7)
#: A request that its GRU tells nothing of any more.
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An untold thing, with its change."""

    untold: Untold
    body: Mapping[str, Any]


def record(
    connection: Connection,
    request: StoredRequest,
    withheld: WithheldPart,
    judged_by: str,
    at: datetime,
    now: datetime,
    new_id: str,
) -> None:
    """Store a part of a change until it can be told, in place of the one that it replaces; count it
    when its request has no room."""
    body = None if withheld.body is None else as_text(withheld.body)
    if not _has_room(connection, request.id, withheld.name, len(body or "")):
        withheld = _left_out(connection, request.id, withheld.name)
        judged_by, body = "", None
    size = len(body or "")
    if body is not None:
        key_id = resealing.request_key(connection, request.id)
        place = sealed.untold_body(withheld.name, request.id)
        body = sealed.seal(connection, key_id, place, body)
    values = {
        "reason": withheld.reason,
        "detail": withheld.detail,
        "person": withheld.person,
        "judged_by": judged_by,
        "at": at,
        "body": body,
        "size": size,
    }
    upsert(
        connection,
        UNTOLD,
        "request_id",
        "name",
        changed=values,
        id=new_id,
        commune=request.commune,
        gru=request.gru,
        request_id=request.id,
        gru_reference=None,
        name=withheld.name,
        received_at=now,
        **values,
    )


def _has_room(connection: Connection, request_id: str, name: str, size: int) -> bool:
    if name in _ALWAYS:
        return True
    rows = connection.execute(
        select(UNTOLD.c.size).where(UNTOLD.c.request_id == request_id, UNTOLD.c.name != name)
    ).all()
    return len(rows) < MOST_OF_ONE and sum(row.size for row in rows) + size <= MOST_OF_ONE_SIZE


def _left_out(connection: Connection, request_id: str, name: str) -> WithheldPart:
    """Return the row of all that had no room. Each is remembered by its name, since a GRU repeats
    itself."""
    before = _count_left_out(connection, request_id)
    if before < MOST_LEFT_OUT:
        add(connection, HEARD, request_id=request_id, name=left_out(name))
        before = _count_left_out(connection, request_id)
    many = f"{before} or more" if before >= MOST_LEFT_OUT else str(before)
    return WithheldPart(LEFT_OUT, "too_much_untold", detail=f"{many} left out", person=True)


def left_out(name: str) -> str:
    """Return the name by which a thing that had no room is remembered."""
    return f"left:{name}"


def _count_left_out(connection: Connection, request_id: str) -> int:
    return connection.execute(
        select(func.count()).where(
            HEARD.c.request_id == request_id, HEARD.c.name.startswith("left:", autoescape=True)
        )
    ).scalar_one()


def record_early(
    connection: Connection,
    commune: str,
    gru: str,
    gru_reference: str,
    body: Mapping[str, Any],
    now: datetime,
    new_id: str,
) -> None:
    """Store a call about an unknown number while a creation's answer is pending (`in_doubt`).

    Raises Unavailable when there is no room, and while it may be about an erased person: the GRU is
    to call again later.
    """
    if _may_be_erased(connection, commune, gru):
        raise Unavailable("the call names a number that is not known yet")
    mine = _early(commune, gru)
    told = as_text(body)
    count, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(UNTOLD.c.size), 0)).where(mine)
    ).one()
    if count >= MOST_EARLY or size + len(told) > MOST_EARLY_SIZE:
        raise Unavailable("too many calls name numbers that are not known yet")
    connection.execute(
        insert(UNTOLD).values(
            id=new_id,
            commune=commune,
            gru=gru,
            request_id=None,
            gru_reference=gru_reference,
            name="early",
            reason="number_pending",
            detail="",
            person=False,
            judged_by="",
            at=now,
            received_at=now,
            body=sealed.seal(
                connection, sealed.new_key(connection), sealed.untold_body(new_id, ""), told
            ),
            size=len(told),
        )
    )


def _may_be_erased(connection: Connection, commune: str, gru: str) -> bool:
    """Does this GRU hold a request of an erased person under a number that we were never told? It
    may speak of it until it has acknowledged the erasure."""
    found = connection.execute(
        select(TARGET.c.request_id)
        .join(REQUEST, REQUEST.c.id == TARGET.c.request_id)
        .where(
            TARGET.c.commune == commune,
            TARGET.c.gru == gru,
            TARGET.c.delivery_id.is_not(None),
            TARGET.c.acknowledged_at.is_(None),
            REQUEST.c.erased_at.is_not(None),
            REQUEST.c.gru_reference.is_(None),
        )
        .limit(1)
    ).first()
    return found is not None


def forget_early(connection: Connection, commune: str, gru: str, now: datetime) -> None:
    """Drop the calls about numbers of no request of ours, once no creation is pending."""
    mine = _early(commune, gru)
    if connection.execute(select(UNTOLD.c.id).where(mine).limit(1)).first() is None:
        return
    if in_doubt(connection, commune, gru):
        old = UNTOLD.c.received_at < now - KEPT_EARLY
        _delete_early(connection, mine & old)
    else:
        forget_numbers(connection, commune, gru)


def forget_numbers(connection: Connection, commune: str, gru: str) -> None:
    """Drop all calls of this GRU about unknown numbers."""
    _delete_early(connection, _early(commune, gru))


def _delete_early(connection: Connection, which: ColumnElement[bool]) -> None:
    gone = connection.execute(delete(UNTOLD).where(which).returning(UNTOLD.c.body)).scalars()
    sealed.condemn_keys_of(connection, gone.all())


def _early(commune: str, gru: str) -> ColumnElement[bool]:
    return and_(UNTOLD.c.commune == commune, UNTOLD.c.gru == gru, UNTOLD.c.request_id.is_(None))


def ready(
    connection: Connection, commune: str, gru: str, rules: Collection[str], limit: int
) -> list[Waiting]:
    """List what can be judged again: its rules changed, or its number is known now."""
    known = (
        select(REQUEST.c.id)
        .where(REQUEST.c.gru == gru, REQUEST.c.gru_reference == UNTOLD.c.gru_reference)
        .where(REQUEST.c.commune == commune)
        .exists()
    )
    rows = connection.execute(
        select(*_COLUMNS, UNTOLD.c.body)
        .where(UNTOLD.c.commune == commune, UNTOLD.c.gru == gru, UNTOLD.c.body.is_not(None))
        .where(
            or_(
                and_(UNTOLD.c.request_id.is_not(None), UNTOLD.c.judged_by.not_in(list(rules))),
                and_(UNTOLD.c.request_id.is_(None), known),
            )
        )
        .order_by(UNTOLD.c.received_at, UNTOLD.c.id)
        .limit(limit)
    ).all()
    found = [Untold(*row[:-1]) for row in rows]
    read = [(one, _read(connection, one, row[-1])) for one, row in zip(found, rows, strict=True)]
    return [Waiting(one, body) for one, body in read if body is not None]


def early_lanes(connection: Connection) -> list[str]:
    """Return the lanes of the GRUs whose calls wait for a number."""
    rows = connection.execute(
        select(UNTOLD.c.commune, UNTOLD.c.gru).where(UNTOLD.c.request_id.is_(None)).distinct()
    )
    return [str(GruLane(row.commune, row.gru)) for row in rows]


def body(connection: Connection, untold_id: str) -> Mapping[str, Any] | None:
    """Return the content of an untold thing; None where it has none."""
    row = connection.execute(
        select(*_COLUMNS, UNTOLD.c.body).where(UNTOLD.c.id == untold_id)
    ).first()
    return None if row is None else _read(connection, Untold(*row[:-1]), row[-1])


def _read(connection: Connection, one: Untold, text: str | None) -> Mapping[str, Any] | None:
    mine = (one.name, one.request_id) if one.request_id is not None else (one.id, "")
    body = sealed.unseal(connection, sealed.untold_body(*mine), text)
    return None if body is None else json.loads(body)


def drop(connection: Connection, untold_id: str) -> bool:
    gone = connection.execute(
        delete(UNTOLD).where(UNTOLD.c.id == untold_id).returning(UNTOLD.c.request_id, UNTOLD.c.body)
    ).first()
    if gone is not None and gone.request_id is None:
        sealed.condemn_keys_of(connection, [gone.body])
    return gone is not None


def remove(connection: Connection, request_id: str, names: Collection[str]) -> None:
    """Drop these of a request: they wait no more."""
    if names:
        connection.execute(
            delete(UNTOLD).where(UNTOLD.c.request_id == request_id, UNTOLD.c.name.in_(list(names)))
        )


def of_requests(connection: Connection, ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the untold things of each request: by name, the rules that judged them."""
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(
        select(UNTOLD.c.request_id, UNTOLD.c.name, UNTOLD.c.judged_by).where(
            UNTOLD.c.request_id.in_(list(ids))
        )
    )
    for row in rows:
        found.setdefault(row.request_id, {})[row.name] = row.judged_by
    return found


def of_request(connection: Connection, request_id: str) -> tuple[Untold, ...]:
    """Return the untold things of a request, oldest first."""
    return _all(
        connection,
        select(*_COLUMNS)
        .where(UNTOLD.c.request_id == request_id)
        .order_by(UNTOLD.c.received_at, UNTOLD.c.id),
    )


def listing(
    connection: Connection, *, commune: str | None = None, limit: int = 100
) -> tuple[Untold, ...]:
    """List what waits for a person, oldest first."""
    statement = select(*_COLUMNS).where(FOR_A_PERSON).order_by(UNTOLD.c.received_at).limit(limit)
    if commune is not None:
        statement = statement.where(UNTOLD.c.commune == commune)
    return _all(connection, statement)


def waiting_by_lane(connection: Connection) -> dict[str, tuple[int, datetime]]:
    """Count by GRU's lane what waits for a person, with the time of the oldest."""
    rows = connection.execute(
        select(UNTOLD.c.commune, UNTOLD.c.gru, func.count(), func.min(UNTOLD.c.received_at))
        .where(FOR_A_PERSON)
        .group_by(UNTOLD.c.commune, UNTOLD.c.gru)
    )
    return {str(GruLane(commune, gru)): (count, oldest) for commune, gru, count, oldest in rows}


def find(connection: Connection, untold_id: str) -> Untold | None:
    return next(iter(_all(connection, select(*_COLUMNS).where(UNTOLD.c.id == untold_id))), None)


def is_there(connection: Connection, untold_id: str) -> bool:
    return find(connection, untold_id) is not None


def judge_again(connection: Connection, untold_id: str) -> Untold:
    """Have it judged again by the present rules as if new, as a person asks. What is not stored,
    such as a file that could not be read, is judged when the GRU tells it next. Raises NotFound."""
    mine = UNTOLD.c.id == untold_id
    kept = UNTOLD.c.body.is_not(None)
    row = connection.execute(
        update(UNTOLD).where(mine, kept).values(judged_by="").returning(*_COLUMNS)
    ).first()
    if row is not None:
        return Untold(*row)
    again = _gone(connection, untold_id)
    mine = HEARD.c.name == again.name
    if again.name == LEFT_OUT:
        mine = HEARD.c.name.startswith("left:", autoescape=True)
    connection.execute(delete(HEARD).where(HEARD.c.request_id == again.request_id, mine))
    connection.execute(update(REQUEST).where(REQUEST.c.id == again.request_id).values(unseen=None))
    return again


def dismiss(connection: Connection, untold_id: str) -> Untold:
    """Note a person's decision not to tell it. Raises NotFound. Its GRU is asked no more about a
    request that it tells nothing of."""
    gone = _gone(connection, untold_id)
    if gone.name == GONE:
        connection.execute(
            update(REQUEST).where(REQUEST.c.id == gone.request_id).values(ask_at=None, unseen=None)
        )
    return gone


def _gone(connection: Connection, untold_id: str) -> Untold:
    row = connection.execute(
        delete(UNTOLD).where(UNTOLD.c.id == untold_id).returning(*_COLUMNS)
    ).first()
    if row is None:
        raise NotFound(say("no_change", id=untold_id))
    return Untold(*row)


def _all(connection: Connection, statement: Select[Any]) -> tuple[Untold, ...]:
    return tuple(Untold(*row) for row in connection.execute(statement))


def in_doubt(connection: Connection, commune: str, gru: str) -> bool:
    """May the GRU have a creation whose answer is not here? If not, an unknown number is not
    ours."""
    return bool(_IN_DOUBT.rows(connection, lane=str(GruLane(commune, gru))))
