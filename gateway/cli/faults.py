"""Errors of the house as messages and exit codes, in one place for every command."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup

from gateway.cli.language import language
from gateway.cli.texts import counted
from gateway.core.errors import ConfigurationFault, Conflict, GatewayError, NotFound, Rejected


class Exit(IntEnum):
    """The exit codes of commands."""

    DONE = 0
    NO = 1
    USAGE = 2
    CONFIGURATION = 3
    FAR_END = 4


def exit_code(error: GatewayError) -> Exit:
    """Return the code for an error: the answer is no, or an operator must mend something."""
    return Exit.NO if isinstance(error, NotFound | Conflict | Rejected) else Exit.CONFIGURATION


def message(error: GatewayError) -> str:
    """Return the error for a person: a sentence, or every fault on a line of its own."""
    if not isinstance(error, ConfigurationFault):
        return f"error: {error}"
    spoken = language()
    lines = [fault.told(spoken) for fault in error.faults]
    return "\n".join([*lines, counted("faults", len(error.faults)).what(spoken)])


class Handled(TyperGroup):
    """The group at the root: no error of the house leaves it as a traceback."""

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


def _leaves(group: ExceptionGroup[GatewayError]) -> Iterator[GatewayError]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
