"""The whole pass with another kind of GRU: what the flow promises hangs on no adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.delivery import State
from gateway.core.status import Status
from gateway.sim.faults import FaultCondition
from gateway.sim.open311 import Open311
from gateway.store import backup
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, GRU_B, Rig
from tests.flow.test_put_back import copy, restore
from tests.flow.test_reconcile import run


def rig_of(build_rig: Builder, **options: Any) -> Rig:
    found = build_rig(
        adapter="open311",
        grus={GRU_A: Open311(extended=True), GRU_B: Open311()},
        options={
            "endpoint": "http://gru.invalid",
            "api_key": "env:GRU_KEY",
            "find": "by_attribute",
            "media": "none",
            "updates": {},
            **options,
        },
        mapping=lambda text: text.replace("DS01", "depot-sauvage"),
    )
    for sim in found.grus.values():
        sim.api_key = "jeton-essai"
    return found


@pytest.fixture
def rig(build_rig: Builder) -> Rig:
    return rig_of(build_rig)


async def test_the_whole_pass(rig: Rig) -> None:
    sim: Open311 = rig.grus[GRU_A]
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        await rig.push(item, action="message", evenement="m1", message="Toujours là")
        await rig.rest(request)
        rig.advance(3600)
        sim.advance(sim.tickets[0].id, "fixed", "Enlevé ce matin.")
        await engine.changes.poll(rig.gru_config)
        await engine.changes.poll(rig.gru_config)
        await rig.rest(request)
    trace = await rig.trace(request)
    assert trace.request.gru_reference == sim.tickets[0].id
    assert trace.request.status is Status.DONE
    assert len(sim.tickets) == 1
    told = [(one["statut"], one["message"]) for one in rig.told(item)]
    assert told == [("transmise", None), ("terminee", "Votre signalement est traité.")]
    assert {d.state for d in trace.deliveries} == {State.DONE}


async def test_a_lost_reply_makes_no_second_report(rig: Rig) -> None:
    sim: Open311 = rig.grus[GRU_A]
    sim.faults.cut_after(FaultCondition(method="POST", first=1))
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.UNSURE)
        await rig.rest_in_time(request)
    assert len(sim.tickets) == 1
    assert len(rig.told(item)) == 1
    assert (await rig.trace(request)).request.gru_reference == sim.tickets[0].id


@pytest.mark.parametrize("answer", [None, 302, 303, 408, 429, 500, 502, 503, 504])
async def test_what_is_answered_after_the_commit_makes_nothing_twice(
    rig: Rig, answer: int | None
) -> None:
    """A creation, a message and a cancellation, each done and then lost (None) or denied."""
    sim: Open311 = rig.grus[GRU_A]
    for path in ("/requests.", "/servicerequestupdates."):
        when = FaultCondition(method="POST", path=path, first=2)
        if answer is None:
            sim.faults.cut_after(when)
        else:
            sim.faults.answer_after(answer, when, location="/login", retry_after=1)
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest_in_time(request)
        await rig.push(item, action="message", evenement="m1", message="Toujours là")
        await rig.rest_in_time(request)
        await rig.push(item, action="annulation", evenement="a1")
        await rig.rest_in_time(request)
        trace = await rig.trace(request)
    assert {d.state for d in trace.deliveries} == {State.DONE}
    assert [ticket.id for ticket in sim.tickets] == [trace.request.gru_reference]
    assert len(sim.updates) == len(sim.posted_updates) == 2
    told = [one["statut"] for one in rig.told(item)]
    assert told.count("transmise") == 1


async def test_what_a_citizen_types_arrives_to_the_letter_in_a_form(rig: Rig) -> None:
    """Apostrophes, plus, per cent, ampersand and line ends, encoded once."""
    sim: Open311 = rig.grus[GRU_A]
    typed: dict[str, Any] = {
        "description": "L'arrêt « Ô » : 100 % à l'ombre & 2+2=4\nligne 2; €",
        "accepte_contact": True,
        "telephone": "+33 (0)6 12 34 56 78",
        "adresse_voie": "rue de l'Hôtel-Dieu",
        "adresse_numero": "12 bis",
    }
    async with rig.gateway():
        _, request = await rig.send(**typed)
        await rig.rest(request)
    sent = dict(sim.tickets[0].params)
    assert sent["description"].startswith(str(typed["description"]))
    assert sent["phone"] == typed["telephone"]
    assert sent["address_string"].startswith("12 bis rue de l'Hôtel-Dieu, ")


@pytest.mark.parametrize("poll", ["window", "ids"])
async def test_what_a_list_told_before_a_backup_was_made_whole_is_read_again(
    build_rig: Builder, tmp_path: Path, poll: str
) -> None:
    """It is read by when things changed: what it told of a ticket that was not known comes once
    more when reconcile has taken it in."""
    rig = rig_of(build_rig, poll=poll)
    sim: Open311 = rig.grus[GRU_A]
    async with rig.gateway(run=False):
        _, first = await rig.send()
        copy(tmp_path)
        rig.start()
        rig.advance(60)
        lost, second = await rig.send()
        await rig.rest(first, second)
        ours, lacking = [(await rig.trace(one)).request.gru_reference for one in (first, second)]
    restore(rig, tmp_path)
    assert ours is not None
    assert lacking is not None
    sim.advance(lacking, "planned")
    await rig.database.write(backup.doubt, rig.clock())
    async with rig.gateway() as engine:
        for n in range(3):
            rig.advance(1200)
            sim.advance(ours, "in_progress", f"Point {n}.")
            await engine.changes.poll(rig.gru_config)
            await rig.rest_in_time(first)
        assert await run(rig) == 1
        await rig.rest_in_time(second)
        rig.advance(60)
        await engine.changes.poll(rig.gru_config)
        await rig.rest_in_time(first, second)
    assert len(sim.tickets) == 2
    told = [event["message"] for event in rig.told(lost)]
    assert told.count("Une intervention est programmée.") == 1
