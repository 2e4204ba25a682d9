"""docs/integrators.md and its French twin: each command is one, each snippet runs."""

from __future__ import annotations

import re
import shlex
import sys
import types
from typing import Any

import pytest

from gateway.catalogue.registry import GROUP
from gateway.sdk.matrix import CHECKS, CheckState, run_check
from tests.docs.test_operators import parsed
from tests.life import ROOT

PAGES = ("docs/integrators.md", "docs/fr/integrateurs.md")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, kind: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return [block for language, block in _BLOCK.findall(text) if language == kind]


def test_the_twins_hold_the_same() -> None:
    english, french = ((ROOT / page).read_text("utf-8") for page in PAGES)
    assert _BLOCK.findall(english) == _BLOCK.findall(french)
    for mark in (r"^## \d", r"^\| ", r"^- "):
        counts = [len(re.findall(mark, text, re.MULTILINE)) for text in (english, french)]
        assert counts[0] == counts[1] > 0, mark


def test_each_command_is_taken() -> None:
    lines = [line for block in blocks(PAGES[0], "sh") for line in block.splitlines()]
    assert len(lines) >= 10
    for line in lines:
        program, *words = shlex.split(line)
        assert program in ("gru-gateway", "pip", "pytest")
        if program == "gru-gateway":
            parsed(words, whole=True)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite of the page, its two snippets as the files that they are said to be."""
    package = types.ModuleType("gru_acme")
    monkeypatch.setitem(sys.modules, "gru_acme", package)
    for name, text in zip(("adapter", "conformance"), blocks(PAGES[0], "python"), strict=True):
        module = types.ModuleType(f"gru_acme.{name}")
        monkeypatch.setitem(sys.modules, f"gru_acme.{name}", module)
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return sys.modules["gru_acme.conformance"].AcmeUnderTest()


def test_an_adapter_for_a_simple_api_is_under_100_lines() -> None:
    adapter, _ = blocks(PAGES[0], "python")
    assert len(adapter.splitlines()) < 100


async def test_the_adapter_of_the_page_passes_the_matrix(suite: Any) -> None:
    states = {}
    for name, one in CHECKS.items():
        if not name.startswith(("answer.", "wire.")):
            result = await run_check(one, suite)
            assert result.state is not CheckState.FAILED, f"{name}: {result.detail}"
            states[name] = result.state
    passed = [name for name, state in states.items() if state is CheckState.PASSED]
    assert len(passed) > 40
    assert {"submit.lost_reply", "find.no_other", "poll.tells", "poll.cursor_stays"} <= set(passed)


def test_every_page_names_the_entry_points_by_their_group() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("adapters/**/*.md")]
    named = {
        (page.name, group)
        for page in pages
        for group in re.findall(r"[\w.]*gru_gateway\.adapters\b", page.read_text("utf-8"))
    }
    assert {group for _, group in named} == {GROUP}, named
