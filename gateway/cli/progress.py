"""The progress of a long command: a bar on a terminal, lines elsewhere. Both on the standard
error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from gateway.cli.language import language
from gateway.core.messages import Message

#: How many are done, of how many, and the name of the next one; an empty name at the end.
Step = Callable[[int, int, str], None]


@contextmanager
def progress(said: Message) -> Iterator[Step]:
    """Give the function to call before each step, and once all are done."""
    what = said.what(language())
    if not sys.stderr.isatty():
        yield lambda done, of, name: _line(what, done, of, name)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of, name: bar.update(
            task, completed=done, total=of, description=f"{what}: {name}"
        )


def _line(what: str, done: int, of: int, name: str) -> None:
    if name:
        typer.echo(f"{what} {done + 1}/{of}: {name}", err=True)
