"""*Mises en service*: what runs for each commune, what is offered, and what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.console.sight import Sight
from gateway.console.sight_releases import (
    ReleaseChanges,
    ReleasePart,
    former,
    offered,
    release_book,
    release_changes,
    running,
)
from gateway.console.views.view import View


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A commune in the list."""

    insee: str
    name: str
    running: ReleasePart | None
    offered: ReleasePart | None


@dataclass(frozen=True, slots=True)
class ReleasesPage:
    """The page: communes with something to agree to come first."""

    lines: tuple[ReleaseLine, ...]


@dataclass(frozen=True, slots=True)
class TownReleases:
    """The page of a commune. `changes` is of what is offered, against what runs."""

    title: str
    insee: str
    name: str
    running: ReleasePart | None
    offered: ReleasePart | None
    changes: ReleaseChanges | None
    former: tuple[ReleasePart, ...]


async def load_releases(sight: Sight, query: Mapping[str, str]) -> ReleasesPage:
    """List the releases of the reader's communes."""
    book = await release_book(sight)
    lines = [
        ReleaseLine(one.insee, one.name, running(book, one.insee), offered(book, one.insee))
        for one in sight.towns()
    ]
    return ReleasesPage(tuple(sorted(lines, key=lambda one: (one.offered is None, one.name))))


async def load_town(sight: Sight, query: Mapping[str, str]) -> TownReleases:
    """Return the releases of a commune of the reader's. Raises NotFound."""
    town = sight.town(query.get("insee", ""))
    book = await release_book(sight)
    runs, waits = running(book, town.insee), offered(book, town.insee)
    return TownReleases(
        title=f"Mises en service de {town.name}",
        insee=town.insee,
        name=town.name,
        running=runs,
        offered=waits,
        changes=None if waits is None else await release_changes(sight, town.insee, runs, waits),
        former=former(book, town.insee),
    )


RELEASES: Final = View(
    name="releases",
    title="Mises en service",
    path="/mises-en-service",
    api="/releases",
    load=load_releases,
    menu="Mises en service",
)
TOWN_RELEASES: Final = View(
    name="town_releases",
    title="Mises en service",
    path="/mises-en-service/{insee}",
    api="/releases/{insee}",
    load=load_town,
)

__all__ = ["RELEASES", "TOWN_RELEASES"]
