"""Turns our errors into messages and exit codes, in one place for all commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from copy import copy
from enum import IntEnum
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from gateway.cli.help_pages import speak_help
from gateway.cli.language import OPTION, language, speaking
from gateway.cli.texts import counted, say
from gateway.cli.usage import CommandGroup, NothingGiven, UsageError, usage_lines
from gateway.core.errors import ConfigurationFault, Conflict, GatewayError, NotFound, Rejected
from gateway.core.messages import plain


class Exit(IntEnum):
    """The exit codes of commands."""

    DONE = 0
    NO = 1
    USAGE = 2
    CONFIGURATION = 3
    FAR_END = 4


def exit_code(error: GatewayError) -> Exit:
    """Return the exit code for an error: "no", or "an operator must repair something"."""
    return Exit.NO if isinstance(error, NotFound | Conflict | Rejected) else Exit.CONFIGURATION


def message(error: GatewayError) -> str:
    """Return the error for a person: a sentence, or each fault on a line of its own."""
    spoken = language()
    if not isinstance(error, ConfigurationFault):
        return say("error", said=plain(error.said.told(spoken))).what(spoken)
    lines = [fault.placed(spoken) for fault in error.faults]
    return "\n".join([*lines, counted("faults", len(error.faults)).what(spoken)])


class RootGroup(CommandGroup):
    """The root group. All commands below it use the requested language, and none of our errors or
    usage errors ends as a traceback or in another language."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        (spoken,) = (one for one in self.params if OPTION in one.opts)
        below = copy(spoken)
        below.expose_value = False
        speak_help(self)
        for one in _commands(self):
            one.params.append(below)
            speak_help(one)

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **__: Any
    ) -> NoReturn:
        """End the process with the exit code of the command."""
        given = list(sys.argv[1:] if args is None else args)
        with speaking(given):
            try:
                done = super().main(given, prog_name, standalone_mode=False)
            except NothingGiven as error:  # Its help was printed as it was made.
                sys.exit(error.exit_code)
            except UsageError as error:
                for line in usage_lines(error):
                    typer.echo(line, err=True)
                sys.exit(error.exit_code)
            except typer.Abort:
                typer.echo(say("given_up").what(language()), err=True)
                sys.exit(Exit.NO)
        sys.exit(done if isinstance(done, int) else Exit.DONE)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            typer.echo(message(error), err=True)
            raise typer.Exit(exit_code(error)) from None
        except ExceptionGroup as group:
            # Errors that tasks raised together. Anything that is not the house's stays a bug.
            named, rest = group.split(GatewayError)
            if named is None or rest is not None:
                raise
            for one in _leaves(named):
                typer.echo(message(one), err=True)
            raise typer.Exit(Exit.CONFIGURATION) from None


def _commands(group: TyperGroup) -> Iterator[Any]:
    """Yield all commands and groups below a group."""
    for one in group.commands.values():
        yield one
        if isinstance(one, TyperGroup):
            yield from _commands(one)


def _leaves(group: ExceptionGroup[GatewayError]) -> Iterator[GatewayError]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
