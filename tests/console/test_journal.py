"""*Journal*: who did what, for whom it is, and whether it verifies."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from gateway.console.sight_trail import STREAMS
from gateway.console.words import JOURNAL
from gateway.console.words import STREAMS as STREAM_WORDS
from gateway.core.console import ConsoleRole
from gateway.store import trail
from tests.console.town import BRON, THEIRS, TOKENS, VILLEURBANNE, ConsoleTown


async def lines(town: ConsoleTown, who: str = "operator", **query: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKENS[who]}"}
    answer = await town.gw.client.get("/api/v1/journal", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["lines"]
    return found


async def append(town: ConsoleTown, stream: str, kind: str, **data: Any) -> None:
    await town.gw.database.write(trail.append, stream, kind, data, town.gw.clock[0])


async def test_acts_are_found_by_who_where_and_when(town: ConsoleTown) -> None:
    told = {"targets": [town.parked[BRON]], "because": "doublon"}
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    done = await town.gw.client.post("/api/v1/acts/delivery.discard", json=told, headers=headers)
    assert done.status_code == 200
    (one,) = await lines(town, flux="people", qui="exploi", commune=BRON, du="2026-11-23")
    assert (one["what"], one["communes"]) == ("Abandonner", ["Bron"])
    entry = one["entry"]
    assert (entry["by"], entry["way"], entry["place"], entry["because"], entry["about"]) == (
        "exploitation",
        "api",
        "127.0.0.1",
        "doublon",
        town.parked[BRON],
    )
    assert await lines(town, flux="people", au="2026-11-22") == []
    assert await lines(town, flux="people", qui="personne") == []
    assert len(await lines(town)) > 1


async def test_an_agent_reads_what_touches_their_commune_alone(town: ConsoleTown) -> None:
    both, theirs = [BRON, VILLEURBANNE], VILLEURBANNE
    await append(town, "release", "signed", commune=theirs, by=THEIRS, digest=THEIRS)
    await append(town, "announcements", "announced", communes=both, because=THEIRS, by="Ana")
    await append(town, "erasure", "erased", communes=both, requests=[THEIRS], erasure=THEIRS)
    await append(town, "rights", "exported", by=THEIRS, because=BRON)
    found = await lines(town, "bron")
    assert {one["what"] for one in found} == {
        "Annonce faite",
        "Données effacées ici",
        "Incident ouvert",
    }
    assert THEIRS not in str(found)
    assert theirs not in str(found)
    assert {name for one in found for name in one["communes"]} == {"Bron"}
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        page = await agent.get("/console/journal")
        assert THEIRS not in page.text
        assert "Villeurbanne" not in page.text
        for query in (f"commune={theirs}", "flux=rights", "flux=rien", "du=hier", "page=x"):
            expected = 404 if "commune" in query else 400
            assert (await agent.get(f"/console/journal?{query}")).status_code == expected


async def test_a_chain_that_was_changed_is_said(town: ConsoleTown) -> None:
    def change(connection: Any) -> None:
        connection.execute(text("DROP TRIGGER trail_no_update"))
        connection.execute(
            text("UPDATE trail SET kind = 'closed' WHERE stream = 'incidents' AND n = 1")
        )

    async with town.browser(ConsoleRole.AUDITOR) as auditor:
        assert "Le journal se vérifie" in (await auditor.get("/console/journal")).text
        await town.gw.database.write(change)
        await append(town, "incidents", "warned", incident="INC-1")
        assert "ne se vérifie pas" in (await auditor.get("/console/journal")).text


@pytest.mark.parametrize("stream", STREAMS)
def test_each_stream_has_words(stream: str) -> None:
    assert stream in STREAM_WORDS
    assert any(name.startswith(f"{stream}.") for name in JOURNAL)
