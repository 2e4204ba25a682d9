"""The feed of a lane: its deliveries by number, in the order in which they were owed.

A number is given in the transaction that owes the delivery, one lane after the other, and never
again. Nothing leaves a feed: what is done, dropped or erased keeps its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection

from gateway.store import statements
from gateway.store.dialect import is_postgresql
from gateway.store.outbox import claiming
from gateway.store.outbox.claiming import Claimed

_SQL = statements.load("feed")


def next_numbers(connection: Connection, lanes: Iterable[str]) -> list[int]:
    """Give a number to each of these, which are named by their lanes, until the transaction ends
    alone with these feeds."""
    wanted = list(lanes)
    if not wanted:
        return []
    names = sorted(set(wanted))
    if is_postgresql(connection):
        for lane in names:
            _SQL["lock"].run(connection, lane=lane).close()
    last = Counter(last_numbers(connection, names))
    found = []
    for lane in wanted:
        last[lane] += 1
        found.append(last[lane])
    return found


def last_numbers(connection: Connection, lanes: list[str]) -> dict[str, int]:
    """Return the last number of each lane's feed; none for a lane without one."""
    return {row[0]: row[1] for row in _SQL["last"].rows(connection, lanes=lanes)}


def read_page(
    connection: Connection, lane: str, after: int, most: int
) -> list[tuple[int, Claimed]]:
    """Return what follows a number, with it. Nothing is claimed by that."""
    numbers = {
        row[0]: row[1] for row in _SQL["page"].rows(connection, lane=lane, after=after, most=most)
    }
    if not numbers:
        return []
    found = claiming.read_owed(connection, list(numbers))
    return sorted(((numbers[one.delivery.id], one) for one in found), key=lambda one: one[0])
