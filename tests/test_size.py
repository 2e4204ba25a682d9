"""The length of modules and functions. Longer ones are named here, with their reasons."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from tests.life import ROOT

#: Lines. Past these a module holds more than one idea as a rule, and a function more than one step.
MODULE, FUNCTION = 400, 60
PARTS = ("gateway", "adapters")
#: What is written is never touched again.
LEFT_OUT = "gateway/store/migrations/versions/"

#: Longer modules, and why each is one idea all the same.
MODULES: dict[str, str] = {
    "gateway/catalogue/catalogue.py": "the values that a configuration is made of, one class each",
    "gateway/catalogue/texts.py": "a table: each sentence in two languages",
    "gateway/cli/help_texts.py": "a table: the French of each text of help",
    "gateway/cli/texts.py": "a table: each sentence in two languages",
    "gateway/contracts/live.py": "one scenario against real systems, step by step",
    "gateway/core/reasons.py": "a table: each reason in two languages",
    "gateway/sdk/adapter.py": "the contract of an adapter: its values, then its methods",
    "gateway/sdk/reading.py": "the bounded readers of one answer, whatever its form",
    "gateway/sim/portal_http.py": "the routes of one application of w.c.s.",
    "gateway/store/releases.py": "the life of a release, from its contents to its withdrawal",
    "gateway/store/tables.py": "a table of the database after the other",
    "gateway/wire/portal.py": "the client of w.c.s., a method for each call",
    "gateway/wire/spool.py": "one pass over a body, that finds texts and lays them down",
    "gateway/wire/wcs_statuses.py": "the writer of one workflow, a method for each status",
}
#: Longer functions, by module and name, and why.
FUNCTIONS: dict[str, str] = {
    "gateway/catalogue/released.py::build_released": "one decision for each commune: kept or built",
    "gateway/cli/commune_add.py::add_commune": "half of a command is its options",
    "gateway/cli/commune_decommission.py::decommission": "half of a command is its options",
    "gateway/cli/contract.py::run": "half of a command is its options",
    "gateway/cli/pivot.py::listen": "half of a command is its options",
    "gateway/cli/release.py::apply": "half of a command is its options",
    "gateway/cli/release.py::sign": "half of a command is its options",
    "gateway/contracts/applying.py::apply": "checks in their order, then one transaction",
    "gateway/flow/engine.py::open_engine": "puts the parts together, a line for each",
    "gateway/flow/identity.py::IdentityWatch._poll": "one run, which ends in one transaction",
    "gateway/flow/receive.py::Receiver.receive": "one push, which ends in one transaction",
    "gateway/ops/metrics.py::Metrics.__init__": "a table: an entry for each metric",
    "gateway/sim/portal_http.py::portal_app": "a table: a line for each route",
    "gateway/store/asking.py::record_asked": "one turn of a poll, in one transaction",
    "gateway/store/outbox/settling.py::_settle": "many settlements, a statement after the other",
    "gateway/store/scrub.py::scrub": "a statement for each table that holds a citizen's data",
    "gateway/web/operations.py::operations_router": "a function for each page",
    "gateway/web/pivot.py::pivot_router": "a function for each route",
}


@cache
def sources() -> dict[str, str]:
    files = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
    found = {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}
    return {name: text for name, text in found.items() if not name.startswith(LEFT_OUT)}


def functions(name: str, text: str) -> Iterator[tuple[str, int]]:
    """Each function with its number of lines, what is defined within it included."""

    def within(node: ast.AST, path: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = f"{path}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield inside, (child.end_lineno or child.lineno) - child.lineno + 1
                yield from within(child, f"{inside}.")

    yield from within(ast.parse(text), f"{name}::")


@cache
def long_functions(most: float = FUNCTION) -> dict[str, int]:
    every = (one for name, text in sources().items() for one in functions(name, text))
    return {name: lines for name, lines in every if lines > most}


def long_modules(most: float = MODULE) -> dict[str, int]:
    lengths = {name: len(text.splitlines()) for name, text in sources().items()}
    return {name: lines for name, lines in lengths.items() if lines > most}


def test_everything_is_looked_at() -> None:
    assert len(sources()) > 200


def test_a_module_is_one_idea() -> None:
    assert {one: n for one, n in long_modules().items() if one not in MODULES} == {}


def test_a_function_is_one_step() -> None:
    assert {one: n for one, n in long_functions().items() if one not in FUNCTIONS} == {}


@pytest.mark.parametrize("named", [MODULES, FUNCTIONS], ids=["modules", "functions"])
def test_what_has_become_short_is_named_no_longer(named: dict[str, str]) -> None:
    near = 0.8  # so that a line more or less is no matter
    longer = long_modules(near * MODULE) if named is MODULES else long_functions(near * FUNCTION)
    assert named.keys() <= longer.keys()
    assert all(len(reason.split()) > 3 for reason in named.values()), "each says why"
