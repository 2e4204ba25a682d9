"""*Demandes*: found by the portal's number, the GRU's or our id; never by a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.console.sight import Sight
from gateway.console.views.view import View
from gateway.store.rows import StoredRequest

_LATEST: Final = 50
#: Characters of a number.
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """The page. `asked`: the number that was looked for; empty: the latest are listed."""

    asked: str
    found: tuple[tuple[str, StoredRequest], ...]


async def load_requests(sight: Sight, query: Mapping[str, str]) -> RequestsPage:
    """Return the requests of a number, or the latest ones, each with its commune's name."""
    asked = query.get("numero", "").strip()[:_LONGEST]
    commune = query.get("commune", "") or None
    found = (
        await sight.search(asked) if asked else await sight.latest(commune=commune, limit=_LATEST)
    )
    names = {town.insee: town.name for town in sight.towns()}
    return RequestsPage(asked, tuple((names.get(one.commune, one.commune), one) for one in found))


REQUESTS: Final = View(
    name="requests",
    title="Demandes",
    path="/demandes",
    api="/requests",
    load=load_requests,
    menu="Demandes",
)
