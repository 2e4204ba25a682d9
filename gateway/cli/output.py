"""The output of commands: aligned text for people, JSON for scripts."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from getpass import GetPassWarning
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from gateway.cli.headings import headings
from gateway.cli.language import language
from gateway.cli.texts import say
from gateway.core.errors import Fault, GatewayError
from gateway.core.messages import Message, harmless
from gateway.core.system_errors import system_error

#: So many communes with nothing to tell have a row each.
FEW = 12
WIDTH = 100
_YES = {"en": ("y", "yes"), "fr": ("o", "oui", "y", "yes")}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Each = Annotated[
    bool, typer.Option("--each", help="A row for each commune, also where nothing is to be done.")
]


def emit(value: Any) -> None:
    """Print one JSON document on the standard output: dataclasses as objects, times in UTC."""
    typer.echo(harmless(json.dumps(value, ensure_ascii=False, indent=2, default=as_plain)))


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Within the block, files are written below `place`. Raises GatewayError where the system
    forbids it."""
    try:
        yield
    except OSError as error:
        why = system_error(error)
        raise GatewayError(say("not_written", place=str(place), error=why)) from None


def print_message(said: Message, *, err: bool = False) -> None:
    """Print a message and its remedy in the language of the command; `err`: on the standard
    error."""
    typer.echo(said.told(language()), err=err)


def print_text(text: str, *, err: bool = False) -> None:
    """Print a text without language: a path, the text of a file, or text made from messages."""
    typer.echo(text, err=err)


def ask_person(question: Message, *, yes: bool) -> None:
    """Ask a person, unless `yes` was given. Raises Abort after a "no"."""
    if yes:
        return
    spoken = language()
    answer = typer.prompt(
        f"{question.what(spoken)} {say('yes_or_no').what(spoken)}",
        default="",
        show_default=False,
    )
    if answer.strip().lower() not in _YES[spoken]:
        raise typer.Abort


def ask_text(question: Message, default: str = "") -> str:
    """Ask a person for a text; return it on one line. Raises Abort for an empty one."""
    shown = f" [{default}]" if default else ""
    told = harmless(question.what(language()) + shown)
    text = " ".join(str(typer.prompt(told, default=default, show_default=False)).split())
    if not text:
        raise typer.Abort
    return text


def ask_secret(question: Message) -> str:
    """Ask a person for a secret, which is not shown; empty for none."""
    told = harmless(question.what(language()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GetPassWarning)  # what comes from a pipe is not shown
        return str(typer.prompt(told, default="", show_default=False, hide_input=True)).strip()


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], empty: Message) -> None:
    """Print aligned columns, never cut, since identifiers are there to be copied. Print `empty`
    without rows.

    Headings are words of `headings`. Raises KeyError for an unknown one.
    """
    heads = [headings(name).what(language()).upper() for name in headers]
    if not rows:
        print_message(empty)
        return
    cells = [[cell(one) for one in row] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
    for row in [heads, *cells]:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def print_value(word: str, value: object) -> None:
    """Print one line: the word, and its value."""
    label = say("label", name=headings(word)).what(language())
    typer.echo(f"{label:16} {cell(value)}")


@dataclasses.dataclass(frozen=True, slots=True)
class CommuneRow:
    """A commune's row. `need` says how urgently somebody must look at it; 0 means not at all."""

    code: str
    name: str
    need: int
    cells: Sequence[object]


def communes(
    headers: Sequence[str],
    rows: Sequence[CommuneRow],
    calm: Message,
    empty: Message,
    *,
    each: bool = False,
) -> None:
    """Print a table of communes, the most urgent ones first.

    If many communes need nobody, only their names are printed (`calm` says how they are), unless
    `each` asks for all rows.
    """
    ranked = sorted(rows, key=lambda row: (-row.need, row.code))
    quiet = [row for row in ranked if row.need == 0]
    folded = quiet if len(quiet) > FEW and not each else []
    shown = ranked[: len(ranked) - len(folded)]
    if shown or not folded:
        table(headers, [row.cells for row in shown], empty)
    if folded:
        names = ", ".join(f"{row.name} ({row.code})" if row.name else row.code for row in folded)
        if shown:
            typer.echo("")
        print_message(say("and_more" if shown else "all_of_them", count=len(folded), calm=calm))
        for line in wrap(names, WIDTH, break_long_words=False, break_on_hyphens=False):
            typer.echo(f"  {line}")


def cell(value: object) -> str:
    """Return a value on one line: `-` for none, times as `2026-03-12 08:41:07Z`, names in a row."""
    if isinstance(value, Message):
        value = value.what(language())
    if isinstance(value, list | tuple) and all(isinstance(one, str | Message) for one in value):
        value = ", ".join(one if isinstance(one, str) else one.what(language()) for one in value)
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return shown_time(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, dict | list):
        return harmless(json.dumps(value, ensure_ascii=False))
    return harmless(" ".join(str(value).split()))


def shown_time(value: datetime) -> str:
    """Return a time in UTC, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def as_plain(value: Any) -> Any:
    """Return a value as JSON has it, a dataclass as its fields. Raises TypeError."""
    if isinstance(value, Fault):
        return {
            "file": value.file,
            "line": value.line,
            "column": value.column or None,
            "reason": value.said.word,
            "what": value.said.what(language()),
            "remedy": value.said.remedy(language()),
        }
    if isinstance(value, Message):
        return value.what(language())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Not `asdict`: frozen mappings inside need no deep copy.
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(type(value).__name__)
