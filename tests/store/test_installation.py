"""The key of our references, and a database that was put back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select, update

from gateway.store import accepting, installation
from gateway.store.engine import Database
from gateway.store.rows import Reception
from gateway.store.tables import DELIVERY, INSTALLATION
from tests.builders import NOW, incoming
from tests.store.acts import accept, claim
from tests.store.postgres import Server


async def states(store: Database) -> list[tuple[str, str]]:
    found = await store.read(
        lambda c: c.execute(select(DELIVERY.c.kind, DELIVERY.c.state).order_by(DELIVERY.c.id)).all()
    )
    return [(row[0], row[1]) for row in found]


async def test_the_key_is_drawn_once(store: Database, url: str) -> None:
    first = await store.write(installation.reference_key)
    other = Database(url)
    assert await other.write(installation.reference_key) == first
    assert len(first) == 32
    other.close()


async def test_what_waits_in_a_database_that_was_put_back_asks_first(store: Database) -> None:
    await accept(store)
    assert await store.read(installation.restored_at) is None
    assert await store.write(installation.treat_as_restored, NOW) == 1
    assert await states(store) == [("submit", "unsure")]
    # Nor is anybody asked while a call that the database forgot may be under way.
    assert await claim(store, now=NOW + installation.CALL - timedelta(seconds=1)) == []
    (claimed,) = await claim(store, now=NOW + installation.CALL)
    assert claimed.delivery.asking
    assert await store.read(installation.restored_at) == NOW
    assert await store.write(installation.treat_as_restored, NOW) == 0


async def test_a_reference_that_is_taken_costs_nobody_the_request(store: Database) -> None:
    """Only a commune's false claim brings it about: it named another one's request before."""
    first = incoming(ref="1")
    assert (await store.write(accepting.accept, first)).reception is Reception.NEW
    second = incoming(ref="2")
    second = replace(second, request=replace(second.request, id=first.request.id), spare_id="TDG-2")
    taken = await store.write(accepting.accept, second)
    assert taken.reception is Reception.NEW
    assert taken.request is not None
    assert taken.request.id == "TDG-2"
    again = await store.write(accepting.accept, second)
    assert again.reception is Reception.SAME
    assert again.request is not None
    assert again.request.id == "TDG-2"


async def test_another_server_under_the_database_is_noticed_on_its_first_connection(
    postgres: Server,
) -> None:
    url = postgres.fresh()
    for put_back in (False, False, True):
        if put_back:
            postgres_was_another = Database(url)
            await postgres_was_another.write(
                lambda c: c.execute(
                    update(INSTALLATION)
                    .where(INSTALLATION.c.name == "server")
                    .values(value="7000000000000000000/00000001x")
                )
            )
            postgres_was_another.close()
        store = Database(url)
        store.first = installation.notice_move
        await accept(store)
        found = [state for _, state in await states(store)]
        store.close()
        assert ("unsure" in found) is put_back
    postgres.drop(url)
