"""Wrong usage of every command is told in one language: what is wrong, how it is written, where its
help is. The commands are those of the program itself, so a new one is among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from gateway.cli import health
from gateway.cli.root import app
from tests.cli.conftest import run
from tests.core.test_messages import ENGLISH, FRENCH, prose

LANGUAGES = {"en": FRENCH, "fr": ENGLISH}


def commands(of: Any = None, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below the root, by the words that name it."""
    of = typer.main.get_command(app) if of is None else of
    for name, one in of.commands.items():
        yield (*before, name), one
        if isinstance(one, TyperGroup):
            yield from commands(one, *before, name)


ALL = dict(commands())
#: Words of the command line itself, which are the same in both languages.
NAMES = {word for words in ALL for word in words}


def mistakes(command: Any) -> Iterator[tuple[str, ...]]:
    """Arguments that the command does not take, of every kind that there is for it."""
    yield ("--no-such-option",)
    if isinstance(command, TyperGroup):
        yield ("no-such-command",)
        return
    for param in command.params:
        named = param.opts[-1]
        if not named.startswith("-"):
            continue
        if getattr(param, "is_flag", False):
            yield (f"{named}=x",)
            continue
        yield (named,)
        kind = param.type_descriptor
        if kind.choices is not None or kind.annotation in (int, float) or kind.is_ranged:
            yield (named, "\x1b[31mx")
    if not any(param.nargs == -1 for param in command.params):
        yield ("one", "two", "three", "four")


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_wrong_usage_is_told_in_one_language(words: tuple[str, ...]) -> None:
    for lang, other in LANGUAGES.items():
        for wrong in mistakes(ALL[words]):
            done = run("--lang", lang, *words, *wrong)
            assert done.exit_code == 2, (wrong, done.output)
            assert not done.stdout
            error, usage, help_line = done.stderr.splitlines()
            assert error.startswith(("error: ", "erreur : ")[lang == "fr"])
            assert " ".join(words) in usage, wrong
            assert help_line.endswith(f"gru-gateway {' '.join(words)} --help")
            assert not (prose(done.stderr) - NAMES) & other, done.stderr
            assert done.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_takes_a_language(words: tuple[str, ...]) -> None:
    assert [one for one in ALL[words].params if "--lang" in one.opts]
    told = run(*words, "--lang", "xx")
    assert told.exit_code == 2
    assert told.stderr.startswith("error: --lang xx: no such language (write en or fr)\n")


@pytest.mark.parametrize(
    ("arguments", "en", "fr"),
    [
        (("outbox", "lst"), "there is no command lst (did you mean list?)", "il n'y a pas"),
        (("outbox", "list", "--limti", "3"), "(did you mean --limit?)", "vouliez-vous dire --l"),
        (("outbox", "list", "--limit", "0"), "a whole number from 1 to 100000", "entier de 1 à"),
        (("health", "--timeout", "x"), "a number, 0.1 or more", "un nombre, 0.1 ou plus"),
        (("request", "list", "--status", "new"), "one of received, ", "l'un de received, "),
        (("outbox", "resolve"), "ID is missing", "ID manque"),
        (("release", "sign", "--by", "a"), "--function is missing (give TEXT)", "manque"),
        (("check", "a b"), "too much is given: a b", "quelque chose de trop : a b"),
        (("health", "--strict=1"), "write --strict alone", "écrire --strict sans rien"),
    ],
)
def test_what_is_due_is_named(arguments: tuple[str, ...], en: str, fr: str) -> None:
    assert en in run(*arguments).stderr
    assert fr in run(*arguments, "--lang", "fr").stderr


def test_the_probe_of_a_container_is_a_program_of_its_own_and_speaks_alike() -> None:
    from tests.command import CliRunner

    done = CliRunner().invoke(health.app, ["health", "--timeut", "3", "--lang=fr"])
    assert done.exit_code == 2
    assert done.stderr.startswith("erreur : il n'y a pas d'option --timeut")
