"""SQL by name: each statement says its purpose, is used, and is written as each driver takes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import TextClause, text

import gateway.store
from gateway.store import conditions, statements
from gateway.store.dialect import micros
from gateway.store.engine import Database
from tests.builders import NOW

STORE = Path(gateway.store.__file__).parent
FILES = sorted(path.stem for path in (STORE / "sql").glob("*.sql"))
CODE = {
    path: path.read_text("utf-8") for path in STORE.rglob("*.py") if path.parent.name != "versions"
}


@pytest.mark.parametrize("name", FILES)
def test_each_statement_says_its_purpose_and_is_used(name: str) -> None:
    loading = [code for code in CODE.values() if f'statements.load("{name}")' in code]
    for statement in statements.load(name).values():
        assert statement.purpose.endswith("."), statement.name
        assert any(f'"{statement.name}"' in code for code in loading), statement.name


def test_no_name_stands_twice_in_a_file() -> None:
    for name in FILES:
        sql = (STORE / "sql" / f"{name}.sql").read_text("utf-8")
        assert len(re.findall("^-- name:", sql, re.MULTILINE)) == len(statements.load(name))


def test_a_statement_is_written_as_each_driver_takes_it() -> None:
    lock = statements.load("enqueue")["lock"]
    sqlite, postgresql = lock.written["sqlite"], lock.written["postgresql"]
    assert (sqlite.names, postgresql.names) == (("ids",), ("ids",))
    assert "id IN (SELECT value FROM json_each(?) AS listed)" in sqlite.sql
    assert "FOR " not in sqlite.sql
    assert "id = ANY (%s::text[])" in postgresql.sql
    assert postgresql.sql.endswith("FOR NO KEY UPDATE")
    assert sqlite.given({"ids": ["a", "b"]}) == ('["a","b"]',)
    assert postgresql.given({"ids": ["a", "b"]}) == (["a", "b"],)


def test_what_is_for_one_database_is_not_run_on_the_other() -> None:
    claim = statements.load("claim")
    assert set(claim["due_on_lane"].written) == {"sqlite"}
    assert set(claim["due_on_lanes"].written) == {"postgresql"}
    assert set(claim["claim"].written) == {"sqlite", "postgresql"}


def test_a_parameter_may_stand_twice() -> None:
    rewind = statements.load("backlog")["rewind"].written["sqlite"]
    assert len(rewind.names) == rewind.sql.count("?")
    given = rewind.given({"lanes": [], "now": NOW, "ask_at": NOW})
    assert set(given) == {micros(NOW), "[]"}


def test_a_naive_time_is_refused() -> None:
    under = statements.load("leases")["give_back"].written["sqlite"]
    with pytest.raises(ValueError, match="naive"):
        under.given({"id": "d", "fence": 1, "now": NOW.replace(tzinfo=None)})


def test_a_condition_of_an_index_stands_in_one_place() -> None:
    wanted = [
        one.text
        for one in vars(conditions).values()
        if isinstance(one, TextClause) and " " in one.text
    ]
    for path, code in CODE.items():
        if path.name != "conditions.py":
            assert [one for one in wanted if f'"{one}"' in code] == [], path
    for name in FILES:
        sql = (STORE / "sql" / f"{name}.sql").read_text("utf-8")
        assert "'waiting', 'unsure'" not in sql


async def test_a_row_that_is_there_already_changes_nothing(store: Database) -> None:
    spend = statements.load("accept")["spend_nonce"]
    for changed in (1, 0):
        done = await store.write(lambda c: spend.run(c, key="k", expires_at=NOW).rowcount)
        assert done == changed
    count = text("SELECT count(*) FROM nonce")
    assert await store.read(lambda c: c.execute(count).scalar_one()) == 1
