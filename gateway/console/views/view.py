"""A view: where it is, who may open it, and the function that gives its data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.console.sight import Sight
from gateway.core.console import ConsoleRole


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    """A file to be kept, which a view gives in place of a page's data: never shown within the
    console."""

    name: str
    media_type: str
    text: str


#: Gives the data of a page, a frozen dataclass, or a ConsoleFile, from what the address says.
#: Raises NotFound for what is not there or not the reader's, and Rejected for a wrong question.
Loader = Callable[[Sight, Mapping[str, str]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class View:
    """A row. `path` is below /console, `api` below /api/v1, both with the same parts in braces.

    `menu`: its words in the navigation; empty: it is not there. `live`: seconds after which its
    page looks for news; 0: never. A page has the title of its data (`title`), or else this one.
    """

    name: str
    title: str
    path: str
    api: str
    load: Loader
    menu: str = ""
    roles: frozenset[ConsoleRole] = frozenset(ConsoleRole)
    live: int = 0

    @property
    def template(self) -> str:
        return f"{self.name}.html.j2"

    def allows(self, role: ConsoleRole) -> bool:
        return role in self.roles


__all__ = ["ConsoleFile", "View"]
