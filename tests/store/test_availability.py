"""The availability ledger on both databases: runs of minutes, each written once."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, select

from gateway.core.availability import MinuteVerdict, Stretch, add_up
from gateway.store import availability
from gateway.store.availability import KEPT, Scope
from gateway.store.availability_tables import AVAILABILITY
from gateway.store.engine import Database

UP, GATEWAY, COMMUNE = MinuteVerdict.UP, MinuteVerdict.GATEWAY, MinuteVerdict.COMMUNE
PORTAL, BRON = Scope("portal:toodego"), Scope("portal:toodego", "69029")
#: A minute within a day.
NOW = 29_900_001


async def written(store: Database, *minutes: tuple[int, MinuteVerdict]) -> None:
    for minute, verdict in minutes:
        await store.write(availability.record, NOW + minute, {PORTAL: UP, BRON: verdict})


async def runs(store: Database, scope: Scope = BRON) -> list[tuple[int, int, str]]:
    found = await store.read(availability.stretches, NOW, NOW + 10_000)
    return sorted((one.start - NOW, one.end - NOW, one.verdict) for one in found[scope])


async def rows(store: Database) -> int:
    return len(await store.read(_rows))


def _rows(connection: Connection) -> list[Any]:
    return list(connection.execute(select(AVAILABILITY)))


async def test_equal_minutes_are_one_row(store: Database) -> None:
    await written(store, *((n, UP) for n in range(5)), (5, COMMUNE), (6, COMMUNE), (7, UP))
    assert await runs(store) == [(0, 5, "up"), (5, 7, "commune"), (7, 8, "up")]
    assert await runs(store, PORTAL) == [(0, 8, "up")]
    assert await rows(store) == 4


async def test_a_time_without_a_record_stays_one(store: Database) -> None:
    await written(store, (0, UP), (1, UP), (12, UP))
    assert await runs(store) == [(0, 2, "up"), (12, 13, "up")]
    found = await store.read(availability.stretches, NOW, NOW + 13)
    assert dict(add_up(found[BRON], (), NOW, NOW + 13, found[PORTAL]).down) == {GATEWAY: 10}
    # What came last before a time says that it began without a record.
    later = await store.read(availability.stretches, NOW + 5, NOW + 10)
    assert dict(add_up(later[PORTAL], (), NOW + 5, NOW + 10).down) == {GATEWAY: 5}


async def test_a_minute_that_was_served_later_or_elsewhere_is_up(store: Database) -> None:
    await written(store, (0, UP), (1, COMMUNE), (1, UP), (2, UP))
    assert await runs(store) == [(0, 1, "up"), (1, 2, "up"), (2, 3, "up")] or await runs(store) == [
        (0, 1, "up"),
        (1, 3, "up"),
    ]
    await written(store, (3, COMMUNE), (4, COMMUNE), (4, UP))
    assert (await runs(store))[-2:] == [(3, 4, "commune"), (4, 5, "up")]


async def test_nothing_else_changes_what_was_written(store: Database) -> None:
    await written(store, (0, UP), (0, COMMUNE), (1, COMMUNE), (1, GATEWAY))
    assert await runs(store) == [(0, 1, "up"), (1, 2, "commune")]
    # A clock that was set back writes of no minute twice.
    await written(store, (0, COMMUNE), (0, UP), (-30, COMMUNE))
    assert await runs(store) == [(0, 1, "up"), (1, 2, "commune")]


async def test_replicas_that_write_at_once_write_one_row(store: Database) -> None:
    async def one(verdict: MinuteVerdict) -> None:
        await store.write(availability.record, NOW, {PORTAL: UP, BRON: verdict})

    await asyncio.gather(*(one(verdict) for verdict in (COMMUNE, UP, GATEWAY, UP, COMMUNE)))
    assert await runs(store) == [(0, 1, "up")]
    assert await store.read(availability.served, NOW, frozenset({"portal:toodego"}))
    assert not await store.read(availability.served, NOW + 1, frozenset({"portal:toodego"}))
    assert not await store.read(availability.served, NOW, frozenset({"portal:toodego", "glc"}))


async def test_what_is_old_goes_once_a_day(store: Database) -> None:
    day = NOW // 1440 * 1440 + KEPT + 1440 * 2
    await written(store, (0, UP))
    await store.write(availability.record, day + 1, {PORTAL: UP})
    assert await rows(store) == 3
    await store.write(availability.record, day + 1440, {PORTAL: UP})
    assert await rows(store) == 2
    found = await store.read(availability.stretches, day, day + 1441)
    assert found[PORTAL][0] == Stretch(day + 1, day + 2, UP)
