"""A gateway with a console and two communes, each with a request that waits for a person."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, update

from gateway.core.announcement import AnnouncementRules
from gateway.core.availability import MinuteVerdict, minute_of
from gateway.core.console import ConsoleRole, Grant, granted
from gateway.core.incident import IncidentRules, Party, Symptom, SymptomWord, observe
from gateway.flow.announcements import AnnouncementPlan, announce
from gateway.flow.console.access import ConsoleAccess
from gateway.flow.console.sessions import form_token
from gateway.store import availability, incident_acts, incident_looks, incidents, requests, trail
from gateway.store.availability import Scope
from gateway.store.console import STREAM
from gateway.store.erasure_tables import ERASURE
from gateway.store.erasure_tables import TARGET as ERASURE_TARGET
from gateway.store.outbox import backlog
from gateway.store.tables import DELIVERY
from gateway.store.trail import TrailEntry
from tests.web.harness import ENVIRON, Gateway, bundle, gateway, requests_path, small
from tests.web.openid_provider import SECRET

BRON, VILLEURBANNE = "69029", "69266"
ORIGIN = "https://passerelle.exemple.invalid"
TOKENS = {"operator": "jeton-d-exploitation-" + 20 * "x", "bron": "jeton-de-bron-" + 26 * "x"}
CONSOLE = """\
console:
  tokens:
    - {name: exploitation, token: env:CONSOLE_OPERATOR, role: operator}
    - {name: bron, token: env:CONSOLE_BRON, role: agent, communes: ["69029"]}
"""


def console_bundle(
    data_dir: Path, public_url: str = ORIGIN + "/", more: str = ""
) -> dict[str, str]:
    """Return the harness's configuration with a console."""
    files = bundle(data_dir)
    text = files["config/gateway.yaml"].replace(ORIGIN + "/", public_url)
    return files | {"config/gateway.yaml": text + CONSOLE + more}


#: Stands in what is of Villeurbanne alone.
THEIRS = "MARQUEUR-DE-VILLEURBANNE"
PORTAL_AWAY = Symptom(
    "portal:toodego", SymptomWord.PORTAL_AWAY, frozenset({BRON, VILLEURBANNE}), Party.PORTAL
)
GRU_AWAY = Symptom(
    f"gru:{VILLEURBANNE}:main", SymptomWord.LATE, frozenset({VILLEURBANNE}), Party.COMMUNE
)
ATTACK = Symptom("refused_signatures", SymptomWord.REFUSED_SIGNATURES)


@dataclass
class ConsoleTown:
    """The gateway, and browsers of its people. `parked`: by commune, a delivery that waits for a
    person; `asked`: one whose question does; `requests`: theirs. `incidents`: one of both communes
    (`shared`), one of Villeurbanne (`theirs`), and an `attack`."""

    gw: Gateway
    requests: dict[str, str] = field(default_factory=dict)
    parked: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    incidents: dict[str, str] = field(default_factory=dict)

    @property
    def access(self) -> ConsoleAccess:
        access = self.gw.engine.console
        assert access is not None
        return access

    @asynccontextmanager
    async def browser(
        self, role: ConsoleRole | None = None, *communes: str
    ) -> AsyncIterator[Browser]:
        """A browser; of somebody who has signed in, with a `role`."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.gw.app), base_url=ORIGIN
        ) as client:
            browser = Browser(client)
            if role is not None:
                await browser.enter(self.access, granted(role, communes), role.value)
            yield browser

    async def told(self) -> list[TrailEntry]:
        """Return the acts of people in the trail."""
        return await self.gw.database.read(trail.entries, STREAM)


@dataclass
class Browser:
    """A browser: it says where its forms come from, and keeps cookies."""

    client: httpx.AsyncClient
    form_token: str = ""

    async def enter(self, access: ConsoleAccess, grant: Grant, name: str) -> None:
        """Sign in, without a password."""
        token = await access.sessions.open(f"openid:{name}", name, grant)
        self.client.cookies.set("__Host-console-session", token)
        self.form_token = form_token(token)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(
        self, path: str, fields: dict[str, Any], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        told = {"jeton": self.form_token} | fields
        given = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
        return await self.client.post(path, data=told, headers=given)


@asynccontextmanager
async def console_town(
    folder: Path, template: Path, public_url: str = ORIGIN + "/", more: str = ""
) -> AsyncIterator[ConsoleTown]:
    """Run it."""
    environ = ENVIRON | {
        "CONSOLE_OPERATOR": TOKENS["operator"],
        "CONSOLE_BRON": TOKENS["bron"],
        "CONSOLE_SECRET": SECRET,
    }
    files = console_bundle(folder, public_url, more)
    async with gateway(folder, template, files=files, environ=environ) as gw:
        town = ConsoleTown(gw)
        await fill(town)
        yield town


async def fill(town: ConsoleTown) -> None:
    """Give each commune two requests: one is parked, of the other the GRU cannot be asked."""
    gw, slug = town.gw, "signalement-anomalie"
    for n, insee in enumerate((BRON, VILLEURBANNE)):
        for m, state in enumerate(("parked", "question")):
            formdata = small(str(10 * n + m + 1))
            formdata["fields"]["commune_raw"] = insee
            if insee == VILLEURBANNE:
                formdata["fields"]["description"] = THEIRS
            answer = await gw.push(formdata, requests_path(insee, slug))
            assert answer.status_code < 300, answer.text
            (latest, *_) = await gw.database.read(requests.listing, commune=insee, limit=1)
            (one,) = await gw.database.read(requests.deliveries, latest.id)
            reason = "unmappable" if state == "parked" else "timeout"
            await gw.database.write(put, one.id, state, reason)
            (town.parked if state == "parked" else town.asked)[insee] = one.id
            town.requests.setdefault(insee, latest.id)
    await gw.database.write(_open_incidents, gw.engine.incidents.rules, gw.clock[0])
    causes = {one.cause: one.id for one in await gw.database.read(incidents.opened)}
    named = {"shared": PORTAL_AWAY, "theirs": GRU_AWAY, "attack": ATTACK}
    town.incidents = {name: causes[symptom.cause] for name, symptom in named.items()}
    for name in ("shared", "theirs"):
        await gw.database.write(
            incident_acts.pause, town.incidents[name], VILLEURBANNE, THEIRS, THEIRS, now=gw.clock[0]
        )


def _open_incidents(connection: Any, rules: IncidentRules, now: datetime) -> None:
    """Have the symptoms show for an hour before now."""
    names = itertools.count(1)
    seen = observe([PORTAL_AWAY, GRU_AWAY, ATTACK], rules)
    for minutes in (60, 40):
        incident_looks.observe(
            connection, seen, rules, lambda: f"INC-{next(names)}", now - timedelta(minutes=minutes)
        )


def put(connection: Any, delivery: str, state: str, reason: str) -> None:
    """Put a delivery into a state."""
    values = {"state": state, "reason": reason, "failures": 9}
    connection.execute(update(DELIVERY).where(DELIVERY.c.id == delivery).values(**values))


async def state_of(town: ConsoleTown, delivery: str) -> str:
    """Return the state of a delivery."""
    found = await town.gw.database.read(backlog.find_delivery, delivery)
    assert found is not None
    return found.state.value


async def seed_erasures(town: ConsoleTown) -> None:
    """Have two people's erasures held in RUN-1 (ERA-1, ERA-2), one of which both communes owe an
    answer (ERA-3), and one of Villeurbanne alone that is over (ERA-4)."""
    await town.gw.database.write(_insert_erasures, town, town.gw.clock[0])


def _insert_erasures(connection: Any, town: ConsoleTown, now: datetime) -> None:
    base: dict[str, Any] = {
        "mark": "m",
        "source": "deletions",
        "found_at": now,
        "requests": 1,
        "files": 0,
    }
    for n, state in enumerate(("held", "held", "telling", "closed"), 1):
        values: dict[str, Any] = {
            "id": f"ERA-{n}",
            "run": "RUN-1" if n < 3 else f"RUN-{n}",
            "state": state,
        }
        values |= {"account": f"account-{n}" if state == "held" else None}
        values |= {"because": THEIRS} if n > 2 else {}
        connection.execute(insert(ERASURE).values(base | values | {"due_at": now}))
    for erasure, insee in (("ERA-3", BRON), ("ERA-3", VILLEURBANNE), ("ERA-4", VILLEURBANNE)):
        target: dict[str, Any] = {
            "erasure_id": erasure,
            "request_id": town.requests[insee],
            "commune": insee,
        }
        target |= {"gru": "main", "delivery_id": town.parked[insee]}
        if erasure == "ERA-4":
            target |= {"acknowledged_at": now, "acknowledged_by": THEIRS, "answer": "erased"}
        connection.execute(insert(ERASURE_TARGET).values(target))


async def seed_month(town: ConsoleTown) -> None:
    """Have an hour at the ledger, ten minutes of which were down and ours, and two announcements:
    of both communes, and of Villeurbanne alone."""
    gw, now = town.gw, town.gw.clock[0]
    await gw.database.write(_record_hour, minute_of(now) - 60)
    for title, communes in (("Nouvelle version", [BRON, VILLEURBANNE]), (THEIRS, [VILLEURBANNE])):
        starts, ends = now + timedelta(days=9), now + timedelta(days=9, hours=2)
        plan = AnnouncementPlan(title, "Rien à faire.", starts, ends, communes, "Ana Fictive")
        await announce(gw.database, gw.engine.environment, AnnouncementRules(), plan)


def _record_hour(connection: Any, since: int) -> None:
    ours, up = MinuteVerdict.GATEWAY, MinuteVerdict.UP
    service, bron, other = (Scope("toodego", one) for one in ("", BRON, VILLEURBANNE))
    for n in range(60):
        verdict = ours if n < 10 else up
        verdicts = {service: verdict, bron: verdict, other: up}
        availability.record(connection, since + n, verdicts)
