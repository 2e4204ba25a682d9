"""Each shipped workflow, as its file says it, played at the simulated portal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.portal import Callout, SimulatedPortal
from gateway.sim.running import WorkerKilled
from gateway.sim.workflow import CommentBox, read_workflow

MAPPINGS = Path(__file__).parent.parent.parent / "mappings"
FILES = sorted(MAPPINGS.glob("*/publik/workflow.wcs"))
SLUG = "demarche"


@dataclass
class Town:
    portal: SimulatedPortal
    answers: list[httpx.Response | Exception] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    now: datetime = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        answer = self.answers.pop(0) if self.answers else httpx.Response(201, json={"err": 0})
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sent(self) -> SimulatedFormdata:
        item = self.portal.submit(SLUG, {"commune_raw": "69029"})
        await self.portal.push(item.id)
        return item

    async def told(self, item: SimulatedFormdata, **payload: Any) -> None:
        given = {"statut": None, "message": None, "document_attendu": None} | payload
        await self.portal.run_hook(item, item.form.hook("retour_commune"), given)

    async def later(self) -> None:
        self.now += timedelta(minutes=20)
        await self.portal.tick()


@pytest.fixture(params=FILES, ids=lambda path: path.parent.parent.name)
async def town(request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    portal = SimulatedPortal(callout=Callout("http://passerelle.invalid/requests", "cle"))
    town = Town(portal)
    portal.clock = lambda: town.now
    portal.define(SLUG, workflow=read_workflow(request.param.read_text("utf-8")))
    async with httpx.AsyncClient(transport=httpx.MockTransport(town.answer)) as portal.client:
        yield town


def keys(town: Town) -> list[str]:
    return [(body.get("extra") or body)["evenement"] for body in town.bodies]


def test_there_are_some() -> None:
    assert len(FILES) == 4


async def test_a_creation_is_marked_and_sent_until_it_is_taken(town: Town) -> None:
    town.answers += [httpx.Response(503, json={"err_desc": "x"}), httpx.ConnectError("cut")]
    item = await town.sent()
    waiting = item.status
    await town.later()
    assert item.status == waiting
    await town.later()
    assert item.status != waiting
    assert len(town.bodies) == 3
    assert len(set(keys(town))) == 1
    assert town.bodies[0]["workflow"]["fields"]["bo_a_transmettre"]


async def test_a_refused_creation_waits_for_a_person(town: Town) -> None:
    town.answers.append(httpx.Response(409, json={"err_desc": "x"}))
    item = await town.sent()
    await town.later()
    assert len(town.bodies) == 1
    await town.portal.press(SLUG, item.id, "Renvoyer")
    assert len(town.bodies) == 2


async def test_reports_are_carried_out_once_and_the_end_is_the_end(town: Town) -> None:
    item = await town.sent()
    for _ in range(2):
        await town.told(item, evenement="e1", statut="en_cours", message="On y va")
    await town.told(item, evenement="e2", statut="terminee", document_attendu="e2-document")
    hook = item.form.hook("document_commune")
    file = {"filename": "avis.pdf", "content_type": "application/pdf", "b64_content": "JVBERg=="}
    for _ in range(2):
        await town.portal.run_hook(item, hook, file, keeps=False)
    await town.told(item, evenement="e3", statut="en_cours", message="Encore ceci")
    done = str(item.workflow_fields["bo_retours_traites"]).split()
    assert done == ["e1", "e2", "e2-document", "e3"]
    assert item.form.status(item.status).endpoint
    parts = [part for entry in item.history for part in entry.parts]
    assert [part["type"] for part in parts].count("workflow-attachment") == 1
    texts = "".join(text for _, texts in item.seen() for text in texts)
    assert (texts.count("On y va"), texts.count("Encore ceci")) == (1, 1)


async def test_the_same_words_are_two_messages_and_one_is_sent_until_it_is_taken(
    town: Town,
) -> None:
    item = await town.sent()
    actions = item.form.status(item.status).all_actions
    if not any(isinstance(one, CommentBox) for one in actions):
        pytest.skip("this teleservice takes no messages")
    town.answers += [httpx.Response(503, json={"err_desc": "x"})]
    await town.portal.write(SLUG, item.id, "Alors ?")
    await town.later()
    await town.portal.write(SLUG, item.id, "Alors ?")
    assert keys(town)[1:] == [
        f"{item.id}-message-1",
        f"{item.id}-message-1",
        f"{item.id}-message-2",
    ]
    assert [body["message"] for body in town.bodies[1:]] == ["Alors ?"] * 3


async def test_what_the_citizen_gave_up_stays_so_unless_the_commune_takes_it_up(town: Town) -> None:
    item = await town.sent()
    try:
        await town.portal.cancel(SLUG, item.id)
    except KeyError:
        pytest.skip("this teleservice takes no cancellation")
    await town.told(item, evenement="e1", statut="refusee")
    await town.told(item, evenement="e2", statut="en_cours")
    assert item.form.status(item.status).name == "Annulée"
    await town.told(item, evenement="e3", statut="en_cours", reouverture=True)
    assert not item.form.status(item.status).endpoint


async def test_a_killed_worker_says_nothing_twice(town: Town) -> None:
    """Sent again once the formdata is free: what was said before the kill is not said again."""
    item = await town.sent()
    hook = item.form.hook("retour_commune")
    for action in hook.actions:
        town.portal.kill_at = action.id
        report = {"evenement": f"k{action.id}", "message": f"Message {action.id}."}
        with suppress(WorkerKilled):
            await town.told(item, **report)
        town.portal.kill_at = None
        item.processing = None
        await town.told(item, **report)
        said = "".join(text for _, texts in item.seen() for text in texts)
        # Between two writes that follow each other, only a reader of the history can tell.
        assert said.count(f"Message {action.id}.") in (1, 2)
        assert f"k{action.id}" in str(item.workflow_fields["bo_retours_traites"]).split()
