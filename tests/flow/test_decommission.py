"""A commune leaves: what waits goes or is dropped, the portal is told, nothing stays. Killed at
each step, the next process goes on."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import State
from gateway.core.errors import Rejected
from gateway.core.incident import IncidentRules, SymptomWord
from gateway.core.outcome import Accepted, Outcome, TryLater
from gateway.flow import decommission
from gateway.flow.crash_points import CRASH_POINTS
from gateway.flow.intake import Sender
from gateway.ops.health import health
from gateway.ops.shapes import Overall
from gateway.ops.symptoms import Evidence, symptoms_of
from gateway.store import accepting, cursors, decommissions, departed, trail
from gateway.store.decommissions import Decommission
from gateway.store.engine import Database
from tests.builders import incoming, leaving, service_request
from tests.flow.rig import BRON, GRU_A, PORTAL_A, SLUG, VILLEURBANNE, Died, Rig, catalogue, make
from tests.store.postgres import Server

POINTS = [point for point in CRASH_POINTS if point.startswith("decommission.")]
#: With PostgreSQL these are played each time, and all of them with EVERY_POINT=1.
EACH_TIME = ["decommission.settled", "decommission.deleted", "decommission.cleaned"]
MARKER = "MARQUEUR-FICTIF-5d1c"


@pytest.fixture
def rig(tmp_path: Path, template: Path) -> Iterator[Rig]:
    # In clear: these tests look for bytes in files, where sealing would hide them.
    yield from _rig(tmp_path, template, f"sqlite:///{tmp_path / 'gateway.db'}")


@pytest.fixture
def rig_on_postgresql(tmp_path: Path, template: Path, postgres: Server) -> Iterator[Rig]:
    url = postgres.fresh()
    yield from _rig(tmp_path, template, url)
    postgres.drop(url)


def _rig(folder: Path, template: Path, url: str) -> Iterator[Rig]:
    found = catalogue(data_dir=folder)
    settings = dataclasses.replace(found.settings, database=SecretStr(url))
    made = make(folder, template, dataclasses.replace(found, settings=settings), sealed=False)
    if not url.startswith("sqlite"):
        made.database.close()
        made.database = Database(url)
    yield made
    made.database.close()


def order(rig: Rig, **changes: Any) -> Decommission:
    now = rig.clock.now
    return leaving(announced_at=now, **{"stop_at": now, **changes})


async def step(rig: Rig) -> DecommissionStep | None:
    one = await rig.database.read(decommissions.current, BRON)
    return None if one is None else one.step


async def to_its_end(rig: Rig) -> Decommission:
    """Move the clock and advance until it has ended."""

    async def ended() -> bool:
        await rig.engine.follow_departures(1)
        await rig.engine.decommissioner.advance()
        if await step(rig) is DecommissionStep.ENDED:
            return True
        rig.advance(30)
        return False

    await rig.until(ended, "it never ended")
    one = await rig.database.read(decommissions.current, BRON)
    assert one is not None
    return one


async def places_of(rig: Rig, *markers: str) -> list[str]:
    return await decommission.search(rig.database, rig.catalogue.settings, list(markers))


async def test_one_that_was_handed_over_one_that_waits_and_one_that_nobody_knows_of(
    rig: Rig,
) -> None:
    async with rig.gateway():
        there, first = await rig.send(description=MARKER)
        await rig.state(first, State.DONE)
        other, elsewhere = await rig.send(VILLEURBANNE, description="autre")
        await rig.state(elsewhere, State.DONE)
        await rig.rest(first, elsewhere)
        rig.line.raises = httpx.ConnectError("away")
        never, _ = await rig.send(description=MARKER)
        assert await places_of(rig, MARKER), "the search finds what is there"
        known = await rig.database.read(departed.markers, BRON)
        assert await places_of(rig, *known)
        await decommission.announce(rig.database, order(rig))
        assert await rig.engine.decommissioner.advance() == 1
        await rig.engine.follow_departures(1)
        # Nothing is taken any more, and what waits may still go.
        with pytest.raises(Rejected) as refused:
            await rig.send(description="après")
        assert (refused.value.status, refused.value.code) == (410, "commune_left")
        await rig.push(rig.submit(VILLEURBANNE))
        one = await to_its_end(rig)
        assert one.counts["told"] == 2
        assert one.counts["untold"] == one.counts["rows"] == one.counts["markers_found"] == 0
        assert (one.counts["requests"], one.counts["dropped"]) == (2, 1)
        assert one.counts["markers"] > 0
        last = rig.told(there)[-1]
        assert last["statut"] is None
        assert "Elle a votre demande" in last["message"]
        last = rig.told(never)[-1]
        assert last["statut"] == "annulee"
        assert "ne lui a pas été transmise" in last["message"]
        assert len(rig.told(other)) == 1, "another commune's request is told nothing"
        assert await places_of(rig, MARKER, *known) == []
        left = await rig.database.read(departed.rows_left, BRON)
        assert set(left.values()) == {0}
        assert (await rig.the(elsewhere)).state is State.DONE
        assert BRON not in rig.engine.catalogue.communes
        assert GRU_A not in rig.engine.adapters
        with pytest.raises(Rejected) as refused:
            rig.engine.intake.target(Sender("toodego", None, None), BRON, SLUG)
        assert refused.value.code == "commune_left"
        kinds = [e.kind for e in await rig.database.read(trail.entries, decommissions.STREAM)]
        assert kinds == ["announced", "draining", "telling", "erasing", "ended"]
        assert await rig.database.read(trail.verify, decommissions.STREAM) == []


@pytest.mark.parametrize("point", POINTS)
async def test_the_next_process_goes_on(rig: Rig, point: str) -> None:
    await goes_on(rig, point)


@pytest.mark.parametrize("point", POINTS if "EVERY_POINT" in os.environ else EACH_TIME)
async def test_the_next_process_goes_on_with_postgresql(rig_on_postgresql: Rig, point: str) -> None:
    await goes_on(rig_on_postgresql, point)


async def goes_on(rig: Rig, point: str) -> None:
    """Kill it at this point, and let another process end it."""
    async with rig.gateway(stop=False):
        there, first = await rig.send(description=MARKER)
        await rig.rest(first)
        rig.line.raises = httpx.ConnectError("away")
        never, _ = await rig.send(description=MARKER)
        await rig.pause(PORTAL_A)  # as `commune pause` does
        await decommission.announce(rig.database, order(rig, drain=0))
        rig.crash_at = point
        with pytest.raises(Died):
            await to_its_end(rig)
    async with rig.gateway():
        one = await to_its_end(rig)
        assert (one.counts["told"], one.counts["untold"]) == (2, 0)
        assert (one.counts["requests"], one.counts["rows"]) == (2, 0)
        for item in (there, never):
            assert sum("ne passe plus" in (e["message"] or "") for e in rig.told(item)) == 1
        assert await places_of(rig, MARKER) == []
        kinds = [e.kind for e in await rig.database.read(trail.entries, decommissions.STREAM)]
        assert kinds == ["announced", "draining", "telling", "erasing", "ended"]


async def test_it_does_not_end_while_anything_is_found(rig: Rig, tmp_path: Path) -> None:
    async with rig.gateway():
        item, first = await rig.send()
        await rig.rest(first)
        (marker, *_) = await rig.database.read(departed.markers, BRON)
        copy = tmp_path / "a-copy"
        copy.write_text(f"... {marker} ...")
        await decommission.announce(rig.database, order(rig))

        async def erased() -> bool:
            await rig.engine.follow_departures(1)
            await rig.engine.decommissioner.advance()
            rig.advance(30)
            rows = await rig.database.read(departed.rows_left, BRON)
            return not any(rows.values()) and await step(rig) is DecommissionStep.ERASING

        await rig.until(erased)
        for _ in range(5):
            rig.advance(30)
            await rig.engine.decommissioner.advance()
        assert await step(rig) is DecommissionStep.ERASING
        # Health says so, and it is an incident.
        name = decommissions.waiting_name(BRON)
        known = await rig.database.read(cursors.get, name)
        assert known is not None
        assert json.loads(known.value or "") == {"places": [str(copy)]}
        seen = await health(rig.engine, ready=True, started_at=rig.clock.now)
        assert (seen.status, seen.timers[name].failure) == (Overall.DEGRADED, "decommission_left")
        evidence = Evidence(seen, {}, {}, (), None)
        found = symptoms_of(evidence, rig.engine.catalogue, IncidentRules())
        assert [one.cause for one in found if one.word is SymptomWord.DECOMMISSION_LATE] == [name]
        copy.unlink()
        assert (await to_its_end(rig)).counts["markers_found"] == 0
        assert await rig.database.read(cursors.get, name) is None
        assert rig.told(item)


async def test_what_is_committed_after_the_end_goes_as_well(rig: Rig) -> None:
    """A process was frozen within its transaction through all of it."""
    async with rig.gateway():
        _, first = await rig.send()
        await rig.rest(first)
        await decommission.announce(rig.database, order(rig))
        await to_its_end(rig)
        late = incoming(service_request(commune=BRON, portal="toodego", ref="99"))
        await rig.database.write(accepting.accept, late)
        kept = incoming(service_request(commune=VILLEURBANNE, portal="toodego", ref="98"))
        await rig.database.write(accepting.accept, kept)
        left = await rig.database.read(departed.rows_left, BRON)
        assert (left["request"], left["delivery"]) == (1, 1)
        for _ in range(2):
            rig.advance(decommission.LOOK_AGAIN / 2 + 1)
            await rig.engine.decommissioner.advance()
        left = await rig.database.read(departed.rows_left, BRON)
        assert set(left.values()) == {0}
        assert (await rig.database.read(departed.rows_left, VILLEURBANNE))["request"] == 1
        assert await step(rig) is DecommissionStep.ENDED


async def test_the_communes_contacts_are_told_once(rig: Rig) -> None:
    sent: list[tuple[list[str], str, str]] = []
    answers: list[Outcome] = [TryLater("unreachable"), Accepted()]

    async def send(recipients: Sequence[str], subject: str, text: str, name: str) -> Outcome:
        sent.append(([*recipients], subject, text))
        return answers.pop(0)

    contacts = {"technical": "dsi@exemple.invalid", "dpo": "01 02 03 04 05"}
    commune = dataclasses.replace(rig.catalogue.communes[BRON], contacts=contacts)
    communes = {**rig.catalogue.communes, BRON: commune}
    rig.catalogue = dataclasses.replace(rig.catalogue, communes=communes)
    async with rig.gateway(run=False):
        ends = dataclasses.replace(rig.engine.decommissioner, send=send)
        later = rig.clock.now + timedelta(days=30)
        await decommission.announce(rig.database, order(rig, stop_at=later))
        for _ in range(6):
            await ends.advance()
            rig.clock.now += timedelta(seconds=30)
    assert [one[0] for one in sent] == [["dsi@exemple.invalid"]] * 2
    assert "fin du raccordement le" in sent[1][1]
    assert "Fin de la convention" in sent[1][2]
    one = await rig.database.read(decommissions.current, BRON)
    assert one is not None
    assert (one.step, one.counts) == (DecommissionStep.ANNOUNCED, {"mailed": 1})
