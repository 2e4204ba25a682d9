"""Incidents in the console: by the convention's clock, and no more of one than a reader may see."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.console import ConsoleRole
from gateway.store import incidents
from gateway.store.incidents import Incident
from tests.console.town import BRON, THEIRS, TOKENS, VILLEURBANNE, ConsoleTown


async def call(town: ConsoleTown, act: str, which: str, because: str = "", **given: str) -> Any:
    told = {"targets": [town.incidents[which]], "because": because, "parameters": given}
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    answer = await town.gw.client.post(f"/api/v1/acts/incident.{act}", json=told, headers=headers)
    return answer.status_code, answer.json()


async def stored(town: ConsoleTown, which: str) -> Incident:
    return await town.gw.database.read(incidents.get, town.incidents[which])


async def test_an_agent_sees_those_of_their_communes_and_no_word_of_others(
    town: ConsoleTown,
) -> None:
    shared, theirs = town.incidents["shared"], town.incidents["theirs"]
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        listed = await agent.get("/console/incidents?etat=tous")
        assert shared in listed.text
        assert theirs not in listed.text
        assert town.incidents["attack"] not in listed.text
        page = await agent.get(f"/console/incidents/{shared}")
        assert page.status_code == 200
        assert "délai suspendu" in page.text
        for text in (listed.text, page.text):
            assert THEIRS not in text
            assert "Villeurbanne" not in text
            assert VILLEURBANNE not in text
            assert "/console/actes/" not in text
        for path in (f"/console/incidents/{theirs}", f"/console/incidents?commune={VILLEURBANNE}"):
            assert (await agent.get(path)).status_code == 404
        assert (
            await agent.get(f"/console/incidents/{town.incidents['attack']}")
        ).status_code == 404
    async with town.browser(ConsoleRole.AGENT, BRON, VILLEURBANNE) as both:
        page = await both.get(f"/console/incidents/{shared}")
        assert THEIRS in page.text


async def test_an_incident_is_taken_in_hand_and_closed(town: ConsoleTown) -> None:
    assert (await call(town, "ack", "shared"))[0] == 200
    assert (await call(town, "ack", "shared"))[0] == 409
    assert (await call(town, "assign", "shared", to="Camille Fictive"))[0] == 200
    assert (await call(town, "resume", "shared"))[0] == 200
    assert (await call(town, "pause", "shared", "la GRU redémarre", commune=BRON))[0] == 200
    assert (await call(town, "pause", "theirs", "x", commune="00000"))[0] == 409
    assert (await call(town, "close", "shared", "portail revenu"))[0] == 409  # no post-mortem
    report = "Le portail a été redémarré.\nIl est surveillé."
    status, told = await call(
        town, "close", "shared", "portail revenu", cause="network", post_mortem=report
    )
    assert (status, told["results"][0]["data"]["state"]) == (200, "closed")
    one = await stored(town, "shared")
    assert (one.acked_by, one.assigned_to, one.closed_by) == (
        "exploitation",
        "Camille Fictive",
        "exploitation",
    )
    assert (one.post_mortem, one.party) == (report, "network")
    entries = await town.told()
    assert [entry.kind for entry in entries] == [
        f"incident.{act}" for act in ("ack", "assign", "resume", "pause", "close")
    ]
    assert entries[1].data["to"] == "Camille Fictive"
    assert "post_mortem" not in entries[4].data  # it stands with the incident


async def test_its_gravity_is_changed_with_a_reason(town: ConsoleTown) -> None:
    assert (await call(town, "severity", "theirs", severity="mineur"))[0] == 400
    assert (await call(town, "severity", "theirs", "une voie d'essai", severity="mineur"))[0] == 200
    assert (await stored(town, "theirs")).severity == "mineur"


async def test_an_attack_is_notified_before_it_is_closed(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        page = await mine.get(f"/console/incidents/{town.incidents['attack']}")
    assert "Liste de contrôle" in page.text
    assert (await call(town, "close", "attack", "fini"))[0] == 409
    assert (await call(town, "notified", "shared", to="la DSI"))[0] == 409
    assert (await call(town, "notified", "attack", to="la DSI"))[0] == 200
    assert (await call(town, "close", "attack", "une clé changée d'un seul côté"))[0] == 200


@pytest.mark.parametrize("act", ["ack", "close"])
async def test_only_operators_act(town: ConsoleTown, act: str) -> None:
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        path = f"/console/actes/incident.{act}?cible={town.incidents['shared']}"
        assert (await agent.get(path)).status_code == 403


async def test_a_form_that_is_refused_keeps_what_was_written(town: ConsoleTown) -> None:
    fields = {"cible": town.incidents["theirs"], "numero": "1", "motif": "", "post_mortem": "Long."}
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        page = await mine.post("/console/actes/incident.close", fields)
    assert page.status_code == 400
    assert "Long.</textarea>" in page.text
