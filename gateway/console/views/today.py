"""*Aujourd'hui*: what needs a person now, first; then how each commune is, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.console.sight import Sight, TownName
from gateway.console.views.view import View
from gateway.core import reasons
from gateway.core.console import ConsoleRole
from gateway.core.incident import IncidentKind
from gateway.core.lane_name import parse_lane
from gateway.flow.incident_texts import symptoms
from gateway.ops.shapes import Health, LanePart, LaneState, Overall
from gateway.store.incidents import Incident

#: Communes of one line that are named; others are counted.
_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class TodoLine:
    """A thing that needs a person: what, where to act on it, since when, by when. The lower its
    `weight`, the sooner."""

    weight: int
    what: str
    do: str
    link: str
    communes: tuple[str, ...]
    since: datetime | None = None
    due: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class TownState:
    """A commune in the list. `state` is a constant word: down, degraded, paused, unserved, ok."""

    insee: str
    name: str
    state: str
    why: tuple[str, ...]
    needs_person: int
    waiting: int
    oldest_seconds: float | None
    incidents: int


@dataclass(frozen=True, slots=True)
class Today:
    """The page."""

    now: datetime
    todo: tuple[TodoLine, ...]
    towns: tuple[TownState, ...]
    troubled: int
    alive: bool


_ORDER: Final = ("down", "degraded", "unserved", "paused", "ok")


async def load_today(sight: Sight, query: Mapping[str, str]) -> Today:
    """Return what needs a person, and how the reader's communes are."""
    found, open_incidents = await sight.health(), await sight.incidents()
    todo = [
        *_incidents(sight, open_incidents),
        *await _waiting(sight),
        *_parts(sight, found),
    ]
    towns = sorted(
        (_town(sight, one, found, open_incidents) for one in sight.towns()),
        key=lambda one: (_ORDER.index(one.state), -one.needs_person, -one.waiting, one.name),
    )
    return Today(
        sight.now,
        tuple(sorted(todo, key=lambda one: (one.weight, one.due or sight.now, -one.count))),
        tuple(towns),
        sum(one.state in ("down", "degraded", "unserved") for one in towns),
        found.ready,
    )


def _names(sight: Sight, communes: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(sight.name_of(insee) for insee in communes[:_NAMED])
    more = len(communes) - len(names)
    return (*names, f"et {more} autres") if more > 0 else names


def _incidents(sight: Sight, found: list[Incident]) -> Iterator[TodoLine]:
    rules = sight.engine.incidents.rules
    for one in found:
        attack = one.kind is IncidentKind.SECURITY
        word = "sécurité" if attack else one.severity.value
        yield TodoLine(
            weight=0 if attack else 1 - one.severity.weight,
            what=f"Incident {word} : {symptoms(one.worst).what('fr')}",
            do="Le prendre en charge" if one.acked_by is None else f"Suivi par {one.acked_by}",
            link=f"/console/incidents/{one.id}",
            communes=_names(sight, one.communes),
            since=one.begun_at,
            due=one.deadline(rules),
        )


async def _waiting(sight: Sight) -> Iterator[TodoLine]:
    """Deliveries and changes that wait for a person: one line for each cause."""
    groups: Counter[tuple[str, str]] = Counter()
    since: dict[tuple[str, str], datetime] = {}
    towns: dict[tuple[str, str], dict[str, None]] = {}
    rows = [(d.reason, d.state.value, d.lane, d.created_at) for d in await sight.waiting()]
    rows += [(u.reason, "untold", u.lane, u.received_at) for u in await sight.untold()]
    for reason, state, lane, at in rows:
        key = (reason, state)
        groups[key] += 1
        since[key] = min(at, since.get(key, at))
        towns.setdefault(key, {})[parse_lane(lane).commune] = None

    def lines() -> Iterator[TodoLine]:
        for (reason, state), count in groups.most_common():
            said = reasons.of(reason).said
            asks = state == "question"
            yield TodoLine(
                weight=4 if asks else 5,
                what=said.what("fr"),
                do="Répondre oui ou non" if asks else said.remedy("fr") or "Rejouer ou abandonner",
                link=f"/console/a-traiter?motif={reason}",
                communes=_names(sight, tuple(towns[reason, state])),
                since=since[reason, state],
                count=count,
            )

    return lines()


def _parts(sight: Sight, found: Health) -> Iterator[TodoLine]:
    """Parts of the gateway itself, for those who run it; forms that changed, for everybody."""
    if not found.ready or found.database.state is Overall.DOWN:
        text = "La passerelle ne prend plus de demandes : base de données ou disque"
        yield TodoLine(0, text, "gru-gateway health", "", ())
    for form in () if found.drift is None else found.drift.found:
        yield TodoLine(
            6,
            f"Le formulaire {form.teleservice} a changé au portail : {form.what}",
            "gru-gateway contract drift",
            "",
            _names(sight, tuple(filter(sight.sees, form.communes))),
        )
    if sight.reader.role is ConsoleRole.AGENT:
        return
    if found.secrets.refused:
        names = ", ".join(found.secrets.refused)
        yield TodoLine(3, f"Secrets illisibles : {names}", "gru-gateway secrets renew", "", ())
    for one in found.certificates.ending:
        text = f"Certificat de {one.far_end} : fin dans {one.days_left} jours"
        yield TodoLine(7, text, "Le renouveler", "", (), due=one.ends)
    if found.glc is not None and found.glc.held:
        text = f"{found.glc.held} effacements retenus par le frein"
        link = "/console/effacements"
        yield TodoLine(
            2, text, "Deux personnes différentes décident", link, (), count=found.glc.held
        )


def _town(sight: Sight, town: TownName, found: Health, open_incidents: list[Incident]) -> TownState:
    lanes = {n: p for n, p in found.lanes.items() if parse_lane(n).commune == town.insee}
    parts = list(lanes.values())
    hit = sum(town.insee in one.communes for one in open_incidents)
    people = sum(one.needs_person for one in parts)
    oldest = [one.oldest_waiting_seconds for one in parts if one.oldest_waiting_seconds is not None]
    return TownState(
        town.insee,
        town.name,
        town_state(town, parts, hit),
        tuple(dict.fromkeys(one.says for one in parts if one.says)),
        people,
        sum(one.waiting for one in parts),
        max(oldest, default=None),
        hit,
    )


def town_state(town: TownName, lanes: list[LanePart], incidents: int) -> str:
    """Return the constant word for how a commune is."""
    if not town.served:
        return "unserved"
    states = {one.state for one in lanes}
    if LaneState.OPEN in states or LaneState.HALF_OPEN in states:
        return "down"
    if incidents or any(one.needs_person for one in lanes):
        return "degraded"
    return "paused" if LaneState.PAUSED in states else "ok"


TODAY: Final = View(
    name="today",
    title="Aujourd'hui",
    path="",
    api="/today",
    load=load_today,
    menu="Aujourd'hui",
    live=15,
)
