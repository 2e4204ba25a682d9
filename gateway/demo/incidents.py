"""The scenario of a GRU that dies: one incident, one ticket, and people who are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.packs import read_packs
from gateway.core.errors import GatewayError
from gateway.core.incident import IncidentState
from gateway.demo.files import write_secrets
from gateway.demo.forgetting import GatewayTables, watching_tables
from gateway.demo.samples import SCHOOL, registration, sample
from gateway.demo.scenarios import at_work, scenario, settled
from gateway.demo.stage import Stage
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.sdk.webhook_signature import is_signed
from gateway.sim.faults import FaultCondition
from gateway.sim.glpi import SOLVED, Glpi
from gateway.sim.server import run_server
from gateway.store import incident_tickets, incidents
from gateway.store.incidents import Incident

#: Requests that wait for the GRU that is away.
_WAITING = 6
_SECRETS = ("glpi-token", "alert-key")
_RULES = {"after": {"gru_away": 1, "poll_fails": 1}, "every": 1, "settle": 2}


@dataclass(slots=True)
class AlertReader:
    """People who are told by signed webhooks. `notes` by id, as often as they came."""

    key: str
    notes: Counter[str] = field(default_factory=Counter)
    read: list[dict[str, Any]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        paths = ("/metropole", "/communes")
        return Starlette(routes=[Route(one, self._receive, methods=["POST"]) for one in paths])

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not is_signed([self.key], headers, body, datetime.now(UTC)):
            return JSONResponse({}, 401)
        self.notes[request.url.path + headers["webhook-id"]] += 1
        self.read.append({"path": request.url.path, **json.loads(body)})
        return JSONResponse({})

    def was_told(self, path: str, kind: str) -> bool:
        return any(one["path"] == path and one["type"] == kind for one in self.read)


@scenario("incident", say("gru_dies"))
async def gru_dies(stage: Stage, story: Story) -> dict[str, Any]:
    async with _with_tools(stage) as (glpi, reader):
        with watching_tables(stage) as watch:
            met = await _play(stage, story, watch, glpi, reader)
            found = await watch.database.read(incidents.opened, everything=True)
        over = (IncidentState.RESOLVED, IncidentState.CLOSED)
        resolved = sum(one.state in over for one in found)
        twice = sum(count - 1 for count in reader.notes.values())
        duplicates = len(glpi.duplicates()) + twice
        whole = (len(found), len(glpi.tickets), resolved, duplicates) == (1, 1, 1, 0)
        return {
            "scenario": "incident",
            "incidents": len(found),
            "tickets": len(glpi.tickets),
            "told": len(reader.notes),
            "resolved": resolved,
            "duplicates": duplicates,
            "ok": met and whole,
        }


async def _play(
    stage: Stage, story: Story, watch: GatewayTables, glpi: Glpi, reader: AlertReader
) -> bool:
    async with at_work(stage, story):
        story.title(say("gru_silent"))
        stage.villeurbanne.faults.cut_before(FaultCondition())
        try:
            for _ in range(_WAITING):
                form = registration(sample(SCHOOL), stage.dice)
                await stage.push(stage.portal.submit_sample(form))
            met = await _until(watch, partial(_has, watch, IncidentState.OPEN))
            story.say("gateway", say("incident_open"))
            met &= await _until(watch, lambda: bool(glpi.tickets))
            met &= await _until(watch, lambda: reader.was_told("/communes", "incident.opened"))
            met &= await _until(watch, lambda: reader.was_told("/metropole", "incident.opened"))
            if not met:
                return False
            ticket = glpi.tickets[0]
            story.say("gateway", say("ticket_there", number=ticket.id))
            glpi.advance(ticket.id, note="Vu avec la commune : le serveur redémarre.")
            met &= await _until(watch, partial(_answered, watch))
            story.say("gateway", say("technician_answers"))
        finally:
            stage.villeurbanne.faults.clear()
        story.title(say("gru_back"))
        met &= await _until(watch, partial(_has, watch, IncidentState.RESOLVED))
        met &= await _until(watch, lambda: ticket.status == SOLVED)
        met &= await _until(watch, lambda: reader.was_told("/communes", "incident.resolved"))
        met &= await _until(watch, lambda: reader.was_told("/metropole", "incident.resolved"))
        story.say("gateway", say("incident_over", count=len(reader.notes)))
        await settled(stage)
    return met


async def _until(watch: GatewayTables, true: Callable[[], Awaitable[bool] | bool]) -> bool:
    """Wait until `true`. A GRU that returns is not asked for the breaker's whole pause."""
    for _ in range(4):
        if await watch.until(true):
            return True
    return False


async def _all(watch: GatewayTables) -> list[Incident]:
    return await watch.database.read(incidents.opened, everything=True)


async def _has(watch: GatewayTables, state: IncidentState) -> bool:
    return any(one.state is state for one in await _all(watch))


async def _answered(watch: GatewayTables) -> bool:
    for one in await _all(watch):
        if await watch.database.read(incident_tickets.answers, one.id):
            return True
    return False


@asynccontextmanager
async def _with_tools(stage: Stage) -> AsyncIterator[tuple[Glpi, AlertReader]]:
    """Start the tool of the tickets and those who are told; have the daemon know them."""
    keys = write_secrets(stage.folder, _SECRETS)
    glpi, reader = Glpi(token=keys["glpi-token"]), AlertReader(keys["alert-key"])
    async with run_server(glpi.app) as tool, run_server(reader.app) as people:
        await stage.daemon.stop()
        stage.catalogue = _knowing(stage, tool.url, people.url)
        await stage.daemon.start(stage.catalogue)
        yield glpi, reader
        # They are away from here on: the daemon must not count that.
        await stage.daemon.stop()


def _knowing(stage: Stage, tool: str, people: str) -> Catalogue:
    """Write the tool and the channels into the demo's configuration, and read it."""
    secrets = stage.folder / "secrets"
    text = read_packs()["glpi"].ticketing
    if text is None:
        raise GatewayError(say("no_mappings"))
    ticketing: dict[str, Any] = yaml.safe_load(text)["ticketing"]
    options = ticketing["options"]
    options["base_url"] = f"{tool}/apirest.php"
    for call in ("create", "find"):
        options[call]["link"] = f"{tool}/front/ticket.form.php?id={{gru_reference}}"
    options["secrets"] = {"jeton": f"file:{secrets}/glpi-token"}
    channels = {}
    for name, to in (("metropole", "operators"), ("communes", "communes")):
        address = secrets / f"{name}-url"
        address.touch(mode=0o600)
        address.write_text(f"{people}/{name}", "utf-8")
        secret = f"file:{secrets}/alert-key"
        channels[name] = {"webhook": f"file:{address}", "secret": secret, "to": to}
    file = stage.config / "gateway.yaml"
    added = {
        "incidents": _RULES,
        "ticketing": ticketing | {"environment": "test", "poll": 1},
        "telling": {"channels": channels},
    }
    known = file.read_text("utf-8")
    file.write_text(known + yaml.safe_dump(added, allow_unicode=True), "utf-8")
    adapters = stage.catalogue.adapters
    return build(read_bundle(stage.config, stage.mappings), environ={}, adapters=adapters)


__all__ = ["AlertReader"]
