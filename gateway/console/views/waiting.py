"""*À traiter*: what waits for a person, by its cause, one by one or many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.console.acting import AT_ONCE
from gateway.console.sight import MOST, Sight
from gateway.console.views.request import acts_for
from gateway.console.views.view import View
from gateway.console.words import KINDS, WHO
from gateway.core import reasons
from gateway.core.lane_name import parse_lane
from gateway.ops.why import who_acts
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Untold

_STUCK: Final = "stuck"


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """A delivery, or a GRU's change (`kind` says which in words), that waits for a person."""

    id: str
    kind: str
    request: str | None
    insee: str
    commune: str
    since: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """All that waits for one reason in one state: a constant word as of a delivery, `untold` for a
    GRU's changes, `stuck` for what is still tried by itself. `together` are the ids that one act
    takes at once."""

    reason: str
    state: str
    what: str
    do: str
    who: str
    acts: tuple[str, ...]
    items: tuple[WaitingItem, ...]
    together: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """The page. `full`: there are more, which come once these are dealt with."""

    groups: tuple[WaitingGroup, ...]
    count: int
    full: bool
    commune: str
    reason: str
    towns: tuple[tuple[str, str], ...]


async def load_waiting(sight: Sight, query: Mapping[str, str]) -> WaitingPage:
    """Return what waits for a person: of one commune (`commune`), for one reason (`motif`). Raises
    NotFound."""
    commune, wanted = query.get("commune", ""), query.get("motif", "")
    names = {town.insee: town.name for town in sight.towns()}
    found: list[Delivery | Untold] = [
        *await sight.waiting(commune=commune or None),
        *await sight.untold(commune=commune or None),
    ]
    groups: dict[tuple[str, str, str], list[WaitingItem]] = {}
    for one in found:
        if wanted in ("", one.reason):
            key = (one.reason, _state(one), who_acts(one.reason, one.lane))
            groups.setdefault(key, []).append(_item(one, names))
    made = [_group(*key, items) for key, items in groups.items()]
    return WaitingPage(
        groups=tuple(sorted(made, key=lambda one: (one.state == _STUCK, -len(one.items)))),
        count=sum(len(one.items) for one in made),
        full=len(found) >= MOST,
        commune=commune,
        reason=wanted,
        towns=tuple(names.items()),
    )


def _state(one: Delivery | Untold) -> str:
    if isinstance(one, Untold):
        return "untold"
    return one.state.value if one.state.value in ("question", "parked", "dead") else _STUCK


def _item(one: Delivery | Untold, names: Mapping[str, str]) -> WaitingItem:
    insee = parse_lane(one.lane).commune
    town = names.get(insee, insee)
    if isinstance(one, Untold):
        kind = "Nouvelle de la GRU"
        return WaitingItem(one.id, kind, one.request_id, insee, town, one.received_at, 0)
    kind = KINDS[one.kind.value]
    return WaitingItem(one.id, kind, one.request_id, insee, town, one.created_at, one.attempts)


def _group(reason: str, state: str, who: str, items: list[WaitingItem]) -> WaitingGroup:
    said = reasons.of(reason).said
    return WaitingGroup(
        reason=reason,
        state=state,
        what=said.what("fr"),
        do=said.remedy("fr"),
        who=WHO.get(who, who),
        acts=("delivery.discard",) if state == _STUCK else acts_for(state),
        items=tuple(items),
        together=tuple(one.id for one in items[:AT_ONCE]),
    )


WAITING: Final = View(
    name="waiting",
    title="À traiter",
    path="/a-traiter",
    api="/waiting",
    load=load_waiting,
    menu="À traiter",
    live=20,
)
