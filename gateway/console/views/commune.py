"""*Commune*: its lanes and why they wait, what passed last, what runs, and who to call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.console.sight import Sight
from gateway.console.sight_availability import share_of
from gateway.console.views.today import town_state
from gateway.console.views.view import View
from gateway.core.lane_name import PortalLane, parse_lane
from gateway.ops.shapes import LanePart
from gateway.store.incidents import Incident
from gateway.store.rows import StoredRequest

_LAST: Final = 15
_MONTH: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class CommuneLane:
    """A lane of a commune, in words."""

    name: str
    label: str
    part: LanePart


@dataclass(frozen=True, slots=True)
class CommuneSignature:
    """A commune's word on a release."""

    by: str
    function: str
    date: str
    note: str


@dataclass(frozen=True, slots=True)
class CommuneRelease:
    """The release that runs. `passed`: its contracts did, when last run."""

    digest: str
    since: datetime
    unsigned: bool
    urgent: str
    signatures: tuple[CommuneSignature, ...]
    passed: bool | None
    passed_at: datetime | None
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommuneDrift:
    """A form that no longer fits the mappings."""

    teleservice: str
    what: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommunePage:
    """The page. `availability` is None while no ledger is kept."""

    title: str
    insee: str
    name: str
    portal: str
    state: str
    served: bool
    paused: bool
    teleservices: tuple[str, ...]
    lanes: tuple[CommuneLane, ...]
    needs_person: int
    latest: tuple[StoredRequest, ...]
    release: CommuneRelease | None
    drift: tuple[CommuneDrift, ...]
    contacts: tuple[tuple[str, str], ...]
    incidents: tuple[Incident, ...]
    availability: float | None


async def load_commune(sight: Sight, query: Mapping[str, str]) -> CommunePage:
    """Return a commune of the reader's. Raises NotFound."""
    town = sight.town(query.get("insee", ""))
    commune = sight.commune(town.insee)
    lanes = await sight.lanes(town.insee)
    month = sight.now - _MONTH
    recent = await sight.incidents(everything=True, commune=town.insee)
    hit = [one for one in recent if (one.solved_at or sight.now) >= month]
    found = await sight.health()
    drift = () if found.drift is None else found.drift.found
    return CommunePage(
        title=town.name,
        insee=town.insee,
        name=town.name,
        portal=town.portal,
        state=town_state(town, [*lanes.values()], sum(one.solved_at is None for one in hit)),
        served=town.served,
        paused=any(part.state == "paused" for part in lanes.values()),
        teleservices=() if commune is None else tuple(sorted(commune.routes)),
        lanes=tuple(CommuneLane(n, _label(n), part) for n, part in sorted(lanes.items())),
        needs_person=sum(part.needs_person for part in lanes.values()),
        latest=tuple(await sight.latest(commune=town.insee, limit=_LAST)),
        release=await _release(sight, town.insee),
        drift=tuple(
            CommuneDrift(d.teleservice, d.what, d.places) for d in drift if town.insee in d.communes
        ),
        contacts=() if commune is None else tuple(sorted(commune.contacts.items())),
        incidents=tuple(hit),
        availability=await share_of(sight, town.insee),
    )


def _label(name: str) -> str:
    lane = parse_lane(name)
    if isinstance(lane, PortalLane):
        return f"Vers le portail {lane.portal}"
    return f"Vers la GRU « {lane.gru} »"


async def _release(sight: Sight, insee: str) -> CommuneRelease | None:
    ledger = await sight.ledger()
    active = ledger.active.get(insee)
    if active is None:
        return None
    run = ledger.runs.get(active.digest)
    return CommuneRelease(
        digest=active.digest,
        since=active.at,
        unsigned=active.unsigned,
        urgent="" if active.urgent is None else f"{active.urgent.by} : {active.urgent.why}",
        signatures=tuple(
            CommuneSignature(one.by, one.function, one.date, one.note)
            for one in ledger.signatures.get(active.digest, ())
        ),
        passed=None if run is None else run.passed,
        passed_at=None if run is None else run.at,
        failures=() if run is None else run.failures,
    )


COMMUNE: Final = View(
    name="commune",
    title="Commune",
    path="/communes/{insee}",
    api="/communes/{insee}",
    load=load_commune,
    live=15,
)
