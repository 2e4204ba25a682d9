"""In which language a command speaks: `--lang`, or that of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Annotated, Final

import typer

from gateway.core.messages import Language

#: The language of `--lang`, until the command ends.
_ASKED: Final[ContextVar[Language | None]] = ContextVar("language", default=None)


_SPOKEN: Final[Mapping[str, Language]] = {"en": "en", "fr": "fr"}


def _chosen(context: typer.Context, value: str | None) -> str | None:
    # Both speak the language that is found here.
    from gateway.cli.faults import Exit
    from gateway.cli.texts import say

    if value is not None:
        if value not in _SPOKEN:
            typer.echo(say("no_language", given=value).told(language()), err=True)
            raise typer.Exit(Exit.USAGE)
        before = _ASKED.set(_SPOKEN[value])
        # Of the root: what the command raises is told after its own context has ended.
        context.find_root().call_on_close(lambda: _ASKED.reset(before))
    return value


#: Of the root, and of each command that a commune's people run.
InLanguage = Annotated[
    str | None,
    typer.Option(
        "--lang",
        metavar="[en|fr]",
        callback=_chosen,
        is_eager=True,
        help="Language of what is told; without it, that of LC_ALL, LC_MESSAGES or LANG.",
    ),
]


def language(environ: Mapping[str, str] | None = None) -> Language:
    """Return the language of the command that runs: French where it is asked for, else English."""
    asked = _ASKED.get()
    if asked is not None:
        return asked
    known = os.environ if environ is None else environ
    settings = (known.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    chosen = next((one for one in settings if one), "")
    return "fr" if re.match(r"fr(?![a-z])", chosen, re.IGNORECASE) else "en"
