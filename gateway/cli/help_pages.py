"""The help of a command in the reader's language: `--help`, and a group that is called bare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

from typer import rich_utils

from gateway.cli.language import language

#: Typer's own words around our texts.
_AROUND: Final = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commandes",
    "DEFAULT_STRING": "[par défaut : {}]",
    "ENVVAR_STRING": "[variable : {}]",
    "REQUIRED_LONG_STRING": "[obligatoire]",
}
_USAGE: Final = {"Usage:": "Emploi :", "COMMAND [ARGS]...": "COMMANDE [ARGUMENTS]..."}


def speak_help(command: Any) -> None:
    """Have a command or group print its help in the reader's language."""
    command.get_help = partial(_get_help, command)
    command.get_usage = partial(_get_usage, command)


def _get_usage(command: Any, ctx: Any) -> str:
    usage: str = type(command).get_usage(command, ctx)
    for english, french in _USAGE.items() if language() == "fr" else ():
        usage = usage.replace(english, french)
    return usage


def _get_help(command: Any, ctx: Any) -> Any:
    if language() != "fr":
        return type(command).get_help(command, ctx)
    below = getattr(command, "commands", {}).values()
    with ExitStack() as french:
        for shown in (command, *command.get_params(ctx), *below):
            french.enter_context(_in_french(shown))
        for name, text in _AROUND.items():
            french.enter_context(_instead(rich_utils, name, text))
        return type(command).get_help(command, ctx)


@contextmanager
def _in_french(shown: Any) -> Iterator[None]:
    """Put the French texts of a command or option in the place of its own."""
    from gateway.cli.help_texts import FRENCH_HELP  # hundreds of texts that few calls need

    with ExitStack() as french:
        for name in ("help", "epilog"):
            text = getattr(shown, name, None)
            if text:
                spoken = FRENCH_HELP.get(key_of(text), text)
                french.enter_context(_instead(shown, name, spoken))
        yield


def key_of(text: str) -> str:
    """Return an English text of help as the table has it: a line for each paragraph."""
    return "\n\n".join(" ".join(one.split()) for one in text.split("\n\n"))


@contextmanager
def _instead(of: Any, name: str, value: str) -> Iterator[None]:
    before = getattr(of, name)
    setattr(of, name, value)
    try:
        yield
    finally:
        setattr(of, name, before)


__all__ = ["key_of", "speak_help"]
