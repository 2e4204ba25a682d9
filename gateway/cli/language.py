"""The language of a command: `--lang`, or the language of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise, takewhile
from typing import Annotated, Final

import typer

from gateway.core.messages import Language

OPTION: Final = "--lang"
#: The language of `--lang`, until the command ends.
_ASKED: Final[ContextVar[Language | None]] = ContextVar("language", default=None)
_SPOKEN: Final[Mapping[str, Language]] = {"en": "en", "fr": "fr"}


@contextmanager
def speaking(arguments: Sequence[str]) -> Iterator[None]:
    """Set the language from the arguments of a command, wherever `--lang` stands.

    It is set before the other arguments are parsed, so that their faults are reported in it too.
    """
    own = [*takewhile(lambda one: one != "--", arguments), ""]
    asked = [
        after if one == OPTION else one.removeprefix(f"{OPTION}=")
        for one, after in pairwise(own)
        if one == OPTION or one.startswith(f"{OPTION}=")
    ]
    known = [_SPOKEN[one] for one in asked if one in _SPOKEN]
    before = _ASKED.set(known[-1] if known else None)
    try:
        yield
    finally:
        _ASKED.reset(before)


def _known(value: str | None) -> str | None:
    # It speaks the language that is found here.
    from gateway.cli.texts import say
    from gateway.cli.usage import Misuse

    if value is not None and value not in _SPOKEN:
        raise Misuse(say("no_language", given=value))
    return value


#: Of the root, which gives it to every command.
InLanguage = Annotated[
    str | None,
    typer.Option(
        OPTION,
        metavar="[en|fr]",
        callback=_known,
        is_eager=True,
        help="Language of what is told; without it, that of LC_ALL, LC_MESSAGES or LANG.",
    ),
]


def language(environ: Mapping[str, str] | None = None) -> Language:
    """Return the language of the running command: French if requested, otherwise English."""
    asked = _ASKED.get()
    if asked is not None:
        return asked
    known = os.environ if environ is None else environ
    settings = (known.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    chosen = next((one for one in settings if one), "")
    return "fr" if re.match(r"fr(?![a-z])", chosen, re.IGNORECASE) else "en"
