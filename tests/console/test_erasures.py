"""Erasures in the console: two different people, and communes that answer for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.console import ConsoleRole, granted
from gateway.flow.console.sessions import form_token
from gateway.store import erasures
from tests.console.town import BRON, THEIRS, TOKENS, VILLEURBANNE, ConsoleTown, seed_erasures


async def phase(town: ConsoleTown, which: str) -> str:
    found = await town.gw.database.read(erasures.get, which)
    assert found is not None
    return found.state.value


async def approve(town: ConsoleTown, account: str, name: str, target: str = "RUN-1") -> str:
    """Have somebody agree, in a browser of their own."""
    async with town.browser() as browser:
        token = await town.access.sessions.open(account, name, granted(ConsoleRole.OPERATOR, []))
        browser.client.cookies.set("__Host-console-session", token)
        browser.form_token = form_token(token)
        fields = {"cible": target, "numero": "1", "motif": ""}
        return (await browser.post("/console/actes/erasure.approve", fields)).text


async def test_two_different_people_decide(town: ConsoleTown) -> None:
    await seed_erasures(town)
    assert "Accord donné pour 2 ; 0" in await approve(town, "openid:ana", "Ana Fictive")
    # Neither the same name, however written, nor the same account under another name.
    assert "0 sur 1" in await approve(town, "openid:autre", "FICTIVE, Ana")
    assert "0 sur 1" in await approve(town, "openid:ana", "Nouveau Nom")
    assert "0 sur 1" in await approve(town, "openid:ana", "Nouveau Nom", "ERA-1")
    assert await phase(town, "ERA-1") == "held"
    assert "2 effacements commencent" in await approve(town, "openid:bea", "Béa Inventée")
    assert await phase(town, "ERA-1") == await phase(town, "ERA-2") == "open"
    assert [one.kind for one in await town.told()] == ["erasure.approve"] * 2


async def test_what_is_held_is_given_up_with_a_reason(town: ConsoleTown) -> None:
    await seed_erasures(town)
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    told: dict[str, Any] = {"targets": ["ERA-1"]}
    call = town.gw.client.post
    answer = await call("/api/v1/acts/erasure.withdraw", json=told, headers=headers)
    assert answer.status_code == 400
    told["because"] = "GLC s'est trompé"
    answer = await call("/api/v1/acts/erasure.withdraw", json=told, headers=headers)
    assert answer.status_code == 200
    assert await phase(town, "ERA-1") == "withdrawn"


async def answer(
    town: ConsoleTown, who: str, insee: str, **given: str
) -> tuple[int, Mapping[str, Any]]:
    told = {"targets": [f"ERA-3:{insee}"], "parameters": given}
    headers = {"Authorization": f"Bearer {TOKENS[who]}"}
    found = await town.gw.client.post("/api/v1/acts/erasure.done", json=told, headers=headers)
    return found.status_code, found.json()


async def test_a_commune_answers_for_itself_alone(town: ConsoleTown) -> None:
    await seed_erasures(town)
    assert (await answer(town, "bron", VILLEURBANNE, answer="erased"))[0] == 404
    assert (await answer(town, "bron", BRON, answer="kept"))[0] == 409
    assert (await answer(town, "bron", BRON, answer="kept", ground="Code du patrimoine"))[0] == 200
    assert (await answer(town, "bron", BRON, answer="erased"))[0] == 409
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        listed = await agent.get("/console/effacements?etat=tous")
        page = await agent.get("/console/effacements/ERA-3")
        assert "Code du patrimoine" in page.text
        for text in (listed.text, page.text):
            assert THEIRS not in text
            assert "Villeurbanne" not in text
            assert "RUN-1" not in text
        assert (await agent.get("/console/effacements/ERA-4")).status_code == 404
        assert (await agent.get("/console/effacements/ERA-1")).status_code == 404
        assert (await agent.get("/console/effacements/ERA-3/attestation")).status_code == 403


async def test_a_certificate_is_a_file_that_is_never_shown_within(town: ConsoleTown) -> None:
    await seed_erasures(town)
    async with town.browser(ConsoleRole.AUDITOR) as auditor:
        found = await auditor.get("/console/effacements/ERA-4/attestation")
    assert found.headers["content-disposition"] == 'attachment; filename="effacement-ERA-4.html"'
    assert "'unsafe" not in found.headers["content-security-policy"]
    assert "ERA-4" in found.text
