"""`--help` speaks the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from gateway.cli.help_pages import key_of
from gateway.cli.help_texts import FRENCH_HELP
from gateway.cli.root import app
from tests.cli.conftest import run
from tests.core.test_messages import ENGLISH, FRENCH, prose

#: What is no prose: options, names in backticks, exit codes, addresses of secrets.
NAMED = re.compile(r"--[a-z][\w-]*|`[^`]*`|\b\d+\b")


def _texts(command: Any) -> Iterator[str]:
    own = [command.help, command.epilog, *(getattr(one, "help", None) for one in command.params)]
    yield from (key_of(text) for text in own if text)
    for one in getattr(command, "commands", {}).values():
        yield from _texts(one)


def test_each_text_of_help_has_its_french_and_no_other_has() -> None:
    texts = {*_texts(get_command(app)), "Show this message and exit."}
    same = {one for one in texts if re.fullmatch(r"[A-Z]+-[.]{3}", one)}
    assert texts - same - {*FRENCH_HELP} == set(), "add them to gateway/cli/help_texts.py"
    assert {*FRENCH_HELP} - texts == set(), "nothing says these any more: take them out"


def _differs(english: str, french: str) -> bool:
    return (
        sorted(NAMED.findall(english)) != sorted(NAMED.findall(french))
        or bool(prose(english) & FRENCH or prose(french) & ENGLISH)
        or english.count("\n\n") != french.count("\n\n")
        # a blank before what has one in French
        or bool(re.search(r"\S[:;!?](?=\s|$)", NAMED.sub("", french)))
    )


def test_a_text_of_help_says_the_same_in_french() -> None:
    assert [english for english, french in FRENCH_HELP.items() if _differs(english, french)] == []


@pytest.mark.parametrize(
    "command", [(), ("mapping",), ("mapping", "test"), ("outbox", "list"), ("backup",)]
)
def test_the_help_is_printed_in_the_readers_language(command: tuple[str, ...]) -> None:
    english = run(*command, "--help").output
    french = run(*command, "--help", "--lang", "fr").output
    assert not prose(french) & (ENGLISH - {"is"})
    assert not prose(english) & (FRENCH - {"des", "que", "une"})
    assert " Emploi : gru-gateway" in french
    assert " Usage: gru-gateway" in english
    options = re.findall(r"--[a-z-]+ ", english)
    assert options == re.findall(r"--[a-z-]+ ", french) != []
    assert run(*command, "--help").output == english, "and the next is as before"


def test_a_group_that_is_called_bare_prints_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    told = run("mapping")
    assert told.exit_code == 2
    assert "Jouer les cas" in told.output
