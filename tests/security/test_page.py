"""docs/security.md and its French twin name tests that are there, and the same ones."""

from __future__ import annotations

import ast
import re

import pytest

from tests.life import ROOT

PAGES = ("docs/security.md", "docs/fr/securite.md")
_NAMED = re.compile(r"`([a-z_]+/test_[a-z_0-9]+\.py)(?:::(test_\w+))?`")


def named(page: str) -> list[tuple[str, str]]:
    return _NAMED.findall((ROOT / page).read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_each_test_that_is_named_is_there(page: str) -> None:
    found = named(page)
    assert len(found) > 40
    for file, name in found:
        path = ROOT / "tests" / file
        assert path.is_file(), file
        tests = {
            node.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not name or name in tests, f"{file}::{name}"


def test_both_pages_name_the_same() -> None:
    assert sorted(set(named(PAGES[0]))) == sorted(set(named(PAGES[1])))


@pytest.mark.parametrize("page", PAGES)
def test_every_threat_names_a_test_or_who_else_sees_to_it(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    threats = re.split(r"^## ", text, flags=re.MULTILINE)[1]
    rows = [line for line in threats.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| what ", "| quoi "))]
    assert len(rows) > 30
    for row in rows:
        last = row.rstrip("| ").rpartition("|")[2]
        assert "::" in last or ".py" in last or "none:" in last or "aucun :" in last, row
