"""The progress of a long command on the standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.cli.language import language
from gateway.cli.output import print_message
from gateway.cli.texts import say
from gateway.core.messages import Message

#: Called with the number done, the number in all, and the next one's name (empty at the end).
Step = Callable[[int, int, str], None]


@contextmanager
def progress(said: Message) -> Iterator[Step]:
    """Yield the function to call before each step, and once more after the last one."""
    if not sys.stderr.isatty():
        yield lambda done, of, name: _line(said, done, of, name)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(said.what(language()), total=None)
        yield lambda done, of, name: bar.update(
            task,
            completed=done,
            total=of,
            description=say("at", where=said, what=name).what(language()),
        )


def _line(said: Message, done: int, of: int, name: str) -> None:
    if name:
        print_message(say("step", what=said, done=done + 1, of=of, name=name), err=True)
