"""The simulated w.c.s. pushes as the real one was recorded to, and judges the answers likewise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.sdk.publik.signature import parse_signed, verify_query
from gateway.sim.formdata import Evolution, SimulatedFormdata, naive
from gateway.sim.portal import Callout, SimulatedPortal
from tests.recorded.recordings import ENGLISH, PORTAL, Exchange, basic, document, exchange, moment
from tests.recorded.stage import SLUG, judged, recorded_portal, workflow
from tests.recorded.table import SIMULATOR, replayed
from tests.recorded.test_simulator import differences

BRON = f"https://passerelle.exemple.invalid/portal/v1/communes/69029/teleservices/{SLUG}/requests"
KEY = "cle-factice-commune-69029"
TAKEN = {"err": 0, "data": {"id": "TDG-FACTICE-0001", "status": "received", "statut": "recue"}}


@dataclass
class Gateway:
    """Stands for ours: answers what it is told to, and keeps what it was sent."""

    answers: list[httpx.Response | Exception] = field(default_factory=list)
    calls: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(201, json=TAKEN)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Stage:
    portal: SimulatedPortal
    gateway: Gateway
    clock: list[datetime]

    async def hand_over(self, one: Exchange) -> SimulatedFormdata:
        """A citizen sends the form as recorded, and an agent hands it over."""
        told = one.body
        item = self.portal.submit(SLUG, told["fields"], told.get("user"), id=told["id"])
        item.display_id, item.uuid = told["display_id"], told["uuid"]
        await self.portal.press(SLUG, item.id, "Valider et transmettre")
        return item


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = [moment("2026-11-26T23:35:22Z")]
    gateway = Gateway()
    portal = recorded_portal()
    portal.clock = lambda: clock[0]
    async with httpx.AsyncClient(transport=httpx.MockTransport(gateway)) as portal.client:
        portal.callout = Callout(BRON, KEY)
        yield Stage(portal, gateway, clock)


def same_call(one: Exchange, call: httpx.Request, key: str | None = KEY) -> None:
    """The same method, path, names in the query in their order, headers and shape of body."""
    assert (call.method, call.url.path) == (one.method, one.path)
    recorded, given = (urlsplit(url).query for url in (one.target, str(call.url)))
    names = [[pair.partition("=")[0] for pair in q.split("&")] for q in (recorded, given)]
    assert names[0] == names[1]
    ours = {"accept", "user-agent", "content-type", "publik-caller-url", "authorization"}
    for name, value in one.headers.items():
        if name.lower() in ours:
            assert call.headers[name] == value
    expected, body = one.body, json.loads(call.content)
    # How often the request had been moved before is another story in each.
    for told in (expected, body):
        told.pop("evolution", None)
        told.get("workflow", {}).pop("data", None)
        told.get("workflow", {}).pop("fields", None)
    assert differences(expected, body) == []
    if key is not None:
        signed = parse_signed(given)
        assert signed is not None
        verify_query(signed, [key], moment("2026-11-26T23:35:22Z"))


def pushed(number: int) -> Exchange:
    assert number in replayed(SIMULATOR, "01-pushes")
    return exchange("01-pushes", number)


@pytest.mark.parametrize("number", [0, 1])
async def test_a_creation(stage: Stage, number: int) -> None:
    one = pushed(number)
    item = await stage.hand_over(one)
    (call,) = stage.gateway.calls
    body = json.loads(call.content)
    assert body["extra"] == one.body["extra"]
    assert body["fields"].keys() == one.body["fields"].keys()
    seen = body["workflow"]
    assert seen["status"]["id"] == one.body["workflow"]["status"]["id"] == "moderation"
    assert seen["real_status"]["id"] == one.body["workflow"]["real_status"]["id"]
    assert body["workflow"]["fields"]["bo_a_transmettre"], "marked as due before it is sent"
    same_call(one, call)
    assert item.status == "chez"
    assert item.workflow_data["passerelle_response"] == TAKEN


async def test_a_message_an_edit_and_a_cancellation(stage: Stage) -> None:
    item = await stage.hand_over(pushed(1))
    text = "Où en est-on ? 😱 <b>vite</b>\nDeuxième ligne"
    await stage.portal.write(SLUG, item.id, text)
    assert json.loads(stage.gateway.calls[-1].content) == pushed(2).body
    same_call(pushed(2), stage.gateway.calls[-1])
    await stage.portal.amend(SLUG, item.id, {"description": "MODIFIÉ"})
    assert json.loads(stage.gateway.calls[-1].content)["extra"] == pushed(3).body["extra"]
    same_call(pushed(3), stage.gateway.calls[-1])
    assert item.status == "chez"
    other = stage.portal.submit(SLUG, {}, id="19")
    other.display_id = "1-19"
    await stage.portal.press(SLUG, "19", "atransmettre")
    await stage.portal.cancel(SLUG, "19")
    assert json.loads(stage.gateway.calls[-1].content) == pushed(4).body
    same_call(pushed(4), stage.gateway.calls[-1])
    assert other.status == "annulee"


async def test_a_message_is_sent_again_with_the_same_key_and_not_before_twenty_minutes(
    stage: Stage,
) -> None:
    item = stage.portal.submit(SLUG, {}, id="20")
    item.display_id = "1-20"
    await stage.portal.press(SLUG, "20", "atransmettre")
    unavailable = {"err_class": "unavailable", "err_desc": "x"}
    stage.gateway.answers.append(httpx.Response(503, json=unavailable))
    await stage.portal.write(SLUG, "20", pushed(5).body["message"])
    same_call(pushed(5), stage.gateway.calls[-1])
    assert item.status == "evtattente"
    await stage.portal.tick()
    stage.clock[0] += timedelta(minutes=19)
    await stage.portal.tick()
    assert item.status == "evtattente"
    stage.clock[0] += timedelta(minutes=1)
    await stage.portal.tick()
    assert json.loads(stage.gateway.calls[-1].content) == pushed(6).body
    same_call(pushed(6), stage.gateway.calls[-1], None)
    assert item.status == "chez"
    conflict = httpx.Response(409, json={"err": 1, "err_class": "conflict"})
    stage.gateway.answers.append(conflict)
    await stage.portal.write(SLUG, "20", pushed(7).body["message"])
    assert json.loads(stage.gateway.calls[-1].content) == pushed(7).body
    same_call(pushed(7), stage.gateway.calls[-1], None)
    assert item.status == "evtrefus"


async def test_other_ways_to_sign(stage: Stage) -> None:
    portal = stage.portal
    portal.base_url = "https://recette.exemple.invalid"
    form = portal.define(ENGLISH, workflow=workflow())
    form.fields = portal.forms[SLUG].fields
    told = pushed(8).body
    item = portal.submit(form.slug, told["fields"], told.get("user"), id="5")
    item.display_id = "2-5"
    portal.callout = Callout(BRON, "cle-factice-par-variable")
    await portal.press(form.slug, "5", "atransmettre")
    same_call(pushed(8), stage.gateway.calls[-1], "cle-factice-par-variable")
    site = "recette.exemple.invalid"
    portal.callout = Callout(BRON, "cle-factice-wcs-vers-passerelle", site)
    await portal.write(form.slug, "5", pushed(9).body["message"])
    same_call(pushed(9), stage.gateway.calls[-1], "cle-factice-wcs-vers-passerelle")
    assert json.loads(stage.gateway.calls[-1].content) == pushed(9).body
    own = BRON.replace("https://", "https://portail-factice:mot-de-passe-factice@")
    portal.callout = Callout(own)
    await portal.write(form.slug, "5", pushed(10).body["message"])
    assert json.loads(stage.gateway.calls[-1].content) == pushed(10).body
    assert stage.gateway.calls[-1].headers["authorization"] == basic(
        "portail-factice", "mot-de-passe-factice"
    )
    same_call(pushed(10), stage.gateway.calls[-1], None)


def answers_of(outcome: dict[str, Any]) -> list[httpx.Response | Exception]:
    """The answers that led to what was recorded, the last of them first in its data."""
    what, data = outcome["what"], outcome["workflow_data"]
    headers = {"X-Error-Code": "0"} if "X-Error-Code: 0" in what else {}
    if "cut" in what:
        return [httpx.RemoteProtocolError("cut")]
    if "no answer" in what:
        return [httpx.ReadTimeout("slow")]
    if "html" in what:
        return [httpx.Response(200, text="<html>")]
    status = int(what[:3])
    refused = httpx.Response(status, json=data["passerelle_error_response"], headers=headers)
    return [refused, httpx.Response(201, json=TAKEN, headers=headers)]


@pytest.mark.parametrize("outcome", judged(), ids=lambda one: one["what"][:40])
async def test_answers_are_judged_as_recorded(stage: Stage, outcome: dict[str, Any]) -> None:
    portal = stage.portal
    stage.gateway.answers += answers_of(outcome)
    item = portal.submit(SLUG, {"commune_raw": "69029"})
    await portal.press(SLUG, item.id, "Valider et transmettre")
    if "timed jump" in outcome["what"]:
        await portal.tick()
        stage.clock[0] += timedelta(minutes=20)
        await portal.tick()
    if "by an agent" in outcome["what"]:
        await portal.press(SLUG, item.id, "Renvoyer")
    assert [entry.status for entry in item.history] == outcome["statuses"]
    assert item.form.status(item.status).name == outcome["real_status_now"]
    data = {name: v for name, v in item.workflow_data.items() if name != "_source_ip"}
    assert data.keys() == outcome["workflow_data"].keys()
    for name, value in outcome["workflow_data"].items():
        if not name.endswith(("_time", "_connection_error")):
            assert data[name] == value


@pytest.mark.parametrize("row", document("09-dst")["rows"], ids=lambda row: row["instant_utc"])
def test_the_nights_when_the_clocks_change(row: dict[str, str]) -> None:
    portal = recorded_portal()
    item = portal.submit(SLUG, {})
    item.received = moment(row["instant_utc"])
    item.history = [Evolution(item.received, "moderation")]
    told = item.document(PORTAL)
    assert naive(item.received) == told["receipt_time"] == row["receipt_time"]
    assert told["last_update_time"] == row["last_update_time"]
    assert told["evolution"][0]["time"] == row["evolution[0].time"]
    arrived = told["workflow"]["status"]["first_arrival_datetime"]
    assert arrived == row["workflow.status.first_arrival_datetime"]
