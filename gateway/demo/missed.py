"""The scenario of lost pushes: the gateway was down, and w.c.s. does not repeat a push."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from gateway.catalogue.catalogue import Catalogue
from gateway.demo.samples import SCHOOL, sample
from gateway.demo.scenarios import scenario
from gateway.demo.stage import VILLEURBANNE, Stage, intake
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.sim.formdata import PARIS, Evolution, SimulatedFormdata, comment_part
from gateway.sim.portal import Callout

#: Requests submitted while the gateway is down, by default.
DUE = 5_000
#: Others for each hundred: known before, held back, turned down, due before the connection.
KNOWN, HELD, REFUSED, EARLIER = 10, 5, 5, 5
#: The gateway leaves a change younger than this to its push; short, so that nobody waits.
SETTLE = timedelta(seconds=1)
#: Seconds between two looks of the gateway.
EVERY = 1.0
#: Seconds after which it is judged as it is; and for each request.
PATIENCE, EACH = 60.0, 0.15
#: Seconds without movement before the count is final.
QUIET = 4.0
_FILES = ("livret_famille", "justificatif_domicile", "jugement_garde")


@dataclass(slots=True)
class ExpectedRequests:
    """The requests that the GRU must have, with their later events, and those that it must not
    have."""

    due: set[str] = field(default_factory=set)
    events: list[tuple[str, str]] = field(default_factory=list)
    not_due: set[str] = field(default_factory=set)


@scenario(
    "missed-pushes",
    say("missed_pushes", count=DUE),
)
async def missed_pushes(stage: Stage, story: Story) -> dict[str, Any]:
    begun = time.monotonic()
    count = stage.size or DUE
    wanted = ExpectedRequests()
    story.title(say("while_well", count=_share(count, KNOWN)))
    known = []
    for n in range(_share(count, KNOWN)):
        item = _submit(stage, f"connue {n}")
        await stage.push(item)
        known.append(item)
        wanted.due.add(f"connue {n}")
    await _quiet(stage, len(known), begun + PATIENCE)
    await stage.daemon.stop()

    story.title(say("gateway_down", count=count))
    dead = httpx.AsyncClient(transport=httpx.MockTransport(_unreachable))
    stage.portal.client = dead
    stage.portal.callout = Callout(intake(stage.url, VILLEURBANNE, SCHOOL), stage.caller_key)
    for n in range(_share(count, HELD)):
        _submit(stage, f"retenue {n}")
        wanted.not_due.add(f"retenue {n}")
    for n in range(_share(count, REFUSED)):
        item = _submit(stage, f"rejetée {n}")
        stage.portal.move(SCHOOL, item.id, "refusee")
        wanted.not_due.add(f"rejetée {n}")
    for n in range(_share(count, EARLIER)):
        _due_before(_submit(stage, f"d'avant {n}"), stage.portal.clock() - timedelta(days=1))
        wanted.not_due.add(f"d'avant {n}")
    missed = []
    for n in range(count):
        item = _submit(stage, f"manquée {n}")
        await stage.portal.push(item.id, slug=SCHOOL)
        missed.append(item)
        wanted.due.add(f"manquée {n}")
        if n % 5 == 0:
            _written(stage, item, f"manquée {n}", wanted)
        if n % 7 == 0:
            _edited(stage, item, f"manquée {n}", wanted)
        if n % 5 == 0 and n % 2 == 0:
            _written(stage, item, f"manquée {n}", wanted)  # the same words again
        await asyncio.sleep(0)
    for n, item in enumerate(known):
        (_written, _edited, _cancelled)[n % 3](stage, item, f"connue {n}", wanted)
    stage.portal.client = None
    await dead.aclose()

    story.title(say("gateway_back", count=len(wanted.events)))
    await stage.daemon.start(_eager(stage.catalogue), SETTLE)
    whole = len(wanted.due) + len(wanted.events)
    await _quiet(stage, whole, time.monotonic() + PATIENCE + EACH * whole)
    story.title(say("late_retries"))
    for item in missed[-50:]:
        await stage.push(item)
    await _quiet(stage, whole, time.monotonic() + PATIENCE)
    return _counted(stage, wanted, len(known)) | {"seconds": round(time.monotonic() - begun, 1)}


def _share(count: int, hundredths: int) -> int:
    return max(1, count * hundredths // 100)


def _submit(stage: Stage, name: str) -> SimulatedFormdata:
    made = sample(SCHOOL)
    made["fields"] |= {"commune_raw": VILLEURBANNE, "remarques": name}
    made["fields"] |= dict.fromkeys(_FILES)
    for child in made["fields"]["enfants_raw"]:
        child |= {"carnet_vaccination": None, "certificat_radiation": None}
    return stage.portal.submit_sample(made)


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("the gateway is down", request=request)


def _due_before(item: SimulatedFormdata, at: datetime) -> None:
    """Mark a request as the commune's before the gateway was installed."""
    item.received = at - timedelta(hours=1)
    item.history[0] = replace(item.history[0], time=item.received)
    item.set_fields({"bo_a_transmettre": at.astimezone(PARIS).isoformat()}, at)


def _enter(stage: Stage, item: SimulatedFormdata, status: str, words: str | None = None) -> None:
    parts = [] if words is None else [comment_part("message_usager", words)]
    item.history.append(Evolution(stage.portal.clock(), status, item.user, "_submitter", parts))
    item.touch()


def _written(stage: Stage, item: SimulatedFormdata, name: str, wanted: ExpectedRequests) -> None:
    words = f"Avez-vous reçu {name} ?"
    _enter(stage, item, "evtmsg", words)
    wanted.events.append((name, words))


def _edited(stage: Stage, item: SimulatedFormdata, name: str, wanted: ExpectedRequests) -> None:
    street = f"Rue de {name}"
    item.change({"adresse_voie": street}, stage.portal.clock())
    _enter(stage, item, "evtmod")
    wanted.events.append((name, f"→ « {street} »"))


def _cancelled(stage: Stage, item: SimulatedFormdata, name: str, wanted: ExpectedRequests) -> None:
    _enter(stage, item, "evtann")
    wanted.events.append((name, "a annulé sa demande"))


def _eager(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue with a reconcile each second, and more calls at once."""
    portals = {
        name: dataclasses.replace(
            portal,
            teleservices={
                slug: dataclasses.replace(one, reconcile=EVERY)
                for slug, one in portal.teleservices.items()
            },
        )
        for name, portal in catalogue.portals.items()
    }
    communes = dict(catalogue.communes)
    commune = communes[VILLEURBANNE]
    grus = {
        name: dataclasses.replace(gru, lane=dataclasses.replace(gru.lane, concurrency=8))
        for name, gru in commune.grus.items()
    }
    routes = {
        slug: dataclasses.replace(route, gru=grus[route.gru.name])
        for slug, route in commune.routes.items()
    }
    communes[VILLEURBANNE] = dataclasses.replace(commune, grus=grus, routes=routes)
    return dataclasses.replace(catalogue, portals=portals, communes=communes)


async def _quiet(stage: Stage, at_least: int, until: float) -> None:
    """Wait until this many requests are at the GRU and nothing changes, or the time is over."""
    last, since = -1, time.monotonic()
    while time.monotonic() < until and not stage.stop.is_set():
        tickets = stage.villeurbanne.tickets
        now = len(tickets) + sum(len(ticket.comments) for ticket in tickets)
        if now != last:
            last, since = now, time.monotonic()
        if now >= at_least and time.monotonic() - since >= QUIET:
            return
        await asyncio.sleep(0.1)


def _counted(stage: Stage, wanted: ExpectedRequests, known: int) -> dict[str, Any]:
    """Count at the GRU only: the gateway's own tables prove nothing."""
    tickets: Counter[str] = Counter()
    said: Counter[tuple[str, str]] = Counter()
    events = Counter(wanted.events)
    for ticket in stage.villeurbanne.tickets:
        name = str(ticket.payload.get("description"))
        tickets[name] += 1
        for comment in ticket.comments:
            said.update(one for one in events if one[0] == name and one[1] in comment.text)
    return _summary(wanted, known, tickets, said, events)


def _summary(
    wanted: ExpectedRequests,
    known: int,
    tickets: Mapping[str, int],
    said: Mapping[tuple[str, str], int],
    events: Mapping[tuple[str, str], int],
) -> dict[str, Any]:
    taken = sum(1 for name in wanted.due if tickets.get(name))
    told = sum(min(said.get(one, 0), times) for one, times in events.items())
    repeated = sum(max(0, times - 1) for times in tickets.values())
    repeated += sum(max(0, said.get(one, 0) - times) for one, times in events.items())
    due, every = len(wanted.due), sum(events.values())
    not_due = sum(1 for name in wanted.not_due if tickets.get(name))
    lost = due - taken + every - told
    return {
        "scenario": "missed-pushes",
        "due": due - known,
        "taken": taken - known,
        "events_due": every,
        "events_taken": told,
        "not_due_taken": not_due,
        "lost": lost,
        "duplicates": repeated,
        "ok": not (lost or repeated or not_due),
    }
