"""The list API: what is due, pages that shift, numbers, former values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.sim.form import Field
from gateway.sim.portal import SimulatedPortal

SLUG = "voirie"
LIST = f"/api/forms/{SLUG}/list"


class Far:
    def __init__(self, portal: SimulatedPortal, client: httpx.AsyncClient) -> None:
        self.portal, self.client = portal, client
        self.now = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, auth=("ici", "cle"))

    async def ids(self, query: str) -> list[str]:
        answer = await self.get(f"{LIST}?{query}")
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()]


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    portal = SimulatedPortal(keys={"ici": "cle"})
    fields = [Field("rue", "Rue"), Field("lieu", "Lieu", "map"), Field("photo", "Photo", "file")]
    portal.define(SLUG, fields=fields)
    transport = httpx.ASGITransport(portal.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://portail.invalid") as client:
        far = Far(portal, client)
        portal.clock = lambda: far.now
        for n in range(1, 7):
            due = {"bo_a_transmettre": f"2026-03-12T09:0{n}:00+0100"} if n % 2 else {}
            portal.submit(SLUG, {"rue": f"rue {n}"}, workflow_fields=due)
        yield far


async def test_only_what_is_marked_as_due(far: Far) -> None:
    mark = "filter-bo_a_transmettre"
    assert await far.ids(f"{mark}=on&{mark}-operator=existing&order_by=id") == ["1", "3", "5"]
    assert await far.ids(f"{mark}=on&{mark}-operator=absent&order_by=id") == ["2", "4", "6"]
    since = "2026-03-12T09:03"
    assert await far.ids(f"{mark}={since}&{mark}-operator=gte&order_by=id") == ["3", "5"]


async def test_pages_shift_when_rows_of_one_moment_are_written(far: Far) -> None:
    page = "order_by=last_update_time&limit=3"
    first = await far.ids(page)
    far.portal.edit(SLUG, first[0], {"rue": "autre"})  # moves no date, but the row
    second = await far.ids(f"{page}&offset=3")
    assert first == ["1", "2", "3"]
    assert second == ["5", "6", "1"], "4 has slipped to the page before"


async def test_numbers_make_pages_that_do_not_shift(far: Far) -> None:
    page = "order_by=id&limit=2&filter-internal-id-operator=gt&filter-internal-id="
    assert await far.ids(f"{page}0") == ["1", "2"]
    far.portal.edit(SLUG, "1", {"rue": "autre"})
    assert await far.ids(f"{page}2") == ["3", "4"]
    assert (await far.get(f"{LIST}?{page}x")).status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=inconnu", []),
        ("filter=open", []),
        ("filter=pending&limit=1", ["1"]),
        ("order_by=inconnu&limit=1", ["1"]),
        ("filter-start-mtime=on&filter-start-mtime-value=hier&limit=1", ["1"]),
        ("filter-start-mtime-value=2027-01-01&limit=1", ["1"]),
        ("filter-start-mtime=on&filter-start-mtime-value=2026-03-12T08:59:59Z&limit=1", ["1"]),
        ("filter-start-mtime=on&filter-start-mtime-value=2026-03-12T09:00:01Z", []),
    ],
)
async def test_what_w_c_s_lets_pass(far: Far, query: str, expected: list[str]) -> None:
    assert await far.ids(query) == expected


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("filter-inconnu=1", "Filtre invalide «\xa0inconnu\xa0»."),
        ("filter-lieu=on&filter-lieu-operator=existing", "Filtre invalide «\xa0lieu\xa0»."),
        ("filter-photo=x", "Filtre invalide «\xa0photo\xa0»."),
        (
            "filter-rue=1&filter-rue-operator=bidon",
            "Opérateur «\xa0bidon\xa0» invalide pour «\xa0filter-rue\xa0».",
        ),
        ("limit=deux", None),
    ],
)
async def test_what_w_c_s_refuses(far: Far, query: str, told: str | None) -> None:
    answer = await far.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["err_desc"]) == (400, told)


async def test_values_as_they_were(far: Far) -> None:
    before = far.now
    far.now += timedelta(hours=1)
    far.portal.edit(SLUG, "1", {"rue": "après"})

    async def rue(at: datetime) -> Any:
        text = at.isoformat().replace("+", "%2B")
        return (await far.get(f"/api/forms/{SLUG}/1/?at={text}")).json()["fields"]["rue"]

    assert await rue(before) == "rue 1"
    assert await rue(far.now) == "après"
    for wrong in ("2020-01-01T00:00:00", "hier"):
        assert (await far.get(f"/api/forms/{SLUG}/1/?at={wrong}")).status_code == 400
