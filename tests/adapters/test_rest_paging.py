"""A list in which a page, or one item alone, is larger than an answer may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.sdk import Absent, CannotTell, Found, Outcome, Tracked, patience
from gateway.sdk.conformance import NOW, REFERENCE
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid"
TRACKED = [Tracked(REFERENCE, "1", NOW - timedelta(days=20))]
BEGUN = (NOW - timedelta(days=15)).isoformat()


def options(style: str, **more: Any) -> dict[str, Any]:
    paging = {"style": style, "param": "p", "first": 0, "size_param": "n", "size": 12}
    item = {"gru_reference": "id", "reference": "ref", "status": "status", "at": {"value": "at"}}
    statuses = {"path": "/list", "query": {"since": "=since"}, "list": "rows"}
    return {
        "base_url": BASE,
        "max_answer": 5_000,
        "create": {"path": "/r", "reference": "id"},
        "find": {
            "path": "/list",
            "query": {"ref": "=reference"},
            "list": "rows",
            "match": "ref",
            "reference": "id",
            "paging": paging,
        },
        "statuses": {**statuses, "paging": paging, "item": item},
        **more,
    }


def rows(count: int, huge: set[int], days: float = 10) -> list[dict[str, Any]]:
    begun = NOW - timedelta(days=days)
    return [
        {
            "id": str(n),
            "ref": f"R{n}",
            "status": "open",
            "at": (begun + timedelta(minutes=n)).isoformat(),
            "file": "x" * (9_000 if n in huge else 10),
        }
        for n in range(count)
    ]


def served(
    every: list[dict[str, Any]], style: str, *, cap: int = 1_000
) -> Callable[[httpx.Request], httpx.Response]:
    """A far end that gives no more than `cap` at once, and counts its pages by what it gives."""

    def answer(request: httpx.Request) -> httpx.Response:
        size = min(cap, int(request.url.params["n"]))
        place = int(request.url.params["p"]) * (size if style == "page" else 1)
        return httpx.Response(200, json={"rows": every[place : place + size]})

    return answer


@pytest.mark.parametrize("style", ["page", "offset"])
@pytest.mark.parametrize("cap", [1_000, 6, 5])
@pytest.mark.parametrize("huge", [{0}, {7}, {11, 12}, {29}, {3, 17, 25}])
async def test_an_item_that_is_too_large_costs_itself_alone(
    router: respx.MockRouter, style: str, cap: int, huge: set[int]
) -> None:
    router.get(f"{BASE}/list").mock(side_effect=served(rows(30, huge), style, cap=cap))
    async with adapter(options(style), router) as rest:
        changes = await rest.statuses(TRACKED, BEGUN)
    told = {change.gru_reference for change in changes.items}
    assert told == {str(n) for n in range(30)} - {str(n) for n in huge}
    assert reason(changes.failure) == "item_too_large"


async def test_a_page_of_many_that_are_too_large_together_is_no_fault(
    router: respx.MockRouter,
) -> None:
    every = rows(30, set())
    for row in every:
        row["file"] = "x" * 700
    router.get(f"{BASE}/list").mock(side_effect=served(every, "page"))
    async with adapter(options("page"), router) as rest:
        changes = await rest.statuses(TRACKED, BEGUN)
    assert (len(changes.items), changes.failure) == (30, None)


@pytest.mark.parametrize(("days", "moves"), [(0.5, False), (10, True)])
async def test_the_poll_goes_on_from_a_large_item_for_a_day(
    router: respx.MockRouter, days: float, moves: bool
) -> None:
    router.get(f"{BASE}/list").mock(side_effect=served(rows(30, {7}, days), "offset"))
    async with adapter(options("offset"), router) as rest:
        changes = await rest.statuses(TRACKED, BEGUN)
    assert (changes.cursor != BEGUN) is moves


async def test_a_server_that_heeds_no_size_is_soon_left(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/list")
    route.mock(return_value=httpx.Response(200, json={"rows": rows(30, {1})}))
    async with adapter(options("page"), router) as rest:
        changes = await rest.statuses(TRACKED, BEGUN)
    assert reason(changes.failure) == "answer_too_large"
    assert route.call_count < 15


@pytest.mark.parametrize(("ref", "found"), [("R3", Found("3")), ("R29", Found("29"))])
async def test_a_search_goes_past_a_large_item_and_proves_no_absence(
    router: respx.MockRouter, ref: str, found: Found
) -> None:
    router.get(f"{BASE}/list").mock(side_effect=served(rows(30, {7}), "offset"))
    given = options("offset")
    given["find"]["strays"] = "ignore"
    async with adapter(given, router) as rest:
        assert await rest.find(ref) == found
        told = await rest.find(REFERENCE)
        assert isinstance(told, CannotTell)
        assert (told.reason, told.forever) == ("item_too_large", True)
        router.get(f"{BASE}/list").mock(side_effect=served(rows(30, set()), "offset"))
        assert await rest.find(REFERENCE) == Absent()


def reason(failure: Outcome | None) -> str | None:
    return getattr(failure, "reason", None)


@pytest.mark.parametrize("style", ["page", "offset"])
async def test_a_list_that_comes_slowly_is_read_a_part_at_a_time(
    router: respx.MockRouter, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll whose time is over says so and gives what it has; the next goes on from there."""
    every = rows(30, set())
    for n, row in enumerate(every):
        row["at"] = (NOW - timedelta(days=10) + timedelta(hours=n)).isoformat()

    def since(request: httpx.Request) -> httpx.Response:
        begin = datetime.fromisoformat(request.url.params["since"])
        listed = [row for row in every if datetime.fromisoformat(row["at"]) >= begin]
        return served(listed, style)(request)

    router.get(f"{BASE}/list").mock(side_effect=since)
    monkeypatch.setattr(patience, "POLL", 0.0)
    told: list[str | None] = []
    cursor: str | None = BEGUN
    async with adapter(options(style), router) as rest:
        for _ in range(3):
            changes = await rest.statuses(TRACKED, cursor)
            assert reason(changes.failure) == "poll_too_long"
            told += [change.gru_reference for change in changes.items]
            assert changes.cursor != cursor
            cursor = changes.cursor
    assert set(told) >= {str(n) for n in range(30)}
    assert len(told) < 40, "only what overlaps is read again"


async def test_requests_asked_about_one_by_one_have_their_time_as_well(
    router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    router.get(f"{BASE}/r/1").respond(json=rows(1, set())[0])
    given = options("page")
    del given["statuses"]["paging"], given["statuses"]["query"], given["statuses"]["list"]
    given["statuses"] |= {"path": "/r/{gru_reference}", "each": True}
    monkeypatch.setattr(patience, "POLL", 0.0)
    many = [replace(TRACKED[0], reference=f"R{n}") for n in range(3)]
    async with adapter(given, router) as rest:
        changes = await rest.statuses(many, None)
    assert reason(changes.failure) == "poll_too_long"
    assert list(changes.asked or ()) == ["R0"]
