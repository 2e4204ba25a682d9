"""Whole passes with GRUs that lie about dates, rows and authors: nobody silenced, nobody echoed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.sim.lies import Lies
from gateway.sim.open311 import Open311
from gateway.sim.ticketing import Ticketing
from gateway.store import untold
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, GRU_B, Rig

YEAR = timedelta(days=365)
DAY = 86_400.0
#: All comments, those that we wrote included, as an adapter's options without a filter have them.
EVERY_NOTE = {"statuses": {"item": {"notes": {"list": "comments"}}}}
EACH = {
    "statuses": {
        "path": "/api/tickets/{gru_reference}",
        "query": None,
        "list": None,
        "each": True,
        "item": {
            "gru_reference": "ticket.id",
            "reference": "ticket.external_id",
            "status": "ticket.status",
            "at": {"value": "ticket.updated_at"},
            "notes": {"list": "ticket.comments"},
        },
    }
}


def rest(build_rig: Builder, options: dict[str, Any]) -> Rig:
    return build_rig(options=options)


def open311(build_rig: Builder, options: dict[str, Any]) -> Rig:
    sims = {lane: Open311(extended=True, api_key="jeton-essai") for lane in (GRU_A, GRU_B)}
    usual = {
        "endpoint": "http://gru.invalid",
        "api_key": "env:GRU_KEY",
        "find": "by_attribute",
        "media": "none",
        "public_notes": True,
        "updates": {},
    }
    return build_rig(
        adapter="open311",
        grus=sims,
        options=usual | options,
        mapping=lambda text: text.replace("DS01", "depot-sauvage"),
    )


Make = Callable[[Builder, dict[str, Any]], Rig]
WAYS: list[Any] = [
    pytest.param(rest, EVERY_NOTE, id="rest-list"),
    pytest.param(rest, EACH, id="rest-each"),
    pytest.param(open311, {}, id="open311-ids"),
    pytest.param(open311, {"poll": "window"}, id="open311-window"),
]


async def poll(rig: Rig, *requests: str) -> None:
    await rig.engine.changes.poll(rig.gru_config)
    await rig.rest(*requests)


def words(rig: Rig, item: Any) -> list[str]:
    return [one["statut"] for one in rig.told(item) if one["statut"]]


def texts(rig: Rig, item: Any) -> list[str]:
    return [one["message"] for one in rig.told(item) if one["message"]]


def number(rig: Rig, request: str) -> str:
    sim: Ticketing | Open311 = rig.grus[GRU_A]
    if isinstance(sim, Ticketing):
        return rig.ticket(request).id
    (one,) = [t for t in sim.tickets if request in str(t.attributes.values())]
    return str(one.id)


ENDED, GOES_ON, PLANNED = "closed", "in_progress", "planned"


@pytest.mark.parametrize(("make", "options"), WAYS)
async def test_dates_ahead_silence_nobody(
    build_rig: Builder, make: Make, options: dict[str, Any]
) -> None:
    rig = make(build_rig, options)
    sim = rig.grus[GRU_A]
    async with rig.gateway():
        one, first = await rig.send()
        two, second = await rig.send()
        await rig.rest(first, second)
        rig.advance(60)
        sim.lies.ahead[number(rig, first)] = YEAR  # an agent's slip: the wrong year
        sim.advance(number(rig, first), PLANNED)
        await poll(rig, first, second)
        rig.advance(DAY)
        sim.lies.ahead.clear()
        for request in (first, second):
            sim.advance(number(rig, request), ENDED)
        for _ in range(2):
            await poll(rig, first, second)
            rig.advance(3600)
    assert words(rig, one) == ["transmise", "planifiee", "terminee"]
    assert words(rig, two)[-1] == "terminee"


@pytest.mark.parametrize(("make", "options"), WAYS)
async def test_what_is_reopened_after_days_is_told(
    build_rig: Builder, make: Make, options: dict[str, Any]
) -> None:
    rig = make(build_rig, options)
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        for word in (ENDED, GOES_ON):
            rig.advance(2 * DAY)
            rig.grus[GRU_A].advance(number(rig, request), word)
            for _ in range(2):
                await poll(rig, request)
                rig.advance(60)
    assert words(rig, item) == ["transmise", "terminee", "en_cours"]


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize(("make", "options"), WAYS)
async def test_what_the_citizen_wrote_never_comes_back(
    build_rig: Builder, make: Make, options: dict[str, Any], ended: bool
) -> None:
    rig = make(build_rig, options)
    sim = rig.grus[GRU_A]
    sim.lies = Lies(echo=True)
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(60)
        await poll(rig, request)
        if ended:
            sim.advance(number(rig, request), ENDED)
            await poll(rig, request)
        for n, text in enumerate(("C'est revenu ce matin, merci de repasser.", "Merci")):
            rig.advance(3600)
            await rig.push(item, action="message", evenement=f"m{n}", message=text)
            await rig.rest(request)
        before = words(rig, item)
        for _ in range(3):
            rig.advance(DAY)
            await poll(rig, request)
    assert not {"C'est revenu ce matin, merci de repasser.", "Merci"} & set(texts(rig, item))
    assert words(rig, item) == before


@pytest.mark.parametrize(("make", "options"), [WAYS[1], WAYS[2]])
async def test_rows_that_are_left_out_are_asked_about_otherwise(
    build_rig: Builder, make: Make, options: dict[str, Any]
) -> None:
    rig = make(build_rig, options)
    sim = rig.grus[GRU_A]
    sim.lies = Lies(hide=2, repeat=3, shift=True, bad_row=True)
    async with rig.gateway():
        made = [await rig.send() for _ in range(7)]
        requests = [request for _, request in made]
        await rig.rest(*requests)
        rig.advance(60)
        for request in requests:
            sim.advance(number(rig, request), ENDED)
        await poll(rig, *requests)
        assert await rig.database.read(untold.listing) == ()
    assert {words(rig, item)[-1] for item, _ in made} == {"terminee"}
