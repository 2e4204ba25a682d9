"""Availability and announcements in the console."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.console import ConsoleRole
from tests.console.town import BRON, THEIRS, TOKENS, VILLEURBANNE, ConsoleTown, seed_month

BRON_TOKEN = {"Authorization": f"Bearer {TOKENS['bron']}"}


async def get(town: ConsoleTown, path: str) -> Any:
    answer = await town.gw.client.get(f"/api/v1/{path}", headers=BRON_TOKEN)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_month_is_told_of_ones_own_commune(town: ConsoleTown) -> None:
    await seed_month(town)
    told = await get(town, "availability")
    assert [one["name"] for one in told["communes"]] == ["Bron"]
    assert [one["service"] for one in told["services"]] == ["toodego"]
    ours, *_ = told["communes"][0]["down"]
    assert ours >= 10
    assert told["communes"][0]["kept"] is False
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        sheet = await agent.get("/console/disponibilite/csv?mois=2026-11")
        assert sheet.headers["content-disposition"].endswith('"disponibilite-2026-11.csv"')
        assert "Bron" in sheet.text
        assert VILLEURBANNE not in sheet.text
        assert "Disponibilité du mois" in (await agent.get(f"/console/communes/{BRON}")).text


@pytest.mark.parametrize("month", ["2026-13", "hier", "2026-12", "2020-01", "2026-11-01"])
async def test_a_month_that_is_none_is_refused(town: ConsoleTown, month: str) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        for path in ("", "/csv", "/page"):
            answer = await mine.get(f"/console/disponibilite{path}?mois={month}")
            assert answer.status_code == 400


async def test_a_commune_says_that_it_has_read(town: ConsoleTown) -> None:
    await seed_month(town)
    (line,) = (await get(town, "announcements"))["lines"]
    assert [one["name"] for one in line["towns"]] == ["Bron"]
    told = {"targets": [line["towns"][0]["target"]]}
    path, post = "/api/v1/acts/announcement.read", town.gw.client.post
    assert (await post(path, json=told, headers=BRON_TOKEN)).status_code == 200
    assert (await post(path, json=told, headers=BRON_TOKEN)).status_code == 409
    other = {"targets": [f"{line['id']}:{VILLEURBANNE}"]}
    assert (await post(path, json=other, headers=BRON_TOKEN)).status_code == 404
    (line,) = (await get(town, "announcements"))["lines"]
    assert line["towns"][0]["read_by"] == "bron"
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        page = await mine.get("/console/annonces")
        assert THEIRS in page.text
        assert "lu le" in page.text
        path = f"/console/actes/announcement.cancel?cible={line['id']}"
        assert "apprennent que c" in (await mine.get(path)).text
