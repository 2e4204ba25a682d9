"""The connected communes, by their files or by what runs: a broken file hides none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.catalogue.catalogue import Catalogue, Commune
from gateway.catalogue.insee import unknown_communes
from gateway.catalogue.parts import CatalogueParts
from gateway.catalogue.release import Release
from gateway.catalogue.yaml_reader import load_yaml
from gateway.contracts import gate
from gateway.core.decommission import DecommissionStep
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.lane_name import GruLane, PortalLane, parse_lane
from gateway.flow.lanes.configured import lanes_of
from gateway.store import applied, decommissions, leftover, releases, running_releases
from gateway.store.engine import Store
from gateway.store.leftover import Leftover
from gateway.store.outbox import backlog
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.lanes import LaneMemory
from gateway.store.releases import Activation
from gateway.store.running_releases import RunningRelease


@dataclass(frozen=True, slots=True)
class ConnectedCommune:
    """One commune. `commune` is its file's, None when that is broken or gone; `release` and
    `active` are what runs. `lanes` are all that it has by either."""

    insee: str
    name: str
    commune: Commune | None
    release: Release | None
    active: Activation | None
    faults: tuple[Fault, ...]
    lanes: tuple[str, ...]
    left: Leftover
    #: By its file as last applied, or as it is when none was.
    paused: bool
    #: The daemon does not run what is active; what ran before may go on.
    refused: bool
    #: The step of its leaving the gateway; None: it does not leave.
    departure: DecommissionStep | None = None

    @property
    def file(self) -> str:
        """Return the state of its file: `ok`, `broken`, or `gone`."""
        if self.commune is not None:
            return "ok"
        return "broken" if self.faults else "gone"

    @property
    def contacts(self) -> Mapping[str, str]:
        """Return the contacts, by role."""
        if self.commune is not None:
            return self.commune.contacts
        return {} if self.release is None else contacts_in(self.release)

    @property
    def portal(self) -> str:
        known = self.commune or self.release
        return "" if known is None else known.portal


@dataclass(frozen=True, slots=True)
class ConnectedCommunes:
    """All communes, their lanes' memory, and whether any release is active."""

    communes: Mapping[str, ConnectedCommune]
    lanes: Mapping[str, LaneMemory]
    waiting: Mapping[str, tuple[int, int, datetime]]
    released: bool

    def lane(self, name: str) -> LaneMemory:
        """Return what is remembered of a lane."""
        return self.lanes.get(name) or LaneMemory(name)

    def get(self, insee: str) -> ConnectedCommune:
        """Raises NotFound, which names some that exist."""
        found = self.communes.get(insee)
        if found is None:
            names = {code: one.name for code, one in self.communes.items()}
            raise unknown_communes([insee], names)
        return found


async def everybody(
    store: Store, parts: CatalogueParts, broken: Mapping[str, tuple[Fault, ...]]
) -> ConnectedCommunes:
    """List the connected communes, as the database and the files have them now; `broken` are the
    faults of the communes' files."""
    ledger = await store.read(releases.ledger)
    running, _ = await gate.active_releases(store, ledger)
    known = await store.read(memory.recall)
    texts = await store.read(applied.files)
    words = await store.read(running_releases.get_all)
    leaving = {one.commune: one.step for one in await store.read(decommissions.every)}
    now = datetime.now(UTC)
    waiting = await store.read(backlog.waiting_by_lane, now)
    remembered = _by_commune({*known, *waiting})
    files = parts.catalogue.communes
    lanes = {
        insee: tuple(
            dict.fromkeys(
                [
                    *lanes_of(parts.catalogue, insee),
                    *(lanes_in(running[insee]) if insee in running else ()),
                    *remembered.get(insee, ()),
                ]
            )
        )
        for insee in sorted({*files, *broken, *ledger.active})
    }
    left = await store.read(leftover.leftovers, lanes, now)
    found = {}
    for insee, names in lanes.items():
        commune, release = files.get(insee), running.get(insee)
        named = commune or release
        found[insee] = ConnectedCommune(
            insee,
            insee if named is None else named.name,
            commune,
            release,
            ledger.active.get(insee),
            broken.get(insee, ()),
            names,
            left[insee],
            _paused(commune, texts.get(insee)),
            _refused(ledger.active.get(insee), words.get(insee)),
            leaving.get(insee),
        )
    return ConnectedCommunes(found, known, waiting, bool(ledger.active))


def _refused(active: Activation | None, word: RunningRelease | None) -> bool:
    if active is None or word is None:
        return False
    return word.refused is not None and word.digest == active.digest


def _paused(commune: Commune | None, text: str | None) -> bool:
    if text is None:
        return commune is not None and commune.paused
    return _parsed(text).get("paused") is True


def _by_commune(names: Collection[str]) -> dict[str, list[str]]:
    """Group the lanes that the database knows by commune, sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(parse_lane(name).commune, []).append(name)
    return found


def lanes_in(release: Release) -> list[str]:
    """Return the lanes of a release, as far as its commune's file can be read."""
    grus = _commune_file(release).get("gru")
    names = sorted(grus) if isinstance(grus, dict) else []
    return [
        *(str(GruLane(release.commune, name)) for name in names),
        str(PortalLane(release.portal, release.commune)),
    ]


def contacts_in(release: Release) -> dict[str, str]:
    """Return the contacts in a release's file."""
    found = _commune_file(release).get("contacts")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


async def contacts_of(store: Store, catalogue: Catalogue, insee: str) -> Mapping[str, str]:
    """Return the contacts of a commune, from its file or else from what runs."""
    if insee in catalogue.communes:
        return catalogue.communes[insee].contacts
    running, _ = await gate.active_releases(store)
    return contacts_in(running[insee]) if insee in running else {}


def _commune_file(release: Release) -> dict[str, object]:
    return _parsed(release.files.get(release.commune_file, ""))


def _parsed(text: str) -> dict[str, object]:
    try:
        value = load_yaml(text, "").value
    except ConfigurationFault:
        return {}
    return value if isinstance(value, dict) else {}
