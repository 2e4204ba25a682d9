"""The living processes: those that said so lately, by the database's clock where it has one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert

from gateway.store.engine import Database
from gateway.store.outbox import replicas
from gateway.store.tables import REPLICA

WITHIN = 4.0


def _said(connection: Connection, owner: str, at: datetime) -> None:
    connection.execute(insert(REPLICA).values(owner=owner, seen_at=at))


@pytest.mark.parametrize(
    ("ago", "lives"),
    [
        (timedelta(seconds=1), True),
        (timedelta(minutes=1), False),
        # Said before the clock was set back: a dead one would keep its lanes for these two hours.
        (-timedelta(hours=2), False),
    ],
)
async def test_who_said_so_lately_lives(store: Database, ago: timedelta, lives: bool) -> None:
    now = datetime.now(UTC)
    await store.write(_said, "other", now - ago)
    living = await store.write(replicas.beat, "one", now, WITHIN)
    assert living == (("one", "other") if lives else ("one",))


async def test_the_living_are_known_again_once_they_have_spoken(store: Database) -> None:
    now = datetime.now(UTC)
    await store.write(_said, "other", now + timedelta(hours=2))
    await store.write(replicas.beat, "other", now, WITHIN)
    assert await store.write(replicas.beat, "one", now, WITHIN) == ("one", "other")


async def test_who_leaves_is_gone_at_once(store: Database) -> None:
    now = datetime.now(UTC)
    await store.write(replicas.beat, "other", now, WITHIN)
    await store.write(replicas.leave, "other")
    assert await store.write(replicas.beat, "one", now, WITHIN) == ("one",)
