"""A person's act by a command, for the trail: who does it, and why."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.console_texts import say
from gateway.cli.usage import Misuse
from gateway.store.console import PersonalAct
from gateway.store.engine import Store
from gateway.store.recording import RecordingStore

By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it; else the login name.")
]
Because = Annotated[
    str, typer.Option("--because", metavar="TEXT", help="Why; without naming a citizen.")
]
_LONGEST = 100


def who(told: str | None) -> str:
    """Return who acts: as told, or by the login name. Raises Misuse for what names nobody."""
    try:
        name = told.strip() if told else getpass.getuser()
    except (KeyError, OSError):  # a container's account has no name
        name = "?"
    if not name or not name.isprintable() or len(name) > _LONGEST:
        raise Misuse(say("bad_by"))
    return name


def noting(
    store: Store, kind: str, by: str | None, *, because: str = "", **told: str
) -> RecordingStore:
    """Return a store that notes the act with what is done by it. `told`: what else there is to say,
    without a citizen's data."""
    act = PersonalAct(kind, who(by), "cli", "", because, told)
    return RecordingStore(store, act, lambda: datetime.now(UTC))


__all__ = ["Because", "By", "noting", "who"]
