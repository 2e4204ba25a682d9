"""Links and sessions on both databases."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.store import condemned, linked
from gateway.store.engine import Database
from gateway.store.linked import UNCONFIRMED, StoredLink, StoredSession
from gateway.store.linked_tables import ACCOUNT_LINK
from tests.sealing import in_memory

NOW = datetime(2026, 11, 27, 20, tzinfo=UTC)


def link(identity: str = "i", *, commune: str = "69029", sealed: str = "a") -> StoredLink:
    return StoredLink(commune, identity, f"account {commune}", "portal", sealed, NOW)


def session(mark: str = "m", *, subject: str = "s", sid: str | None = "sid") -> StoredSession:
    return StoredSession(mark, subject, sid, "account", "x", NOW + timedelta(minutes=15))


def propose(
    connection: Connection, made: StoredLink, mark: str, erased: tuple[str, ...]
) -> bool | None:
    """The citizen agrees to a link in the session of a mark."""
    given = session("answered", sid=None)
    done = linked.answer(connection, mark, given, made, erased)
    left = linked.session_answer(connection, mark, given.mark, NOW)
    assert (left is not None) is linked.close_session(connection, given.mark) is bool(done)
    return done


def any_one(link: StoredLink) -> bool:
    return bool(link.identity)


async def test_a_link_counts_once_it_is_confirmed_in_place_of_the_former(store: Database) -> None:
    write, read = store.write, store.read
    assert await write(propose, link(), "m", ()) is None, "the session is over"
    await write(linked.open_session, session())
    assert await write(propose, link(), "m", ()) is True
    assert await read(linked.find, ["account 69029"]) == []
    assert await write(linked.confirm, "69029", "i", any_one) == link()
    assert await write(linked.confirm, "69029", "i", any_one) == link()
    await write(linked.open_session, session())
    newer = link(sealed="b")
    assert await write(propose, newer, "m", ()) is True
    assert await read(linked.find, ["account 69029"]) == [link()]
    assert await write(linked.confirm, "69029", "i", lambda one: one.sealed == "c") is None
    assert await write(linked.confirm, "69029", "i", lambda one: one.sealed == "a") == link()
    assert await write(linked.confirm, "69029", "i", any_one) == newer
    assert await read(linked.find, ["account 69029"]) == [newer]
    assert await write(linked.confirm, "69266", "i", any_one) is None


async def test_links_are_listed_by_pages_and_dropped(store: Database) -> None:
    for commune in ("69029", "69266"):
        for identity in ("a", "b"):
            await store.write(linked.open_session, session())
            await store.write(propose, link(identity, commune=commune), "m", ())
            await store.write(linked.confirm, commune, identity, any_one)
    first = await store.read(linked.links_page, None, ("", ""), 3)
    assert [(one.commune, one.identity) for one in first] == [
        ("69029", "a"),
        ("69029", "b"),
        ("69266", "a"),
    ]
    rest = await store.read(linked.links_page, None, ("69266", "a"), 3)
    assert [one.identity for one in rest] == ["b"]
    assert await store.read(linked.links_page, "69266", ("69266", "b"), 3) == []
    assert await store.read(linked.linked_communes) == ["69029", "69266"]
    assert await store.write(linked.unlink, "69029", "a") == 1
    assert await store.write(linked.unlink, "69029", "a") == 0
    assert await store.write(linked.unlink_portal_account, "69029", "portal") == 1
    await store.write(linked.open_session, session())
    assert await store.write(linked.destroy, ["account 69266"], "account") == 2
    assert await store.read(linked.session, "m", NOW) is None


async def test_sessions_end_by_themselves_and_by_the_provider(store: Database) -> None:
    later = NOW + timedelta(minutes=15)
    for mark, subject, sid in (("m1", "s", "sid1"), ("m2", "s", "sid2"), ("m3", "t", None)):
        await store.write(linked.open_session, session(mark, subject=subject, sid=sid))
    assert await store.read(linked.session, "m1", NOW) == session("m1", subject="s", sid="sid1")
    assert await store.read(linked.session, "m1", later) is None
    end = linked.close_sessions
    assert await store.write(end, "n1", later, "s", "sid1") == 1, "the session that is named"
    assert await store.write(end, "n1", later, "s", None) is None, "told before"
    assert await store.write(end, "n2", later, "s", None) == 1
    await store.write(propose, link(), "m3", ())
    assert await store.write(linked.forget, NOW + UNCONFIRMED) == 0
    assert await store.write(linked.forget, NOW + UNCONFIRMED + timedelta(seconds=1)) == 1


async def test_what_is_dropped_is_read_in_no_copy(tmp_path: Path, template: Path) -> None:
    """A row that a backup brings back, without its key, is as if it were not there."""
    shutil.copyfile(template, tmp_path / "gateway.db")
    store = Database(f"sqlite:///{tmp_path / 'gateway.db'}", in_memory())
    try:
        for identity in ("a", "b"):
            await store.write(linked.open_session, session())
            await store.write(propose, link(identity, sealed="du compte"), "m", ())
            await store.write(linked.confirm, "69029", identity, any_one)
        copied = await store.read(_rows)
        assert "du compte" not in str(copied)
        assert await store.write(linked.unlink, "69029", "a") == 1
        assert await condemned.destroy(store)
        await store.write(_put_back, [row for row in copied if row["identity"] == "a"])
        assert [one.identity for one in await store.read(linked.find, ["account 69029"])] == ["b"]
        page = await store.read(linked.links_page, None, ("", ""), 1)
        assert [one.sealed for one in page] == ["du compte"]
        await store.write(linked.open_session, session())
        assert (await store.read(linked.session, "m", NOW)) == session()
    finally:
        store.close()


def _rows(connection: Connection) -> list[dict[str, Any]]:
    rows = connection.execute(ACCOUNT_LINK.select()).all()
    return [dict(row._mapping) for row in rows]


def _put_back(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(ACCOUNT_LINK.insert(), rows)
