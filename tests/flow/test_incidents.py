"""Incidents over the real flow: a far end dies, one incident opens, people are told, it returns."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text

from gateway.core.breaker import BreakerPolicy
from gateway.core.incident import IncidentRules
from gateway.core.outcome import Accepted, Outcome, TryLater
from gateway.flow.engine import Engine, grus
from gateway.flow.incidents import IncidentDesk
from gateway.flow.refusals import RefusalMeter
from gateway.ops.incident_watch import IncidentWatch
from gateway.store import incident_notices, incidents, trail
from gateway.store.engine import Database
from gateway.store.incidents import Incident
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, GRU_A, VILLEURBANNE, Rig

BREAKER = BreakerPolicy(minimum=2)
CONTACTS = {"technical": "dsi@bron.exemple", "dpo": "dpo@bron.exemple"}
ON_CALL = "astreinte@metropole.exemple"


@dataclass
class Relay:
    """Keeps the notes that it took; `answers` are its next ones."""

    answers: list[Outcome] = field(default_factory=list)
    notes: list[tuple[list[str], str, str, str]] = field(default_factory=list)

    async def send(self, recipients: Sequence[str], subject: str, text: str, name: str) -> Outcome:
        answer = self.answers.pop(0) if self.answers else Accepted()
        if isinstance(answer, Accepted):
            self.notes.append((list(recipients), subject, text, name))
        return answer


@dataclass
class Scene:
    """A gateway that is watched, and a relay."""

    rig: Rig
    relay: Relay
    watch: IncidentWatch

    async def minutes(self, count: int) -> None:
        """Let time pass; poll, look, and send notes, each minute."""
        for _ in range(count):
            self.rig.clock.now += timedelta(minutes=1)
            for gru in grus(self.rig.engine.catalogue):
                await self.rig.engine.changes.poll(gru)
            await self.watch.observe()
            await self.watch.engine.incidents.send_notes()

    async def incidents(self) -> list[Incident]:
        return await self.rig.database.read(incidents.opened, everything=True)

    def told(self) -> list[tuple[str, str]]:
        return [(to[0], subject) for to, subject, _, _ in self.relay.notes]


def scene(rig: Rig, engine: Engine, relay: Relay | None = None) -> Scene:
    far_ends = engine.far_ends
    settings = dataclasses.replace(
        far_ends.catalogue.settings, incidents=IncidentRules(operators=(ON_CALL,))
    )
    far_ends.catalogue = dataclasses.replace(far_ends.catalogue, settings=settings)
    relay = relay or Relay()
    desk = IncidentDesk(engine.store, far_ends, engine.environment, relay.send)
    watched = dataclasses.replace(engine, incidents=desk)
    return Scene(rig, relay, IncidentWatch(watched, rig.clock.now))


def dead(rig: Rig, lane: str = GRU_A) -> None:
    rig.lines[lane].raises = httpx.ConnectError("refused")


async def test_a_gru_that_dies_is_one_incident_from_its_opening_to_its_end(
    build_rig: Builder,
) -> None:
    rig = build_rig(breaker=BREAKER, commune={"contacts": CONTACTS})
    dead(rig)
    async with rig.gateway() as engine:
        here = scene(rig, engine)
        sent = [await rig.send(description="Chez Zoé Fictive") for _ in range(3)]
        await rig.until(lambda: bool(engine.lanes.view(GRU_A, {}).breaker.reason), "it never broke")
        await here.minutes(8)
        (one,) = await here.incidents()
        assert (one.cause, one.worst, one.party) == (GRU_A, "gru_away", "commune")
        assert (one.state, one.severity, one.communes) == ("open", "majeur", (BRON,))
        assert here.told() == [
            (ON_CALL, f"Toodego, incident majeur {one.id} : ouvert"),
            ("dsi@bron.exemple", f"Toodego, Bron (69029) : incident en cours ({one.id})"),
        ]
        rig.line.raises = None
        rig.advance(600)
        await rig.rest_in_time(*(request for _, request in sent))
        await here.minutes(12)
        (one,) = await here.incidents()
        assert (one.state, one.returns) == ("resolved", 0)
        assert [subject for _, subject in here.told()[2:]] == [
            f"Toodego, incident majeur {one.id} : résolu",
            f"Toodego, Bron (69029) : incident résolu ({one.id})",
        ]
        written = " ".join(subject + words for _, subject, words, _ in here.relay.notes)
        assert "Zoé" not in written
        assert all(request not in written for _, request in sent)
        assert len({name for *_, name in here.relay.notes}) == 4
        assert await rig.database.read(trail.verify, incidents.STREAM) == []


async def test_a_dead_portal_is_one_incident_of_both_communes(build_rig: Builder) -> None:
    rig = build_rig(breaker=BREAKER)
    async with rig.gateway() as engine:
        here = scene(rig, engine)
        dead(rig, "portal:toodego")
        for commune in (BRON, VILLEURBANNE, BRON, VILLEURBANNE):
            await rig.send(commune)
        lanes = [name for name in engine.lane_names() if name.startswith("portal:")]
        assert len(lanes) == 2
        await rig.until(lambda: all(engine.lanes.view(n, {}).breaker.reason for n in lanes))
        await here.minutes(7)
        (one,) = await here.incidents()
        assert (one.cause, one.severity) == ("portal:toodego", "bloquant")
        assert one.communes == (BRON, VILLEURBANNE)


async def test_a_note_that_nobody_takes_is_tried_until_somebody_does(build_rig: Builder) -> None:
    rig = build_rig(commune={"contacts": CONTACTS})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine, Relay([TryLater("unreachable")] * 3))
        await rig.database.write(_old_delivery_of, await _request(rig))
        await here.minutes(1)
        (one,) = await here.incidents()
        assert one.worst == "deliveries_late"
        assert here.relay.notes == []
        # A relay that is away is called once in each run.
        await here.minutes(7)
        notes = await rig.database.read(incident_notices.of_incident, one.id)
        assert {note.state for note in notes} == {"sent"}
        assert [note.attempts for note in notes] == [4, 4]
        assert len(here.relay.notes) == 2


async def test_a_commune_that_names_nobody_is_not_owed_a_note_for_ever(build_rig: Builder) -> None:
    rig = build_rig(commune={"contacts": {"technical": "04 00 00 00 00"}})
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine)
        await rig.database.write(_old_delivery_of, await _request(rig))
        await here.minutes(1)
        (one,) = await here.incidents()
        states = []
        for days in (0, 7):
            rig.clock.now += timedelta(days=days)
            await here.watch.engine.incidents.send_notes()
            notes = await rig.database.read(incident_notices.of_incident, one.id)
            states.append({(note.audience, note.state, note.failure) for note in notes})
        assert states == [
            {("", "sent", None), (BRON, "waiting", "no_contact")},
            {("", "sent", None), (BRON, "superseded", "no_contact")},
        ]


async def _request(rig: Rig) -> str:
    _, request = await rig.send()
    return request


def _old_delivery_of(connection: Any, request: str) -> None:
    statement = "UPDATE delivery SET created_at = created_at - 10800000000 WHERE request_id = :id"
    connection.execute(text(statement), {"id": request})


async def test_a_burst_of_calls_that_prove_nothing_is_an_attack(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine)
        for _ in range(29):
            engine.refusals.refused("/portal/v1/x", 403, "wrong_signature")
        engine.refusals.refused("/portal/v1/x", 404, "no_route")
        await here.minutes(1)
        assert await here.incidents() == []
        engine.refusals.refused("/portal/v1/x", 403, "wrong_signature")
        for _ in range(30):
            engine.refusals.refused("/gru/v1/communes/{insee}/webhooks/{adapter}", 401, "unproven")
        await here.minutes(1)
        found = {one.worst: one.kind for one in await here.incidents()}
        assert found == {"refused_signatures": "securite", "forged_webhooks": "securite"}
        assert [to for to, _ in here.told()] == [ON_CALL, ON_CALL]


async def test_replicas_count_together_and_one_of_them_looks(rig: Rig) -> None:
    rig.alone = False
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine)
        other = dataclasses.replace(
            here.watch.engine, refusals=RefusalMeter(engine.store, engine.environment)
        )
        watches = [here.watch, IncidentWatch(other, rig.clock.now)]
        for watch in watches:
            for _ in range(15):
                watch.engine.refusals.refused("/portal/v1/x", 403, "replayed")
        for _ in range(3):
            rig.clock.now += timedelta(seconds=30)
            await asyncio.gather(*(watch.observe() for watch in watches))
        (one,) = await here.incidents()
        assert (one.worst, one.times) == ("replayed_calls", 1)
        entries = await rig.database.read(trail.entries, incidents.STREAM)
        assert [entry.kind for entry in entries] == ["opened"]


async def test_a_trail_that_was_changed_is_an_attack(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine)
        for n in range(2):
            await rig.database.write(trail.append, "releases", "kept", {"n": n}, rig.clock.now)
        await here.watch.check_trail()
        await here.minutes(1)
        assert await here.incidents() == []
        await rig.database.write(_change_trail)
        await here.watch.check_trail()
        await here.minutes(1)
        (one,) = await here.incidents()
        assert (one.cause, one.severity) == ("trail:releases", "bloquant")


def _change_trail(connection: Any) -> None:
    connection.execute(text("DROP TRIGGER trail_no_update"))
    connection.execute(text("UPDATE trail SET kind = 'signed' WHERE stream = 'releases' AND n = 1"))


async def test_a_database_that_was_away_is_told_when_it_is_back(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        here = scene(rig, engine)
        there = here.watch.engine
        closed = Database(str(rig.database.engine.url))
        closed.close()
        here.watch.engine = dataclasses.replace(there, store=closed)
        begun = rig.clock.now + timedelta(minutes=1)
        for _ in range(5):
            rig.clock.now += timedelta(minutes=1)
            await here.watch.observe()
        here.watch.engine = there
        await here.minutes(1)
        (one,) = await here.incidents()
        assert (one.cause, one.severity, one.begun_at) == ("database", "bloquant", begun)
        await here.minutes(12)
        (one,) = await here.incidents()
        assert one.state == "resolved"
