"""People are told by their channels: once each, signed, within their hours, and shown where not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.core.incident import IncidentKind, Observation, Party, Severity
from gateway.core.incident import SymptomWord as Word
from gateway.core.outcome import Accepted, Outcome
from gateway.flow import incident_acts
from gateway.flow.alerts import order_trial
from gateway.flow.engine import Engine
from gateway.ops.stored_parts import telling_part
from gateway.sdk.webhook_signature import is_signed
from gateway.store import incident_looks, incident_notices, incidents
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, ENVIRON, GRU_A, VILLEURBANNE, Rig

KEYS = ("whsec_" + "YWJj" * 10, "whsec_" + "ZGVm" * 10)
MAIL = {"host": "relais.invalid", "from": "passerelle@exemple.org"}
HOOK = {"webhook": "env:ALERT_URL", "secret": ["env:ALERT_KEY", "env:FORMER_KEY"]}
NIGHT = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 13, 6, 30, tzinfo=UTC)


@dataclass
class Server(httpx.AsyncBaseTransport):
    """A channel's server. It keeps what it took."""

    taken: list[httpx.Request] = field(default_factory=list)
    before: asyncio.Event = field(default_factory=asyncio.Event)
    after: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 200
    away: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        if self.status == 200:
            self.taken.append(request)
        return httpx.Response(self.status)

    def told(self) -> list[Any]:
        return [json.loads(one.content) for one in self.taken]


@dataclass
class Scene:
    """A gateway with channels."""

    rig: Rig
    engine: Engine
    servers: dict[str, Server]
    mails: list[tuple[Sequence[str], str, str]] = field(default_factory=list)

    async def look(
        self,
        *words: Word,
        severity: Severity = Severity.MAJEUR,
        kind: IncidentKind = IncidentKind.SERVICE,
        communes: Sequence[str] = (BRON,),
        cause: str = GRU_A,
    ) -> None:
        """Look at a GRU with these symptoms."""
        seen = [
            Observation(
                cause=cause,
                kind=kind,
                severity=severity,
                party=Party.COMMUNE,
                worst=word,
                words=frozenset(words),
                communes=frozenset(communes),
                reason="",
                since=None,
                part_of=None,
                after=timedelta(),
            )
            for word in words[:1]
        ]
        rules = replace(self.engine.incidents.rules, settle=timedelta(minutes=1))
        name = f"INC-{self.engine.environment.new_name()}"
        await self.rig.database.write(
            incident_looks.observe, seen, rules, lambda: name, self.rig.clock.now
        )

    async def send(self, minutes: int = 0) -> None:
        self.rig.clock.now += timedelta(minutes=minutes)
        await self.engine.incidents.send_notes()

    async def relay(self, to: Sequence[str], title: str, text: str, name: str) -> Outcome:
        self.mails.append((to, title, text))
        return Accepted()

    async def one(self) -> str:
        (one,) = await self.rig.database.read(incidents.opened)
        return one.id


@pytest.fixture
def begin(build_rig: Builder, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a rig with these channels."""
    monkeypatch.setitem(ENVIRON, "ALERT_URL", "https://alertes.exemple.org/crochet?cle=x")
    monkeypatch.setitem(ENVIRON, "ALERT_KEY", KEYS[0])
    monkeypatch.setitem(ENVIRON, "FORMER_KEY", KEYS[1])

    def make(channels: dict[str, Any], **telling: Any) -> tuple[Rig, dict[str, Server]]:
        rig = build_rig(
            settings={"telling": {"channels": channels} | telling, "mail": MAIL},
            commune={"contacts": {"direction": "direction@bron.exemple"}},
        )
        servers = {name: Server() for name in (*channels, "heartbeat")}
        rig.lines |= {f"telling:{name}": server for name, server in servers.items()}  # type: ignore[misc]
        return rig, servers

    return make


def scene(rig: Rig, engine: Engine, servers: dict[str, Server]) -> Scene:
    """Return a scene whose mails go nowhere."""
    here = Scene(rig, engine, servers)
    alerts = replace(engine.alerts, mail=here.relay)
    desk = replace(engine.incidents, send=here.relay, alerts=alerts)
    here.engine = replace(engine, incidents=desk, alerts=alerts)
    return here


async def test_a_webhook_is_signed_with_both_secrets_and_has_nothing_of_a_citizen(
    begin: Any,
) -> None:
    rig, servers = begin({"astreinte": HOOK})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY)
        await here.send()
        await here.look(Word.PORTAL_AWAY, severity=Severity.BLOQUANT)
        await here.send()
        await here.look()
        rig.clock.now += timedelta(minutes=2)
        await here.look()
        await here.send()
    requests = servers["astreinte"].taken
    for request in requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        for key in KEYS:
            assert is_signed([key], headers, request.content, rig.clock.now)
    told = servers["astreinte"].told()
    assert [one["type"] for one in told] == [
        "incident.opened",
        "incident.worse_bloquant",
        "incident.resolved",
    ]
    assert told[0]["data"]["communes"] == [BRON]
    assert told[1]["data"]["severity"] == "bloquant"
    assert len({one.headers["webhook-id"] for one in requests}) == 3


async def test_each_channel_hears_of_its_own(begin: Any) -> None:
    rig, servers = begin(
        {
            "tout": {"chat": "env:ALERT_URL"},
            "bron": HOOK | {"to": [BRON]},
            "grave": {"chat": "env:ALERT_URL", "notes": "bloquant"},
            "elus": {"role": "direction", "to": "communes", "notes": "bloquant"},
            "tchap": {"matrix": "env:ALERT_URL", "room": "!a:b", "secret": "env:ALERT_KEY"},
        }
    )
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY, communes=(BRON, VILLEURBANNE))
        await here.send()
        count = {name: len(one.taken) for name, one in servers.items()}
        assert count == {"tout": 1, "bron": 1, "grave": 0, "elus": 0, "tchap": 1, "heartbeat": 0}
        assert "Bron" in servers["tout"].told()[0]["text"]
        assert servers["tchap"].taken[0].method == "PUT"
        assert servers["bron"].told()[0]["data"]["communes"] == [BRON]
        await here.look(Word.PORTAL_AWAY, severity=Severity.BLOQUANT, communes=(BRON, VILLEURBANNE))
        await here.send()
        assert len(servers["grave"].taken) == 1
        directed = [to for to, title, _ in here.mails if "Bron" in title]
        assert ["direction@bron.exemple"] in directed
        # Of an attack no commune is told by itself.
        before = len(servers["bron"].taken)
        attack = IncidentKind.SECURITY
        await here.look(Word.BROKEN_TRAIL, kind=attack, cause="trail:x", communes=(BRON,))
        await here.send()
        assert (len(servers["bron"].taken), len(servers["grave"].taken)) == (before, 1)
        assert len(servers["tout"].taken) == 3


async def test_a_channel_that_is_away_is_tried_until_it_takes_and_holds_up_no_other(
    begin: Any,
) -> None:
    rig, servers = begin({"a": HOOK, "b": {"chat": "env:ALERT_URL"}})
    servers["a"].away = True
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY)
        await here.look(Word.GRU_AWAY, Word.LATE, cause="disk")
        await here.send()
        assert len(servers["b"].taken) == 2
        owed = await rig.database.read(incident_notices.waiting_notes, 10)
        assert {(one.audience, one.failure) for one in owed} == {("#a", "unreachable")}
        rig.clock.now += timedelta(minutes=20)
        part = await telling_part(here.engine, rig.clock.now)
        assert part.state == "degraded"
        servers["a"].away = False
        await here.send()
        assert (len(servers["a"].taken), len(servers["b"].taken)) == (2, 2)
        part = await telling_part(here.engine, rig.clock.now)
        assert (part.state, part.untold) == ("ok", ())


async def test_quiet_hours_hold_back_what_is_not_blocking(begin: Any) -> None:
    quiet = {"from": "20:00", "to": "07:30"}
    rig, servers = begin({"a": HOOK}, quiet=quiet)
    rig.clock.now = NIGHT
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY)
        await here.look(Word.PORTAL_AWAY, severity=Severity.BLOQUANT, cause="portal:toodego")
        await here.send()
        assert [one["data"]["severity"] for one in servers["a"].told()] == ["bloquant"]
        part = await telling_part(here.engine, rig.clock.now)
        assert part.failing_since is None
        rig.clock.now = MORNING
        await here.send()
        severities = [one["data"]["severity"] for one in servers["a"].told()]
        assert severities == ["bloquant", "majeur"]


async def test_a_digest_comes_once_a_day_and_says_nothing_when_there_is_nothing(
    begin: Any,
) -> None:
    rig, servers = begin({"a": {"chat": "env:ALERT_URL", "notes": "none", "digest": "08:00"}})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.engine.alerts.owe_by_clock()
        await here.look(Word.GRU_AWAY)
        await here.send()
        assert servers["a"].taken == []
        for _ in range(3):
            rig.clock.now += timedelta(hours=9)
            await here.engine.alerts.owe_by_clock()
            await here.send()
        (text,) = [one["text"] for one in servers["a"].told()]
        assert "1 en cours, 0 finis" in text


async def test_a_trial_goes_each_month_and_whenever_a_person_asks(begin: Any) -> None:
    rig, servers = begin({"a": HOOK, "b": {"chat": "env:ALERT_URL"}}, self_test=3)
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        for _ in range(3):
            await here.engine.alerts.owe_by_clock()
            await here.send(10)
        assert [one["type"] for one in servers["a"].told()] == ["trial"]
        assert "essai" in servers["b"].told()[0]["text"]
        await order_trial(engine.store, engine.catalogue.settings, rig.clock.now)
        await here.send()
        assert (len(servers["a"].taken), len(servers["b"].taken)) == (2, 2)
        rig.clock.now += timedelta(days=24)
        await here.engine.alerts.owe_by_clock()
        await here.send()
        assert len(servers["a"].taken) == 3


async def test_the_switch_is_let_go_when_nobody_can_be_told(begin: Any) -> None:
    rig, servers = begin({"a": HOOK}, heartbeat={"url": "env:ALERT_URL"})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.engine.alerts.call_switch()
        assert len(servers["heartbeat"].taken) == 1
        servers["a"].status = 500
        await here.look(Word.GRU_AWAY)
        await here.send()
        rig.clock.now += timedelta(hours=2)
        await here.engine.alerts.call_switch()
        assert len(servers["heartbeat"].taken) == 1
        part = await telling_part(here.engine, rig.clock.now)
        assert (part.state, part.switch) == ("degraded", "nobody_told")
        servers["a"].status = 200
        await here.send()
        servers["heartbeat"].away = True
        await here.engine.alerts.call_switch()
        part = await telling_part(here.engine, rig.clock.now)
        assert part.switch == "unreachable"


async def test_health_says_of_what_nobody_was_told(begin: Any) -> None:
    rig, servers = begin({})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY, communes=())
        rig.clock.now += timedelta(minutes=20)
        part = await telling_part(here.engine, rig.clock.now)
        assert (part.state, part.untold) == ("degraded", (await here.one(),))


async def test_who_was_told_of_the_beginning_is_told_of_the_end_by_a_person(begin: Any) -> None:
    rig, servers = begin({"a": HOOK})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, servers)
        await here.look(Word.GRU_AWAY)
        await here.send()
        one = await here.one()
        await incident_acts.close(engine.store, one, "fini", "C. E.", now=rig.clock.now)
        await here.send()
        assert [note["data"]["step"] for note in servers["a"].told()] == ["opened", "resolved"]
