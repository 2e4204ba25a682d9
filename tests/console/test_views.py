"""Pages say the same to people and, in JSON, to programs: of their communes alone."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.console import ConsoleRole
from tests.console.town import BRON, TOKENS, VILLEURBANNE, ConsoleTown, put, state_of
from tests.web.harness import MARKER


async def read(town: ConsoleTown, path: str, who: str = "operator") -> Any:
    headers = {"Authorization": f"Bearer {TOKENS[who]}"}
    answer = await town.gw.client.get(f"/api/v1{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_today_begins_with_what_needs_a_person(town: ConsoleTown) -> None:
    found = await read(town, "/today")
    incidents = [one["what"].startswith("Incident") for one in found["todo"]]
    assert incidents == sorted(incidents, reverse=True)  # they come first
    waits = [one for one in found["todo"] if not one["what"].startswith("Incident")]
    assert [(one["count"], one["communes"]) for one in waits] == [
        (2, ["Bron", "Villeurbanne"]),
        (2, ["Bron", "Villeurbanne"]),
    ]
    assert [one["name"] for one in found["towns"][:2]] == ["Bron", "Villeurbanne"]
    mine = await read(town, "/today", "bron")
    assert [one["insee"] for one in mine["towns"]] == [BRON]
    assert {name for one in mine["todo"] for name in one["communes"]} == {"Bron"}


async def test_a_request_is_found_by_its_numbers_and_by_no_name(town: ConsoleTown) -> None:
    request = town.requests[BRON]
    for number in (request, "1"):
        found = await read(town, f"/requests?numero={number}")
        assert [one["id"] for _, one in found["found"]] == [request]
    for text in (MARKER, "zoe", "Zo%", "%", "zoe@exemple.invalid"):
        assert (await read(town, f"/requests?numero={text}"))["found"] == []
    assert (await read(town, "/requests?numero=11", "bron"))["found"] == []


async def test_a_request_says_why_it_waits_and_who_can_act(town: ConsoleTown) -> None:
    found = await read(town, f"/requests/{town.requests[BRON]}")
    assert found["why"][0]["code"] == "parked"
    assert found["why"][0]["who"] == "l'intégrateur de la commune"
    (wanted,) = found["wanted"]
    assert wanted["acts"] == ["delivery.replay", "delivery.discard"]
    kinds = [one["kind"] for one in found["timeline"]]
    assert kinds[:2] == ["event", "delivery"]
    assert {one["target"] for one in found["origins"]["fields"]} == {"title", "ours"}
    assert "Un nid de poule" not in str(found)


async def test_what_people_did_is_in_the_line_of_time(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        fields = {"cible": town.parked[BRON], "motif": "mapping corrigé", "numero": "1"}
        await mine.post("/console/actes/delivery.replay", fields)
        page = await mine.get(f"/console/demandes/{town.requests[BRON]}")
    assert "operator : Rejouer" in page.text
    assert "mapping corrigé" in page.text


async def test_values_are_shown_for_a_reason_that_is_kept(town: ConsoleTown) -> None:
    request = town.requests[BRON]
    headers = {"Authorization": f"Bearer {TOKENS['bron']}"}

    async def reveal(**told: Any) -> Any:
        call = {"targets": [request]} | told
        path = "/api/v1/acts/request.reveal"
        return await town.gw.client.post(path, json=call, headers=headers)

    assert (await reveal()).status_code == 400
    assert await town.told() == []
    shown = (await reveal(because="la mairie appelle")).json()["results"][0]["data"]["values"]
    assert {"target": "title", "value": "Un nid de poule"} in shown
    (told,) = await town.told()
    assert (told.kind, told.data["because"]) == ("request.reveal", "la mairie appelle")
    assert "nid de poule" not in str(told.data)


async def test_what_waits_is_grouped_by_its_cause(town: ConsoleTown) -> None:
    found = await read(town, "/waiting")
    assert {(one["reason"], one["state"], len(one["items"])) for one in found["groups"]} == {
        ("unmappable", "parked", 2),
        ("timeout", "question", 2),
    }
    mine = await read(town, "/waiting", "bron")
    assert mine["count"] == 2
    assert {one["insee"] for group in mine["groups"] for one in group["items"]} == {BRON}


async def test_many_are_replayed_at_once(town: ConsoleTown) -> None:
    both = [town.parked[BRON], town.parked[VILLEURBANNE]]
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        page = await mine.get("/console/a-traiter")
        link = "/console/actes/delivery.replay?" + "".join(f"cible={one}&amp;" for one in both)
        assert link in page.text
        await mine.post("/console/actes/delivery.replay", {"cible": both, "numero": "9"})
    assert [await state_of(town, one) for one in both] == ["waiting", "waiting"]
    assert len(await town.told()) == 2


async def test_what_is_still_tried_may_be_given_up(town: ConsoleTown) -> None:
    await town.gw.database.write(put, town.parked[BRON], "waiting", "processing")
    town.gw.advance(hours=1)
    found = await read(town, "/waiting", "bron")
    assert [(one["state"], one["acts"]) for one in found["groups"]] == [
        ("question", ["delivery.yes", "delivery.no", "delivery.discard"]),
        ("stuck", ["delivery.discard"]),
    ]


@pytest.mark.parametrize("role", list(ConsoleRole))
async def test_each_role_opens_each_page_that_is_theirs(
    town: ConsoleTown, role: ConsoleRole
) -> None:
    async with town.browser(role, *([] if role is ConsoleRole.OPERATOR else [BRON])) as mine:
        for path in ("", "/demandes", "/a-traiter", f"/communes/{BRON}"):
            assert (await mine.get(f"/console{path}")).status_code == 200, path
        page = await mine.get(f"/console/demandes/{town.requests[BRON]}")
        assert ("Rejouer" in page.text) is (role is not ConsoleRole.AUDITOR)
        assert ("Abandonner" in page.text) is (role is ConsoleRole.OPERATOR)
