"""Commands and the HTTP side change nothing in the store by themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "gateway"


@pytest.mark.parametrize("room", ["cli", "web"])
def test_only_use_cases_write(room: str) -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / room).glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "write"
        and ast.unparse(node.value).rpartition(".")[2] in ("database", "store")
    ]
    assert found == []
