"""Regular expressions mean the same in every Python that we run on.

In Python 3.11 up to 3.11.4 a possessive quantifier over more than one character class may match
what it should not, or nothing (python/cpython#106052). What is to be kept whole stands in an atomic
group, `(?>(?:...)*)`, which was always right.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from re import _constants as code
from re import _parser as parser
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_ONE_CHARACTER = {code.LITERAL, code.NOT_LITERAL, code.ANY, code.IN}
_POSSESSIVE = re.compile(r"[*+?}]\+")


def _texts() -> Iterator[tuple[str, str]]:
    """Every literal of ours that could be a pattern with such a quantifier, with its place."""
    for folder in ("gateway", "adapters"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            source = file.read_text("utf-8")
            if not _POSSESSIVE.search(source):
                continue
            for node in ast.walk(ast.parse(source)):
                if not isinstance(node, ast.Constant):
                    continue
                value = node.value
                text = value.decode("latin-1") if isinstance(value, bytes) else value
                if isinstance(text, str) and _POSSESSIVE.search(text):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", text


def _unsafe(tree: Any) -> bool:
    """Is there a possessive quantifier over more than one character class?"""
    for operator, argument in tree:
        if operator is code.POSSESSIVE_REPEAT:
            (_, _, body) = argument
            if len(body) != 1 or body[0][0] not in _ONE_CHARACTER:
                return True
        if any(_unsafe(inner) for inner in _within(argument)):
            return True
    return False


def _within(argument: Any) -> Iterator[Any]:
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for one in argument:
            yield from _within(one)


def _parsed(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return parser.parse(text, re.VERBOSE if "\n" in text else 0)
        except (re.error, OverflowError):
            return []  # no pattern


def test_a_possessive_quantifier_is_over_one_character_class() -> None:
    found = dict(_texts())
    assert len(found) >= 5
    assert [place for place, text in found.items() if _unsafe(_parsed(text))] == []


@pytest.mark.parametrize("text", ["(?:ab?c)++", "x(?:[^a]++|b)*+", "(?:(?!-->).)*+", "(?:a++){2}+"])
def test_the_reading_finds_what_it_looks_for(text: str) -> None:
    assert _unsafe(_parsed(text))
