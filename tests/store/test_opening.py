"""The engines of one process share what they compile."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import literal, select

from gateway.store import opening
from gateway.store.opening import CompiledStatements, open_database_engine


def test_a_statement_is_compiled_once_for_all_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_COMPILED", kept := CompiledStatements())
    for n in range(2):
        engine = open_database_engine(f"sqlite:///{tmp_path / f'{n}.db'}")
        with engine.connect() as connection:
            assert connection.execute(select(literal(n))).scalar() == n
        engine.dispose()
    assert len(kept) == 1


def test_what_is_compiled_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_COMPILED", kept := CompiledStatements())
    monkeypatch.setattr(opening, "MOST_COMPILED", 3)
    engine = open_database_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        for n in range(1, 9):
            assert connection.execute(select(*[literal(1)] * n)).first() == (1,) * n
            assert len(kept) <= 3
    engine.dispose()
