"""Incidents on both databases: they open, settle, come back, and are acted upon."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.core import incident as rules_of
from gateway.core.errors import Conflict, NotFound
from gateway.core.incident import (
    IncidentKind,
    IncidentRules,
    IncidentState,
    Party,
    Severity,
    Symptom,
    SymptomWord,
)
from gateway.store import (
    incident_acts,
    incident_looks,
    incident_notices,
    incidents,
    refusals,
    trail,
)
from gateway.store.engine import Database
from gateway.store.incidents import Incident
from tests.sealing import in_memory

#: A Monday, 10:00 in Paris.
BEGIN = datetime(2026, 3, 16, 9, tzinfo=UTC)
BRON, VILLEURBANNE = "69029", "69266"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RULES = IncidentRules(operators=("astreinte@metropole.exemple",))
PORTAL = Symptom("portal:toodego", SymptomWord.PORTAL_AWAY, frozenset({BRON}), Party.PORTAL)
GRU = Symptom("gru:69029:outil", SymptomWord.GRU_AWAY, frozenset({BRON}), Party.COMMUNE)
ATTACK = Symptom("refused_signatures", SymptomWord.REFUSED_SIGNATURES)


@dataclass
class Scene:
    """A store that is looked at, minute by minute."""

    store: Database
    now: datetime = BEGIN
    moves: list[str] = field(default_factory=list)
    made: int = 0

    async def look(self, *symptoms: Symptom, complete: bool = True) -> None:
        await self._looks(1, symptoms, complete=complete)

    async def shows(self, minutes: int, *symptoms: Symptom, complete: bool = True) -> None:
        """Look each minute, and let time pass."""
        await self._looks(minutes, symptoms, complete=complete)
        self.now += minutes * MINUTE

    async def _looks(self, count: int, symptoms: Sequence[Symptom], *, complete: bool) -> None:
        """All looks are one transaction: on PostgreSQL each takes its time."""
        seen, names = rules_of.observe(symptoms, RULES), itertools.count(self.made)

        def looks(connection: Connection) -> list[str]:
            kinds: list[str] = []
            for n in range(count):
                moves = incident_looks.observe(
                    connection,
                    seen,
                    RULES,
                    lambda: f"INC-{next(names)}-{id(self)}",
                    self.now + n * MINUTE,
                    complete=complete,
                )
                kinds += [move.kind for move in moves]
            return kinds

        self.moves += await self.store.write(looks)
        self.made = next(names)

    async def all(self) -> list[Incident]:
        return await self.store.read(incidents.opened, everything=True)

    async def one(self) -> Incident:
        (found,) = await self.all()
        return found

    async def notes(self) -> list[tuple[str, str, str]]:
        one = await self.one()
        found = await self.store.read(incident_notices.of_incident, one.id)
        return sorted((note.audience, note.step, note.state) for note in found)

    async def act(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Incident:
        one = (await self.all())[0]
        done: Incident = await self.store.write(unit, one.id, *args, now=self.now, **kwargs)
        return done


@pytest.fixture
def scene(store: Database) -> Scene:
    return Scene(store)


async def test_one_dead_portal_is_one_incident_that_names_the_communes(scene: Scene) -> None:
    communes = [f"69{n:03}" for n in range(58)]
    lanes = [Symptom(PORTAL.cause, PORTAL.word, frozenset({one}), Party.PORTAL) for one in communes]
    late = Symptom(PORTAL.cause, SymptomWord.LATE, frozenset({communes[0]}), Party.PORTAL)
    await scene.shows(5, *lanes)
    assert await scene.all() == [], "it must show for five minutes"
    await scene.shows(3, *lanes, late)
    one = await scene.one()
    assert scene.moves == ["opened"]
    assert (one.state, one.severity, one.party) == ("open", "bloquant", "portal")
    assert one.communes == tuple(communes)
    assert set(one.words) == {SymptomWord.PORTAL_AWAY, SymptomWord.LATE}
    assert one.begun_at == BEGIN, "its clock runs from the first symptom"
    notes = await scene.notes()
    assert len(notes) == 59
    assert notes[0] == ("", "opened", "waiting")


async def test_a_symptom_that_does_not_last_is_forgotten(scene: Scene) -> None:
    await scene.shows(2, GRU)
    await scene.shows(12)
    await scene.shows(4, GRU)
    assert await scene.all() == []
    assert scene.moves == []


async def test_what_comes_and_goes_is_one_incident(scene: Scene) -> None:
    for _ in range(10):
        await scene.shows(2, GRU)
        await scene.shows(4)
    one = await scene.one()
    assert (scene.moves, one.state, one.times) == (["opened"], "open", 10)
    await scene.shows(12)
    assert scene.moves == ["opened", "resolved"]


async def test_it_is_resolved_once_its_symptoms_are_gone_for_a_while(scene: Scene) -> None:
    await scene.shows(10, GRU)
    gone = scene.now
    await scene.shows(11)
    one = await scene.one()
    assert (one.state, one.resolved_at) == (IncidentState.RESOLVED, gone)
    assert one.left(RULES, scene.now + 99 * HOUR) == 24 * HOUR - 10 * MINUTE
    assert await scene.notes() == [
        ("", "opened", "superseded"),
        ("", "resolved", "waiting"),
        (BRON, "opened", "superseded"),
        (BRON, "resolved", "waiting"),
    ], "what nobody was told yet is told with its end"
    await scene.shows(60)
    one = await scene.one()
    assert (one.state, one.closed_by, one.live) == (IncidentState.CLOSED, "gateway", False)


async def test_what_comes_back_soon_goes_on_and_later_is_another(scene: Scene) -> None:
    await scene.shows(10, GRU)
    await scene.shows(20)
    resolved = (await scene.one()).resolved_at
    await scene.shows(1, GRU)
    one = await scene.one()
    assert (scene.moves, one.returns) == (["opened", "resolved", "reopened"], 1)
    (pause,) = one.pauses
    assert (pause.started_at, pause.because) == (resolved, "resolved")
    await scene.shows(19)
    assert (await scene.one()).state is IncidentState.OPEN, "the second time it settles for longer"
    await scene.shows(90)
    await scene.shows(6, GRU)
    assert len(await scene.all()) == 2


async def test_a_look_that_did_not_see_all_ends_nothing(scene: Scene) -> None:
    await scene.shows(10, GRU)
    await scene.shows(30, complete=False)
    assert (await scene.one()).state is IncidentState.OPEN


async def test_what_a_wider_cause_explains_opens_nothing_and_ends_nothing(scene: Scene) -> None:
    part = Symptom(GRU.cause, GRU.word, GRU.communes, GRU.party, part_of="network")
    whole = Symptom("network", SymptomWord.NETWORK_AWAY, GRU.communes, Party.NETWORK)
    await scene.shows(10, whole, part)
    assert (await scene.one()).cause == "network"
    await scene.shows(6, GRU)
    assert {one.cause for one in await scene.all()} == {"network", GRU.cause}
    await scene.shows(30, whole, part)
    known = {one.cause: one.state for one in await scene.all()}
    assert known == {"network": IncidentState.OPEN, GRU.cause: IncidentState.OPEN}


async def test_it_grows_worse_and_hits_more(scene: Scene) -> None:
    await scene.shows(10, Symptom("disk", SymptomWord.DISK_LOW))
    assert (await scene.one()).severity is Severity.MINEUR
    full = Symptom("disk", SymptomWord.DISK_FULL, frozenset({BRON}))
    await scene.shows(1, full)
    one = await scene.one()
    assert (one.severity, one.worst) == (Severity.BLOQUANT, SymptomWord.DISK_FULL)
    assert (one.communes, scene.moves) == ((BRON,), ["opened", "worse"])
    notes = await scene.notes()
    assert (BRON, "opened", "waiting") in notes
    assert ("", "worse_bloquant", "waiting") in notes


async def test_two_daemons_that_look_at_once_open_one(store: Database, url: str) -> None:
    other = Database(url, in_memory())
    try:
        scenes = [Scene(store), Scene(other)]
        for _ in range(8):
            await asyncio.gather(*(one.look(PORTAL) for one in scenes))
            for one in scenes:
                one.now += MINUTE
        assert sorted(scenes[0].moves + scenes[1].moves) == ["opened"]
        assert len(await scenes[0].notes()) == 2
        claims = await asyncio.gather(
            *(one.store.write(incident_notices.claim, one.now, 10) for one in scenes)
        )
        assert sorted(len(one) for one in claims) in ([0, 2], [1, 1]), "no note is sent by both"
    finally:
        other.close()


async def test_its_deadline_is_told_before_and_after_once(scene: Scene) -> None:
    await scene.shows(6, PORTAL)
    kinds = []
    for hours in range(30):
        scene.now = BEGIN + hours * HOUR
        await scene.look(PORTAL)
        for move in await scene.store.write(incident_looks.mark_deadlines, RULES, scene.now):
            kinds.append((hours, move.kind))
    # 10:00 to 17:00, then Tuesday from 9:00: due at 10:00. Two hours before is Monday 16:00.
    assert kinds == [(7, "warned"), (24, "breached")]
    assert {("", "breached", "waiting"), ("", "warned", "superseded")} <= set(await scene.notes())


async def test_its_clock_stands_still_while_a_commune_must_act(scene: Scene) -> None:
    await scene.shows(60, GRU)
    with pytest.raises(Conflict, match=BRON):
        await scene.act(incident_acts.pause, VILLEURBANNE, "attend", "Ana")
    await scene.act(incident_acts.pause, BRON, "redémarrage demandé", "Ana")
    one = await scene.one()
    assert one.deadline(RULES) is None
    assert one.left(RULES, scene.now + 50 * HOUR) == 23 * HOUR
    with pytest.raises(Conflict, match="Ana"):
        await scene.act(incident_acts.pause, BRON, "encore", "Bob")
    scene.now += 2 * HOUR
    await scene.act(incident_acts.resume, "Ana")
    one = await scene.one()
    # Five of its hours on Monday, eight on Tuesday and on Wednesday, three on Thursday.
    assert one.deadline(RULES) == datetime(2026, 3, 19, 11, tzinfo=UTC)
    with pytest.raises(Conflict):
        await scene.act(incident_acts.resume, "Ana")


async def test_each_act_is_in_the_trail_with_who(scene: Scene) -> None:
    await scene.shows(6, PORTAL)
    await scene.act(incident_acts.acknowledge, "Ana")
    with pytest.raises(Conflict, match="Ana"):
        await scene.act(incident_acts.acknowledge, "Bob")
    await scene.act(incident_acts.assign, "Bob", "Ana")
    await scene.act(incident_acts.set_severity, Severity.MAJEUR, "contournement", "Ana")
    await scene.shows(3, PORTAL)
    assert (await scene.one()).severity is Severity.MAJEUR, "no symptom undoes a person's word"
    await scene.act(incident_acts.close, "relancé", "Ana", party=Party.NETWORK)
    with pytest.raises(Conflict, match="closed"):
        await scene.act(incident_acts.assign, "Ana", "Ana")
    entries = await scene.store.read(trail.entries, incidents.STREAM)
    told = [(one.kind, one.data.get("by")) for one in entries]
    assert told == [
        ("opened", None),
        ("acknowledged", "Ana"),
        ("assigned", "Ana"),
        ("severity", "Ana"),
        ("closed", "Ana"),
    ]
    assert await scene.store.read(trail.verify, incidents.STREAM) == []
    one = await scene.one()
    assert (one.party, one.because, one.state) == ("network", "relancé", "closed")
    assert (BRON, "resolved", "waiting") in await scene.notes(), "its end is told"


async def test_what_is_closed_stays_so_until_there_is_more_of_it(scene: Scene) -> None:
    await scene.shows(6, GRU)
    await scene.act(incident_acts.close, "connu", "Ana")
    await scene.shows(30, GRU)
    assert len(await scene.all()) == 1
    more = Symptom(GRU.cause, GRU.word, GRU.communes | {VILLEURBANNE}, GRU.party)
    await scene.shows(6, more)
    assert [one.state for one in await scene.all()] == ["open", "closed"]
    assert [len(one.communes) for one in await scene.all()] == [2, 1]
    await scene.act(incident_acts.close, "connu", "Ana")
    await scene.shows(12)
    await scene.shows(6, GRU)
    assert len(await scene.all()) == 3, "it had been gone"


async def test_a_bloquant_is_closed_with_a_post_mortem_alone(scene: Scene) -> None:
    await scene.shows(6, PORTAL)
    await scene.shows(90)
    one = await scene.one()
    assert (one.state, one.live, one.needs_a_person) == (IncidentState.RESOLVED, False, True)
    assert [one.id] == [found.id for found in await scene.store.read(incidents.opened)]
    with pytest.raises(Conflict, match="post-mortem"):
        await scene.act(incident_acts.close, "fini", "Ana")
    one = await scene.act(incident_acts.close, "fini", "Ana", post_mortem="Un disque plein.")
    assert (one.state, one.post_mortem) == (IncidentState.CLOSED, "Un disque plein.")
    assert await scene.store.read(incidents.opened) == []


async def test_an_attack_has_eight_hours_of_the_wall_and_waits_for_a_person(scene: Scene) -> None:
    scene.now = datetime(2026, 3, 14, 21, tzinfo=UTC)  # a Saturday night
    begun = scene.now
    await scene.shows(1, ATTACK)
    await scene.shows(60)
    one = await scene.one()
    assert (one.kind, one.state) == (IncidentKind.SECURITY, IncidentState.OPEN)
    assert one.deadline(RULES) == begun + 8 * HOUR
    assert await scene.notes() == [("", "opened", "waiting")], "the communes are told by a person"
    with pytest.raises(Conflict):
        await scene.act(incident_acts.pause, BRON, "x", "Ana")
    with pytest.raises(Conflict, match="notified"):
        await scene.act(incident_acts.close, "x", "Ana")
    scene.now = begun + 7 * HOUR
    await scene.act(incident_acts.note_notified, "RSSI", "Ana")
    one = await scene.act(incident_acts.close, "clé changée", "Ana")
    assert one.left(RULES, scene.now + 99 * HOUR) == HOUR


async def test_an_unknown_incident_or_a_suspicion_is_none(scene: Scene) -> None:
    await scene.shows(1, GRU)
    for name in ("INC-x", f"INC-0-{id(scene)}"):
        with pytest.raises(NotFound, match="INC-"):
            await scene.store.read(incidents.get, name)


async def test_a_note_that_fails_is_due_again_and_shown(scene: Scene) -> None:
    await scene.shows(6, GRU)
    claimed = await scene.store.write(incident_notices.claim, scene.now, 10)
    assert len({one.name for one in claimed}) == 2
    assert await scene.store.write(incident_notices.claim, scene.now, 10) == []
    first, second = claimed
    await scene.store.write(incident_notices.sent, first, scene.now)
    later = scene.now + MINUTE
    await scene.store.write(incident_notices.failed, second, "no_contact", later)
    assert await scene.store.read(incident_notices.failing_since) is None
    await scene.store.write(incident_notices.failed, second, "unreachable", later)
    assert await scene.store.read(incident_notices.failing_since) == second.created_at
    (again,) = await scene.store.write(incident_notices.claim, later, 10)
    assert (again.audience, again.attempts) == (second.audience, 2)
    lost = later + incident_notices.LEASE
    assert len(await scene.store.write(incident_notices.claim, lost, 10)) == 1, "its sender died"


async def test_refused_calls_are_counted_by_all_and_forgotten(store: Database) -> None:
    count: Callable[..., Awaitable[Any]] = store.write
    for minutes in (0, 0, 5, 30):
        counts = {"replayed_calls": 2, "forged_webhooks": 1}
        await count(refusals.count, counts, BEGIN + minutes * MINUTE)
    found = await store.read(refusals.since, BEGIN + 2 * MINUTE)
    assert found == {"replayed_calls": 4, "forged_webhooks": 2}
    await store.write(refusals.count, {"replayed_calls": 1}, BEGIN + timedelta(days=2))
    assert await store.read(refusals.since, BEGIN) == {"replayed_calls": 1}
