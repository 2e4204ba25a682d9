"""The real flow over a real database; tests can hold the lines to its simulated far ends."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import Catalogue, Gru
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.breaker import BreakerPolicy
from gateway.core.delivery import FINAL, NEEDS_A_PERSON, Kind, State
from gateway.core.lane_name import GruLane, PortalLane
from gateway.flow.engine import Engine, open_engine
from gateway.flow.environment import Environment
from gateway.flow.reading import news_of
from gateway.sdk import Adapter, Change
from gateway.sim.formdata import PARIS, Evolution, SimulatedFormdata, comment_part
from gateway.sim.portal import SimulatedPortal
from gateway.sim.ticketing import Ticket, Ticketing
from gateway.store import requests
from gateway.store.engine import Database
from gateway.store.history import NewChanges
from gateway.store.outbox import lanes
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Acceptance, Trace
from gateway.wire.formdata import Formdata, parse_formdata
from tests.intake import take_in
from tests.sealing import in_memory

HERE = Path(__file__).resolve().parent.parent
SLUG = "signalement-anomalie"
BRON, VILLEURBANNE = "69029", "69266"
GRU_A, GRU_B = str(GruLane(BRON, "outil")), str(GruLane(VILLEURBANNE, "outil"))
PORTAL_A = str(PortalLane("toodego", BRON))
WEBHOOK_KEY = "cle-de-webhook-inventee"
ENVIRON = {"PORTAL_KEY": "cle-portail", "GRU_KEY": "jeton-essai", "HOOK_KEY": WEBHOOK_KEY}
SAMPLE: dict[str, Any] = json.loads((HERE / "samples" / f"{SLUG}.json").read_text())
REST = HERE.parent / "mappings" / SLUG / "rest.yaml"

_ITEM: dict[str, Any] = {
    "gru_reference": "id",
    "reference": "external_id",
    "status": "status",
    "at": {"value": "updated_at"},
    "notes": {
        "list": "comments[?author == 'agent']",
        "message": "text",
        "internal": "internal",
        "at": {"value": "created_at"},
        "key": "id",
    },
}
OPTIONS: dict[str, Any] = {
    "base_url": "http://gru.invalid",
    "auth": {"kind": "header", "name": "X-Api-Key", "value": "env:GRU_KEY"},
    "create": {"path": "/api/tickets", "reference": "ticket.id"},
    "find": {
        "path": "/api/tickets",
        "query": {"external_id": "=reference"},
        "list": "tickets",
        "match": "external_id",
        "reference": "id",
    },
    "amend": {
        "message": {
            "path": "/api/tickets/{gru_reference}/comments",
            "body": {"text": "=message", "external_id": "=event.key"},
            "find": {
                "path": "/api/tickets/{gru_reference}",
                "list": "ticket.comments",
                "match": "external_id",
                "strays": "ignore",
            },
        },
        "change": {
            "path": "/api/tickets/{gru_reference}/comments",
            "body": {"text": "=payload.body", "external_id": "=event.key"},
        },
        "cancellation": {
            "path": "/api/tickets/{gru_reference}/comments",
            "body": {"text": "=payload.body", "external_id": "=event.key"},
        },
    },
    "statuses": {
        "path": "/api/tickets",
        "query": {"updated_since": "=since"},
        "list": "tickets",
        "item": _ITEM,
    },
    "webhook": {
        "verify": {
            "kind": "hmac-sha256",
            "header": "X-Hub-Signature-256",
            "prefix": "sha256=",
            "secret": "env:HOOK_KEY",
        },
        "items": "[ticket]",
        "item": _ITEM,
    },
}
DOCUMENT_AFTER = {
    "path": "/api/tickets/{gru_reference}/attachments",
    "encoding": "multipart",
    "body": {"key": "=event.key"},
}
UPLOAD_FIRST = {
    "mode": "first",
    "upload": {
        "path": "/api/uploads",
        "query": {"filename": "=file.name"},
        "token": "upload.token",
    },
}


class Died(BaseException):
    """Stands for the death of the process: nothing after it runs."""


BEGIN = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that a test moves by `now`. `wrong`: the error of the machine's own clock."""

    now: datetime = BEGIN
    wrong: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.now + self.wrong

    def steady(self) -> float:
        """The monotonic clock, which nobody can set, in seconds."""
        return time.monotonic() + (self.now - BEGIN).total_seconds()


class Line(httpx.AsyncBaseTransport):
    """The line to a far end. `calls` are the calls that reached it, `most` the most at once.

    While `before` is cleared, a call hangs before the far end sees it; while `after` is cleared, it
    hangs once the far end has done its work. `only`: calls of other methods do not hang.
    """

    def __init__(self, app: Any) -> None:
        self.inner: httpx.AsyncBaseTransport = httpx.ASGITransport(app)
        self.before, self.after = asyncio.Event(), asyncio.Event()
        self.before.set()
        self.after.set()
        self.calls: list[tuple[str, str]] = []
        self.urls: list[str] = []
        self.headers: list[httpx.Headers] = []
        self.times: list[float] = []
        self.in_flight = self.most = 0
        self.only = ""
        self.raises: Exception | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append((request.method, request.url.path))
        self.urls.append(str(request.url))
        self.headers.append(request.headers)
        self.times.append(time.monotonic())
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self.raises is not None:
                raise self.raises
            held = self.only in ("", request.method)
            if held:
                await self.before.wait()
            response = await self.inner.handle_async_request(request)
            if held:
                await self.after.wait()
            return response
        finally:
            self.in_flight -= 1

    def count(self, method: str, path: str = "") -> int:
        return sum(m == method and path in p for m, p in self.calls)


def merged(base: Any, over: Any) -> Any:
    """Lay `over` upon `base`, and return the result. A None removes its key."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return copy.deepcopy(over)
    result = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def catalogue(
    *,
    options: Mapping[str, Any] | None = None,
    gru: Mapping[str, Any] | None = None,
    portal: Mapping[str, Any] | None = None,
    commune: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    mapping: Callable[[str], str] = lambda text: text,
    adapter: str = "rest",
    adapters: Mapping[str, type[Adapter]] | None = None,
    data_dir: Path = Path("var"),
) -> Catalogue:
    """Build a configuration of two communes, each with a GRU of its own."""
    written: dict[str, Any] = {
        **(settings or {}),
        "data_dir": str(data_dir),
        "retry": {"delays": [5, 60], "jitter": 0, "limit": 3600},
        "portals": {
            "toodego": merged(
                {
                    "base_url": "http://portail.invalid",
                    "orig": "connecteur",
                    "key": "env:PORTAL_KEY",
                    "report_delay": None,
                    "teleservices": {SLUG: {"commune": "fields.commune_raw"}},
                },
                portal or {},
            )
        },
    }
    open311 = REST.with_name("open311.yaml")
    bundle = {
        # JSON is YAML, too, and faster to write.
        "config/gateway.yaml": json.dumps(written, ensure_ascii=False),
        f"mappings/{SLUG}/{adapter}.yaml": mapping(
            (open311 if adapter == "open311" else REST).read_text()
        ),
    }
    for insee, name in ((BRON, "Bron"), (VILLEURBANNE, "Villeurbanne")):
        here = {
            "commune": insee,
            "name": name,
            "portal": "toodego",
            "gru": {
                "outil": merged(
                    {
                        "adapter": adapter,
                        "options": merged(OPTIONS if adapter == "rest" else {}, options or {}),
                    },
                    gru or {},
                )
            },
            "routes": {SLUG: {"gru": "outil", "mapping": f"{SLUG}/{adapter}"}},
        }
        bundle[f"config/communes/{insee}.yaml"] = json.dumps(
            merged(here, commune if insee == BRON and commune else {}), ensure_ascii=False
        )
    if adapters is not None:
        return build(bundle, environ=ENVIRON, adapters=adapters)
    return _built(tuple(bundle.items()))


@cache
def _built(bundle: tuple[tuple[str, str], ...]) -> Catalogue:
    """Most tests run the same few configurations. Nobody changes one: it is replaced."""
    return build(dict(bundle), environ=ENVIRON)


@dataclass
class Rig:
    """One gateway on one database, its portal and its two GRUs."""

    catalogue: Catalogue
    database: Database
    clock: Clock
    portal: SimulatedPortal
    grus: dict[str, Any]
    lines: dict[str, Line]
    breaker: BreakerPolicy | None = None
    alone: bool = True
    crash_at: str | None = None
    passed: list[str] = field(default_factory=list)
    engine: Engine = field(init=False)
    running: asyncio.Task[None] | None = None

    @property
    def gru(self) -> Ticketing:
        sim: Ticketing = self.grus[GRU_A]
        return sim

    @property
    def line(self) -> Line:
        return self.lines[GRU_A]

    @property
    def gru_config(self) -> Gru:
        return self.catalogue.communes[BRON].grus["outil"]

    def crash(self, point: str) -> None:
        self.passed.append(point)
        if self.crash_at == point:
            self.crash_at = None
            raise Died(point)

    @asynccontextmanager
    async def gateway(
        self, *, run: bool = True, stop: bool = True, settle: timedelta = timedelta(minutes=1)
    ) -> AsyncIterator[Engine]:
        """Run one process of the gateway. `stop` False: at the end it dies without stopping."""
        environment = Environment(
            now=self.clock,
            monotonic=self.clock.steady,
            sleep=lambda seconds: asyncio.sleep(min(seconds, 0.01)),
            chance=lambda: 0.0,
            crash=self.crash,
        )
        async with open_engine(
            self.catalogue,
            self.database,
            environment=environment,
            alone=self.alone,
            transport=lambda lane: self.lines[lane],
            breaker=self.breaker,
            settle=settle,
        ) as self.engine:
            await self.engine.reconciler.connect()
            self.running = None
            try:
                if run:
                    self.start()
                yield self.engine
            finally:
                await self._end(stop)

    def start(self) -> None:
        engine = self.engine
        self.running = asyncio.create_task(engine.lanes.run(engine.lane_names()))

    async def pause(self, lane: str, paused: bool = True) -> None:
        """Pause or resume a lane as the command line does, and have the daemon notice."""
        await self.database.write(lanes.pause, lane, paused)
        await self.engine.lanes.supervisor.refresh()

    def idle(self) -> bool:
        """Are all calls over?"""
        return not any(lane.calls for lane in self.engine.lanes.views())

    async def _end(self, stop: bool) -> None:
        if stop:
            for line in self.lines.values():
                line.before.set()
                line.after.set()
            await self.engine.lanes.stop(2)
        if self.running is not None:
            if not stop:
                self.running.cancel()
            with suppress(asyncio.CancelledError):
                await self.running

    # --- the citizen and the portal -----------------------------------------------------------

    def submit(self, commune: str = BRON, *, due: bool = True, **fields: Any) -> SimulatedFormdata:
        """Submit the sample without its photo. `fields` replace its values.

        `due`: the workflow has marked the request as due, as it does just before its call.
        """
        sample = copy.deepcopy(SAMPLE)
        sample["fields"] |= {"commune_raw": commune, "photo": None, **fields}
        item = self.portal.submit_sample(sample)
        if due:
            self.mark_due(item)
        return item

    def mark_due(self, item: SimulatedFormdata) -> None:
        """Mark the request as due now, as the workflow does."""
        now = self.clock()
        item.set_fields({"bo_a_transmettre": now.astimezone(PARIS).isoformat()}, now)

    def adds(
        self, item: SimulatedFormdata, status: str, words: str | None = None, **fields: Any
    ) -> datetime:
        """Have the citizen write, edit or give up, while the workflow's call is lost.

        Returns the time of the act.
        """
        now = self.clock()
        if fields:
            item.change(fields, now)
        parts = [] if words is None else [comment_part("message_usager", words)]
        item.history.append(Evolution(now, status, item.user, "_submitter", parts))
        item.touch()
        return now

    def formdata(self, item: SimulatedFormdata, **extra: Any) -> Formdata:
        body = item.document(self.portal.base_url, push=True)
        if extra:
            body["extra"] = extra
        return parse_formdata(json.dumps(body).encode(), "application/json", limits=DEFAULT_LIMITS)

    async def push(self, item: SimulatedFormdata, **extra: Any) -> Acceptance:
        commune = str(item.fields["commune_raw"])
        formdata = self.formdata(item, **extra)
        return await take_in(self.engine, "toodego", commune, SLUG, formdata)

    async def send(self, commune: str = BRON, **fields: Any) -> tuple[SimulatedFormdata, str]:
        """Submit a request and push it. Returns the formdata and our request's id."""
        item = self.submit(commune, **fields)
        return item, request_id(await self.push(item))

    async def takes(self, *changes: Change) -> int:
        """Apply changes of the first GRU as if a poll had read them; return how many reports."""
        receiver, gru = self.engine.changes, self.gru_config
        news = [news_of(change, self.clock(), polled=True) for change in changes]
        fresh = NewChanges(news, {c.sha256: c for one in news for _, c in one.documents})
        judge = receiver._judge(gru, await receiver._restored_lately())  # noqa: SLF001 - a poll without calls
        return await receiver._apply(gru, fresh, judge)  # noqa: SLF001

    # --- looking ------------------------------------------------------------------------------

    async def trace(self, request: str) -> Trace:
        found = await self.database.read(requests.trace, request)
        assert found is not None
        return found

    async def deliveries(self, request: str, kind: Kind | None = None) -> list[Delivery]:
        found = await self.database.read(requests.deliveries, request)
        return [one for one in found if kind in (None, one.kind)]

    async def the(self, request: str, kind: Kind = Kind.SUBMIT) -> Delivery:
        """Return the only delivery of this kind."""
        (one,) = await self.deliveries(request, kind)
        return one

    def advance(self, seconds: float) -> None:
        """Move the clock and wake every lane."""
        self.clock.now += timedelta(seconds=seconds)
        self.engine.lanes.wake(*self.engine.lane_names())

    async def until(self, holds: Callable[[], Awaitable[bool] | bool], what: str = "") -> None:
        """Wait until the condition holds. After five minutes fail with the text `what`."""
        deadline = time.monotonic() + 300
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            assert time.monotonic() < deadline, what or "the condition never held"
            await asyncio.sleep(0.003)

    async def state(self, request: str, state: State, kind: Kind = Kind.SUBMIT) -> Delivery:
        """Wait until the only delivery of this kind is in this state, and return it."""

        async def in_state() -> bool:
            found = await self.deliveries(request, kind)
            return len(found) == 1 and found[0].state is state

        await self.until(in_state, f"{kind} never became {state}")
        return await self.the(request, kind)

    async def failed(self, request: str, reason: str, kind: Kind = Kind.SUBMIT) -> Delivery:
        """Wait until the only delivery of this kind has failed for this reason, and return it."""

        async def has_failed() -> bool:
            found = await self.deliveries(request, kind)
            return (
                len(found) == 1
                and found[0].reason == reason
                and found[0].state is not State.SENDING
            )

        await self.until(has_failed, f"{kind} never failed with {reason}")
        return await self.the(request, kind)

    async def rest(self, *requests_: str) -> None:
        """Wait until each delivery of these requests is final or waits for a person."""

        async def quiet() -> bool:
            for request in requests_:
                for one in await self.deliveries(request):
                    if one.state not in FINAL | NEEDS_A_PERSON:
                        return False
            return True

        await self.until(quiet, "the deliveries never came to rest")

    async def rest_in_time(self, *requests_: str) -> None:
        """Wait as `rest` does, and move the clock while no call is under way.

        So the clock does not depend on the machine's speed.
        """

        async def quiet() -> bool:
            if self.idle():
                self.advance(1)
            for request in requests_:
                for one in await self.deliveries(request):
                    if one.state not in FINAL | NEEDS_A_PERSON:
                        return False
            return True

        await self.until(quiet, "the deliveries never came to rest")

    def ticket(self, request: str) -> Ticket:
        (one,) = self.gru.by_external_id(request)
        return one

    def told(self, item: SimulatedFormdata) -> list[Any]:
        """Return the reports that the portal's workflow got of a formdata, without files."""
        return [e for e in self._given(item) if "b64_content" not in e]

    def documents(self, item: SimulatedFormdata) -> list[tuple[str, bytes]]:
        """Return the names and bytes of the files that the portal's workflow got."""
        given = [e for e in self._given(item) if "b64_content" in e]
        return [(e["filename"], base64.b64decode(e["b64_content"])) for e in given]

    def _given(self, item: SimulatedFormdata) -> list[Any]:
        return list(self.portal.events(SLUG, item.id))


def request_id(acceptance: Acceptance) -> str:
    assert acceptance.request is not None
    return acceptance.request.id


def make(
    folder: Path,
    template: Path,
    found: Catalogue | None = None,
    grus: Mapping[str, Any] | None = None,
    breaker: BreakerPolicy | None = None,
    *,
    sealed: bool = True,
) -> Rig:
    """A rig on a copy of `template`, an empty database of the present schema. Not `sealed`: a test
    looks for bytes in its files."""
    clock = Clock()
    shutil.copyfile(template, folder / "gateway.db")
    url = f"sqlite:///{folder / 'gateway.db'}"
    database = Database(url, in_memory(url) if sealed else None)
    portal = SimulatedPortal(keys={"connecteur": ENVIRON["PORTAL_KEY"]}, clock=clock)
    portal.define(SLUG, hooks=["retour_commune", "document_commune"])
    sims = dict(
        grus
        or {
            lane: Ticketing(clock=clock, webhook_key=WEBHOOK_KEY, webhook_url="http://nous.invalid")
            for lane in (GRU_A, GRU_B)
        }
    )
    for sim in sims.values():
        sim.clock = clock
    lines = {lane: Line(sim.app) for lane, sim in sims.items()}
    lines["portal:toodego"] = Line(portal.app)
    return Rig(found or catalogue(), database, clock, portal, sims, lines, breaker)
