"""Acts as data: what a person may do, to what, with which words, by the use case of the command.

A form of the console and a call of `/api/v1` are made of one row, so that neither can do what the
other cannot. Each act is an entry of the trail, in the transaction of what it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.console.sight import Sight
from gateway.core.console import ConsoleRole
from gateway.store.recording import RecordingStore

#: Characters of a reason, and of a parameter without a bound of its own.
LONGEST: Final = 500
OPERATORS: Final = frozenset({ConsoleRole.OPERATOR})
ACTORS: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.AGENT})
EVERYBODY: Final = frozenset(ConsoleRole)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that an act needs. `choices`: (value, label) of a list; none for a text. `lines`: a
    text may have several lines. Not `noted`: it is too long for the trail, and kept elsewhere."""

    name: str
    label: str
    required: bool = True
    choices: tuple[tuple[str, str], ...] = ()
    lines: bool = False
    longest: int = LONGEST
    hint: str = ""
    noted: bool = True


@dataclass(frozen=True, slots=True)
class ActTarget:
    """A thing to act on: its id, its commune (None: of none), and how people know it."""

    id: str
    commune: str | None
    label: str
    value: Any = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class ActInHand:
    """An act under way: through whose eyes, on what, with which values; `store` notes it."""

    sight: Sight
    store: RecordingStore
    target: ActTarget
    because: str
    given: Mapping[str, str]
    by: str


@dataclass(frozen=True, slots=True)
class ActResult:
    """The outcome: a French sentence, and data for programs."""

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


Finder = Callable[[Sight, str], Awaitable[ActTarget]]
Planner = Callable[[Sight, ActTarget], Awaitable[str]]
Doer = Callable[[ActInHand], Awaitable[ActResult]]


@dataclass(frozen=True, slots=True)
class ConsoleAct:
    """A row. `find` raises NotFound for what is not the reader's; `plan` says in French what will
    happen, and raises Conflict where it cannot; `do` does it, by the use case of the command.

    `because`: a reason must be given. `bulk`: it may be done to many at once. `back` is where the
    page of its result leads.
    """

    name: str
    title: str
    button: str
    roles: frozenset[ConsoleRole]
    find: Finder
    plan: Planner
    do: Doer
    because: bool = False
    bulk: bool = False
    parameters: Sequence[Parameter] = ()
    danger: bool = False
    #: The command that does the same.
    command: str = ""

    def allows(self, role: ConsoleRole) -> bool:
        return role in self.roles


__all__ = ["ActInHand", "ActResult", "ActTarget", "ConsoleAct", "Parameter"]
