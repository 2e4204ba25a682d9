"""The demo tells its people everything from one table, in one language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway.demo
from gateway.demo.attacks import ATTACKS
from gateway.demo.story import Story
from gateway.demo.texts import say

FILES = sorted(Path(gateway.demo.__file__).parent.rglob("*.py"))
#: Methods of a story, and the place of the text among their arguments.
TELLING = {"say": 1, "title": 0}


def calls() -> list[ast.Call]:
    trees = (ast.parse(file.read_bytes()) for file in FILES)
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def words(call: ast.Call) -> list[str]:
    constants = (n.value for n in ast.walk(call) if isinstance(n, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def test_no_story_is_told_in_a_literal_sentence() -> None:
    told = [
        call.args[TELLING[call.func.attr]]
        for call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in TELLING
        and ast.unparse(call.func.value).endswith("story")
    ]
    assert len(told) > 40
    assert [ast.unparse(one) for one in told if isinstance(one, ast.Constant | ast.JoinedStr)] == []


def test_every_word_is_used_and_every_attack_has_one() -> None:
    used = {word for call in calls() for word in words(call) if word in say}
    attacks = {attack.__name__.strip("_") for attack in ATTACKS}
    assert {word for word in attacks if word not in say} == set()
    who = {"toodego", "bron", "villeurbanne"}  # given by a tuple, or as they are
    assert set(say.texts) - used - attacks - who == set()


@pytest.mark.parametrize(
    ("language", "line"),
    [("en", "     citizen  tickets: 3"), ("fr", "      usager  tickets : 3")],
)
def test_a_line_names_who_and_what(
    language: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(language="fr" if language == "fr" else "en")
    story.say("citizen", say("playing", name="tickets", text="3"))
    assert capsys.readouterr().out.rstrip() == line
