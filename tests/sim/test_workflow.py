"""A workflow as w.c.s. exports it, played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.sim.formdata import FormdataBusy, SimulatedFormdata
from gateway.sim.portal import Callout, SimulatedPortal
from gateway.sim.workflow import WorkflowStatus, read_workflow
from tests.recorded.recordings import WORKFLOW

SLUG = "signalement-anomalie"
HOOK = "retour_commune"


@dataclass
class Town:
    """The recorded workflow at a portal, and a gateway that answers as told."""

    portal: SimulatedPortal
    answers: list[httpx.Response] = field(default_factory=list)
    calls: list[httpx.Request] = field(default_factory=list)
    now: datetime = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
    during: Any = None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        if self.during is not None:
            await self.during()
        return self.answers.pop(0) if self.answers else httpx.Response(201, json={"err": 0})

    async def sent(self) -> SimulatedFormdata:
        item = self.portal.submit(SLUG, {"commune_raw": "69029", "description": "Trou"})
        await self.portal.press(SLUG, item.id, "Valider et transmettre")
        return item

    async def told(self, item: SimulatedFormdata, **payload: Any) -> None:
        await self.portal.run_hook(item, item.form.hook(HOOK), payload)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    portal = SimulatedPortal(callout=Callout("http://passerelle.invalid/requests", "cle"))
    town = Town(portal)
    portal.clock = lambda: town.now
    portal.define(SLUG, workflow=read_workflow(WORKFLOW.read_text("utf-8")))
    async with httpx.AsyncClient(transport=httpx.MockTransport(town.answer)) as portal.client:
        yield town


def marks(item: SimulatedFormdata) -> list[str]:
    return str(item.workflow_fields["bo_retours_traites"]).split()


async def test_what_is_due_is_marked_before_it_is_sent(town: Town) -> None:
    held = town.portal.submit(SLUG, {})
    item = await town.sent()
    assert held.workflow_fields == {}
    assert item.workflow_fields["bo_a_transmettre"] == "2026-03-12T09:00:00+0100"
    since = item.workflow_fields["bo_a_transmettre"]
    town.now += timedelta(days=1)
    await town.portal.press(SLUG, held.id, "Rejeter (abusif)")
    assert held.form.status(held.status).endpoint
    assert item.workflow_fields["bo_a_transmettre"] == since


async def test_two_messages_of_the_same_words_have_two_keys(town: Town) -> None:
    item = await town.sent()
    for _ in range(2):
        await town.portal.write(SLUG, item.id, "Alors ?")
    keys = [httpx.Response(200, content=c.content).json()["evenement"] for c in town.calls[1:]]
    assert keys == ["1-1-message-1", "1-1-message-2"]
    await town.portal.write(SLUG, item.id, "")
    assert len(town.calls) == 3, "an empty box sends nothing"
    assert item.status == "chez"


async def test_while_a_call_is_under_way_the_formdata_is_busy(town: Town) -> None:
    seen: list[bool] = []

    async def look() -> None:
        try:
            town.portal.check_idle(town.portal.get(SLUG, "1"))
        except FormdataBusy:
            seen.append(True)

    town.during = look
    item = await town.sent()
    assert seen == [True]
    town.portal.check_idle(item)


async def test_after_our_answer_actions_still_run(town: Town) -> None:
    town.portal.linger = 0.05
    answered = asyncio.Event()

    async def answer() -> None:
        answered.set()

    town.during = answer
    sending = asyncio.create_task(town.sent())
    await answered.wait()
    with pytest.raises(FormdataBusy):
        town.portal.check_idle(town.portal.get(SLUG, "1"))
    town.portal.check_idle(await sending)


async def test_a_status_of_the_commune_moves_it_and_never_after_the_end(town: Town) -> None:
    item = await town.sent()
    await town.told(item, evenement="e1", statut="en_cours", message="On y va")
    await town.told(item, evenement="e2", statut="terminee")
    await town.told(item, evenement="e3", statut="en_cours", message="Encore ceci")
    assert item.status == "terminee"
    statuses = [entry.status for entry in item.history if entry.status is not None]
    assert statuses[-2:] == ["encours", "terminee"]
    assert marks(item) == ["e1", "e2", "e3"]
    texts = [part["content"] for entry in item.history for part in entry.parts]
    assert texts == ["<div>On y va</div>", "<div>Encore ceci</div>"]


async def test_a_report_that_comes_twice_is_carried_out_once(town: Town) -> None:
    item = await town.sent()
    updated = item.updated
    for _ in range(2):
        town.now += timedelta(minutes=1)
        await town.told(item, evenement="e1", message="Bonjour")
    assert marks(item) == ["e1"]
    assert sum(len(entry.parts) for entry in item.history) == 1
    assert item.updated == updated, "a message moves no date"
    assert item.workflow_data[HOOK]["evenement"] == "e1"


async def test_what_a_condition_reads_is_what_stood_there_then(town: Town) -> None:
    """The payload is stored before the actions: a condition that compares with it sees itself."""
    portal, statuses = town.portal, (WorkflowStatus("new", "Nouvelle"),)
    form = portal.define("autre", statuses=statuses)
    item = portal.submit("autre", {})
    await portal.run_hook(item, form.hook(HOOK), {"evenement": "e1", "message": "Bonjour"})
    assert marks(item) == ["e1"]
    assert item.history[-1].parts[0]["content"] == "<div>Bonjour</div>"


async def test_a_waiting_status_sends_the_same_event_again_by_itself(town: Town) -> None:
    item = await town.sent()
    town.answers += [httpx.Response(503, json={"err_desc": "x"}) for _ in range(2)]
    await town.portal.write(SLUG, item.id, "Alors ?")
    assert item.status == "evtattente"
    for _ in range(2):
        town.now += timedelta(minutes=20)
        await town.portal.tick()
    bodies = [call.content for call in town.calls[1:]]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert item.status == "chez"
    assert item.workflow_data["passerelle_evt_error_response"], "what was there stays there"


async def test_a_status_in_a_circle_is_a_fault_of_the_workflow(town: Town) -> None:
    text = WORKFLOW.read_text("utf-8").replace("<status>chez</status>", "<status>suivi</status>")
    town.portal.define(SLUG, workflow=read_workflow(text))
    with pytest.raises(RecursionError):
        await town.sent()


async def test_the_citizen_does_not_see_what_is_said_in_a_hidden_status(town: Town) -> None:
    item = await town.sent()
    assert [status for status, _ in item.seen()] == ["Réception", "Transmise à la commune"]
    town.portal.move(SLUG, item.id, "attente")
    await town.told(item, evenement="e1", message="Perdu")
    await town.told(item, evenement="e2", statut="en_cours")
    await town.told(item, evenement="e3", message="Vu")
    assert [texts for _, texts in item.seen()] == [[], [], ["<div>Vu</div>"]]


def test_an_action_that_is_not_played_is_told() -> None:
    text = WORKFLOW.read_text("utf-8").replace('type="commentable"', 'type="geolocate"')
    with pytest.raises(ValueError, match="'geolocate'"):
        read_workflow(text)
