"""The communes that leave, or have left, as this process knows them: asked at each call.

They are read every other second. Before something is stored for a commune they are never older
than `OLDEST` seconds, also in a process that stood still.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from zoneinfo import ZoneInfo

from gateway.catalogue.catalogue import Catalogue
from gateway.core.decommission import CLOSED, GONE, SETTLED, Departure
from gateway.core.errors import Rejected
from gateway.flow.environment import Environment
from gateway.store import decommissions
from gateway.store.engine import Store

#: Seconds between two readings; and the age after which they are read anew before use.
REFRESH = 2.0
OLDEST = 6.0
#: The code of each refusal.
LEFT = "commune_left"
_T = TypeVar("_T")
_PARIS = ZoneInfo("Europe/Paris")


@dataclass(slots=True)
class Departures:
    """The departures by commune. One per process."""

    environment: Environment
    known: Mapping[str, Departure] = field(default_factory=dict)
    _by_code: Mapping[str, str] = field(default_factory=dict, init=False)
    _read_at: float = field(default=float("-inf"), init=False)

    async def refresh(self, store: Store) -> None:
        """Read them. Raises Unavailable; the former ones stay."""
        begun = self.environment.monotonic()
        found = await store.read(decommissions.every)
        self.known = {one.commune: one.departure for one in found}
        self._by_code = {code: one.commune for one in found for code in one.codes}
        self._read_at = begun

    def commune_of(self, code: str, catalogue: Catalogue) -> str:
        """Return the commune of a code, as `Catalogue.insee` does: one that is served, or one that
        has left and had this code as well; else `code` itself."""
        found = catalogue.insee(code)
        served = found != code or found in catalogue.communes or found in catalogue.unreleased
        return found if served else self._by_code.get(code, code)

    async def check(self, store: Store, commune: str) -> None:
        """As `check_open`, by what the database says now or said a moment ago. Raises Rejected,
        Unavailable."""
        if self.environment.monotonic() - self._read_at > OLDEST:
            await self.refresh(store)
        self.check_open(commune)

    def check_open(self, commune: str) -> None:
        """Raises Rejected 410 when nothing is taken for this commune any more."""
        if self.is_closed(commune):
            raise self.refusal(commune)

    def is_closed(self, commune: str) -> bool:
        """Is nothing of its citizens taken any more?"""
        one = self.known.get(commune)
        return one is not None and one.step in CLOSED

    def is_settled(self, commune: str) -> bool:
        """Is nothing of its GRU taken any more either?"""
        one = self.known.get(commune)
        return one is not None and one.step in SETTLED

    def is_gone(self, commune: str) -> bool:
        """Is nothing of it served any more?"""
        one = self.known.get(commune)
        return one is not None and one.step in GONE

    def refusal(self, commune: str) -> Rejected:
        """Return the refusal to raise, in French."""
        one = self.known[commune]
        day = ""
        if one.closed_at is not None:
            day = f" depuis le {one.closed_at.astimezone(_PARIS).strftime('%d/%m/%Y')}"
        text = (
            f"La commune de {one.name} n'est plus raccordée à la passerelle{day} : rien ne lui est"
            " plus transmis, et réessayer n'y changera rien."
        )
        return Rejected(410, LEFT, text)

    def without(self, catalogue: Catalogue) -> Catalogue:
        """Return the catalogue without the communes that are gone."""
        return without(catalogue, [one for one in self.known if self.is_gone(one)])


def without(catalogue: Catalogue, gone: Collection[str]) -> Catalogue:
    """Return the catalogue without these communes: none of their keys, routes, GRUs and links."""
    if not gone:
        return catalogue

    def others(found: Mapping[str, _T]) -> dict[str, _T]:
        return {insee: one for insee, one in found.items() if insee not in gone}

    return replace(
        catalogue,
        communes=others(catalogue.communes),
        unreleased=others(catalogue.unreleased),
        refused=others(catalogue.refused),
        releases=None if catalogue.releases is None else others(catalogue.releases),
    )
