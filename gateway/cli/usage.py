"""Usage errors, in the language of the command.

Typer has its sentences in English only. Its facts about an error (the option, the choices, the
range) are put into our own sentences here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

import typer
from pydantic import ValidationError
from typer._click import exceptions as click  # it shows its errors nowhere else
from typer.core import TyperGroup

from gateway.cli.language import language
from gateway.cli.texts import say
from gateway.core.messages import Message, plain

#: Of what is too much, Typer's sentence alone has the words.
_EXTRA: Final = re.compile(r"\(s\) \((.*)\)$", re.DOTALL)
UsageError = click.UsageError
NothingGiven = click.NoArgsIsHelpError


class Misuse(typer.BadParameter):
    """Arguments that do not fit together. `said` is the whole sentence."""

    def __init__(self, said: Message) -> None:
        super().__init__(said.told())
        self.said = said


class NoSuchCommand(UsageError):
    """A group has no command of this name."""

    def __init__(self, name: str, known: list[str], ctx: Any) -> None:
        super().__init__(name, ctx)
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        word = "no_command_near" if near else "no_command"
        self.said = say(word, name=name, known=tuple(near or known))


class CommandGroup(TyperGroup):
    """A group of commands. For an unknown command it names the known ones."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise NoSuchCommand(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            # Some errors of options do not say which command they are of.
            if error.ctx is None and (name := ctx.invoked_subcommand) in self.commands:
                error.ctx = typer.Context(self.commands[name], info_name=name, parent=ctx)
            raise


def usage_lines(error: UsageError) -> Iterator[str]:
    """Yield the lines of an error: the fault, the syntax of the command, and how to get help."""
    spoken = language()
    yield say("error", said=plain(_message_of(error).told(spoken))).what(spoken)
    if (ctx := error.ctx) is not None:
        pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
        yield say("usage", line=f"{ctx.command_path} {pieces}").what(spoken)
        yield say("help", line=f"{ctx.command_path} --help").what(spoken)


def _message_of(error: UsageError) -> Message:
    if isinstance(error, Misuse | NoSuchCommand):
        return error.said
    if isinstance(error, click.NoSuchOption):
        near = tuple(sorted(error.possibilities or ()))
        word = "no_option_near" if near else "no_option"
        return say(word, name=error.option_name, known=near)
    if isinstance(error, click.BadOptionUsage):
        return _odd_option(error)
    if isinstance(error, click.MissingParameter):
        return say("option_missing", name=_name(error.param), due=_due(error.param))
    if isinstance(error, click.BadParameter) and error.param is not None:
        name, due, value = _name(error.param), _due(error.param), _value(error)
        if value is None:
            return say("option_value_missing", name=name, due=due)
        return say("option_value", name=name, value=value, due=due)
    found = _EXTRA.search(error.message)
    return say("too_many", words=found[1] if found else error.message)


def _odd_option(error: click.BadOptionUsage) -> Message:
    params = [] if error.ctx is None else error.ctx.command.params
    mine = next((one for one in params if error.option_name in one.opts), None)
    if mine is not None and getattr(mine, "is_flag", False):
        return say("option_takes_none", name=error.option_name)
    return say("option_value_missing", name=error.option_name, due=_due(mine))


def _name(param: Any) -> str:
    if param is None:
        return "?"
    longest = max(param.opts, key=len, default=param.name)
    return str(longest if longest.startswith("-") else param.metavar or longest)


def _due(param: Any) -> Message:
    """Return the kind of value that an option or an argument takes."""
    kind = getattr(param, "type_descriptor", None)
    if kind is None:
        return say("due_value")
    if kind.choices is not None:
        return say("due_choice", known=tuple(str(getattr(c, "value", c)) for c in kind.choices))
    number = say("due_whole" if _holds(kind.annotation, int) else "due_number")
    if param.min is not None and param.max is not None:
        return say("due_range", number=number, low=param.min, high=param.max)
    if param.min is not None:
        return say("due_least", number=number, low=param.min)
    if _holds(kind.annotation, int) or _holds(kind.annotation, float):
        return number
    named = param.metavar if param.metavar != _name(param) else None
    return say("due_named", name=named) if named else say("due_value")


def _holds(annotation: Any, kind: type) -> bool:
    return annotation is kind or kind in getattr(annotation, "__args__", ())


def _value(error: click.BadParameter) -> str | None:
    """Return the given value, if the error still has it."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return None
    return str(cause.errors()[0]["input"])
