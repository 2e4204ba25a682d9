"""The far ends of the simulation and the way to them.

The portal and the GRUs are the project's own simulators, called as ASGI applications. Three
communes: Bron's GRU takes files before the creation and can be asked about everything; Bourg's
speaks Open311; Villeurbanne's can be asked about nothing, so each lost reply is a question to a
person, who looks and answers.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import Catalogue
from gateway.core.lane_name import GruLane
from gateway.sim.open311 import Open311
from gateway.sim.portal import SimulatedPortal
from gateway.sim.ticketing import Ticketing
from tests.flow.rig import (
    DOCUMENT_AFTER,
    ENVIRON,
    OPTIONS,
    REST,
    SLUG,
    UPLOAD_FIRST,
    WEBHOOK_KEY,
    merged,
)

ASKABLE, GEOREPORT, MUTE = "69029", "69034", "69266"
COMMUNES = (ASKABLE, GEOREPORT, MUTE)
PORTAL = "portal:toodego"
TIMEOUT = 20.0
BEGIN = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)

#: Bounds of the fault model, in seconds; see the package's docstring.
COMMIT_AT_MOST = 0.95 * TIMEOUT
LATE_COMMIT_AT_MOST = 1.9 * TIMEOUT
#: What a proxy answers that gives up while the far end is at work.
GAVE_UP = (408, 500, 502, 504)

_CREATE = {"create": {"body": "=merge(payload, {uploads: files[].{token: token}})"}}
_ERASE = {"erase": {"path": "/api/tickets/{gru_reference}/person", "answer": "any"}}
_OVERLAP = {"statuses": {"overlap": 1800}}
_FIND_CANCELLATION = {"cancellation": {"find": OPTIONS["amend"]["message"]["find"]}}
GRUS: dict[str, tuple[str, dict[str, Any]]] = {
    ASKABLE: (
        "rest",
        merged(
            OPTIONS,
            {
                **_CREATE,
                **_ERASE,
                **_OVERLAP,
                "files": UPLOAD_FIRST,
                "amend": _FIND_CANCELLATION,
            },
        ),
    ),
    GEOREPORT: (
        "open311",
        {
            "endpoint": "http://gru.invalid",
            "api_key": "env:GRU_KEY",
            "find": "by_attribute",
            "media": "none",
            "updates": {},
        },
    ),
    MUTE: (
        "rest",
        merged(
            OPTIONS,
            {
                **_OVERLAP,
                "find": None,
                "files": {"mode": "after"},
                "amend": {"document": DOCUMENT_AFTER, "message": {"find": None}},
            },
        ),
    ),
}


def catalogue(delays: list[float], limit: float) -> Catalogue:
    settings: dict[str, Any] = {
        "retry": {"delays": delays, "jitter": 0.2, "limit": limit},
        "erasure_key": "env:ERASURE_KEY",
        "portals": {
            "toodego": {
                "base_url": "http://portail.invalid",
                "orig": "connecteur",
                "key": "env:PORTAL_KEY",
                "timeout": TIMEOUT,
                "report_delay": 0.05,
                "teleservices": {SLUG: {"commune": "fields.commune_raw"}},
            }
        },
    }
    bundle = {"config/gateway.yaml": json.dumps(settings)}
    for adapter in ("rest", "open311"):
        text = REST.with_name(f"{adapter}.yaml").read_text()
        text = text.replace("DS01", "depot-sauvage").replace("PR01", "voirie")
        bundle[f"mappings/{SLUG}/{adapter}.yaml"] = text.replace("DIVERS", "voirie")
    for insee, (adapter, options) in GRUS.items():
        commune = {
            "commune": insee,
            "name": f"Commune {insee}",
            "portal": "toodego",
            "gru": {"outil": {"adapter": adapter, "options": options, "timeout": TIMEOUT}},
            "routes": {SLUG: {"gru": "outil", "mapping": f"{SLUG}/{adapter}"}},
        }
        bundle[f"config/communes/{insee}.yaml"] = json.dumps(commune)
    environ = {**ENVIRON, "ERASURE_KEY": "cle-d-effacement-inventee"}
    return build(bundle, environ=environ)


@dataclass
class Weather:
    """Shares of calls that meet each fault, in one seed's storm; all zero when it is over."""

    no_connection: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    busy: float = 0.0
    slow: float = 0.0
    late: float = 0.0
    answer_after: float = 0.0
    gave_up: float = 0.0
    #: Lanes that are dead, until when (loop time).
    dead: dict[str, float] = field(default_factory=dict)

    def clear(self) -> None:
        for name in FATES:
            setattr(self, name, 0.0)
        self.dead.clear()


FATES = (
    "no_connection", "cut_before", "cut_after", "error_before", "error_after", "busy", "slow",
    "late", "answer_after", "gave_up",
)  # fmt: skip

#: What a far end, or the proxy before it, may answer once the work is done.
AFTER = (301, 302, 303, 307, 408, 409, 429, 500, 502, 503, 504)
#: One that cannot be asked is believed when it says that it did nothing.
BELIEVED = (429, 503)


class Town:
    """The portal, the GRUs, and the weather on the way to them."""

    def __init__(self, dice: random.Random, note: Callable[..., None], world: Context) -> None:
        self.dice, self.note, self.world = dice, note, world
        self.weather = Weather()
        #: By how many seconds the clock of our machines is wrong.
        self.wrong = 0.0
        self.lost_replies = 0
        self._working: set[asyncio.Task[None]] = set()
        self.portal = SimulatedPortal(keys={"connecteur": ENVIRON["PORTAL_KEY"]}, clock=self.now)
        self.portal.define(SLUG, hooks=["retour_commune", "document_commune"])
        self.grus: dict[str, Ticketing | Open311] = {
            ASKABLE: self._ticketing(),
            GEOREPORT: Open311(api_key=ENVIRON["GRU_KEY"], extended=True, clock=self.now),
            MUTE: self._ticketing(),
        }
        self.apps = {
            str(GruLane(insee, "outil")): httpx.ASGITransport(sim.app)
            for insee, sim in self.grus.items()
        }
        self.apps[PORTAL] = httpx.ASGITransport(self.portal.app)

    def _ticketing(self) -> Ticketing:
        return Ticketing(
            clock=self.now,
            token=ENVIRON["GRU_KEY"],
            webhook_key=WEBHOOK_KEY,
            webhook_url="http://nous.invalid",
        )

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())

    def fate(self, lane: str) -> str:
        weather = self.weather
        if asyncio.get_running_loop().time() < weather.dead.get(lane, 0.0):
            return self.dice.choice(("no_connection", "busy", "error_before", "cut_before"))
        draw = self.dice.random()
        for name in FATES:
            draw -= getattr(weather, name)
            if draw < 0:
                return name
        return "well"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something happen that no process of ours can stop by dying."""
        task = asyncio.get_running_loop().create_task(work, context=self.world)
        self._working.add(task)
        task.add_done_callback(self._working.discard)


class Line(httpx.AsyncBaseTransport):
    """One process's way to one far end. The far end works on when the process dies or gives up."""

    def __init__(self, town: Town, lane: str, is_dead: Callable[[], bool]) -> None:
        self._town, self._lane, self._is_dead = town, lane, is_dead

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        town, dice = self._town, self._town.dice
        if self._is_dead():
            raise httpx.ConnectError("dead", request=request)
        content = await request.aread()
        fate = town.fate(self._lane)
        timeout = request.extensions["timeout"]["read"]
        town.note("call", self._lane, request.method, request.url.path, fate)
        if fate == "no_connection":
            await asyncio.sleep(dice.random() * 0.2)
            raise httpx.ConnectError("simulated", request=request)
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        call = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        town.spawn(self._work(fate, call, answer))
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise httpx.ReadTimeout("simulated", request=request) from None

    async def _work(  # noqa: C901 - one branch a fate
        self, fate: str, call: httpx.Request, answer: asyncio.Future[httpx.Response]
    ) -> None:
        town, dice = self._town, self._town.dice
        before, after = dice.random() * 0.2, dice.random() * 0.2
        match fate:
            case "slow":
                before = dice.random() * COMMIT_AT_MOST
                after = dice.random() * (TIMEOUT * 1.2 - before)
            case "late":
                before = TIMEOUT + dice.random() * (LATE_COMMIT_AT_MOST - TIMEOUT)
            case "cut_after" | "gave_up":
                after = -dice.random() * (COMMIT_AT_MOST - before)
        if fate in ("cut_before", "error_before", "busy"):
            await asyncio.sleep(before)
            if fate == "cut_before":
                _give(answer, httpx.RemoteProtocolError("simulated", request=call))
            elif fate == "busy":
                headers = {"Retry-After": str(dice.randrange(1, 180))}
                _give(answer, httpx.Response(dice.choice((429, 503)), headers=headers))
            else:
                _give(answer, httpx.Response(dice.choice((500, 502)), content=b"erreur"))
            return
        await asyncio.sleep(before)
        if fate == "cut_after":
            _give(answer, httpx.ReadError("simulated", request=call))
        elif fate == "gave_up":
            _give(answer, httpx.Response(dice.choice(GAVE_UP), content=b"<html>"))
        if after < 0:
            await asyncio.sleep(-after)
        if fate == "late" and self._is_dead():
            town.note("gave_up", self._lane, call.method, call.url.path)
            return
        found = await town.apps[self._lane].handle_async_request(call)
        body = await found.aread()
        town.note("done", self._lane, call.method, call.url.path, found.status_code)
        if fate == "error_after":
            found, body = httpx.Response(500), b"erreur"
        elif fate == "answer_after":
            found, body = self._lie(call), b"erreur"
        if after > 0:
            await asyncio.sleep(after)
        if call.method != "GET" and (
            answer.done() or self._is_dead() or fate in ("cut_after", "error_after", "answer_after")
        ):
            town.lost_replies += 1
        _give(answer, httpx.Response(found.status_code, headers=found.headers, content=body))

    def _lie(self, call: httpx.Request) -> httpx.Response:
        """An answer that does not tell what was done."""
        dice = self._town.dice
        mute = self._lane == str(GruLane(MUTE, "outil"))
        codes = [code for code in AFTER if not (mute and code in BELIEVED)]
        if self._lane == PORTAL:
            codes = [500, 502, 504]  # w.c.s. commits nothing under the others
        code = dice.choice(codes)
        headers = {"Location": str(call.url.copy_with(path="/ailleurs"))} if code < 400 else {}
        if code in BELIEVED:
            headers["Retry-After"] = str(dice.randrange(1, 180))
        return httpx.Response(code, headers=headers)


def _give(answer: asyncio.Future[httpx.Response], what: httpx.Response | Exception) -> None:
    if answer.done():
        return
    if isinstance(what, Exception):
        answer.set_exception(what)
    else:
        answer.set_result(what)
