"""An act does the same from the console and by the API, for whom it is, and is in the trail."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.console.acting import ACTS
from gateway.console.views import VIEWS
from gateway.core.console import ConsoleRole
from gateway.store.outbox import lanes as memory
from tests.console.town import BRON, TOKENS, VILLEURBANNE, ConsoleTown, state_of


async def call(town: ConsoleTown, act: str, who: str = "operator", **told: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS[who]}"}
    return await town.gw.client.post(f"/api/v1/acts/{act}", json=told, headers=headers)


async def test_a_page_says_what_will_happen_and_then_it_does(town: ConsoleTown) -> None:
    targets = [town.parked[BRON], town.asked[BRON]]
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        query = "&".join(f"cible={one}" for one in targets)
        page = await mine.get(f"/console/actes/delivery.replay?{query}")
        assert "1 sur 2 peut l&#39;être" in page.text or "1 sur 2 peut l'être" in page.text
        assert [await state_of(town, one) for one in targets] == ["parked", "question"]
        done = await mine.post(
            "/console/actes/delivery.replay", {"cible": targets, "numero": "1", "motif": ""}
        )
        assert "1 sur 2 fait" in done.text
    assert await state_of(town, targets[0]) in ("waiting", "unsure")
    assert await state_of(town, targets[1]) == "question"
    (told,) = await town.told()
    assert told.kind == "delivery.replay"
    assert told.data == {
        "by": "operator",
        "account": "openid:operator",
        "role": "operator",
        "way": "console",
        "from": "127.0.0.1",
        "target": targets[0],
        "commune": BRON,
    }


async def test_the_api_does_what_the_console_does(town: ConsoleTown) -> None:
    which = town.parked[VILLEURBANNE]
    planned = await call(town, "delivery.discard", targets=[which], dry_run=True)
    assert planned.json()["results"][0]["refused"] is False
    assert await state_of(town, which) == "parked"
    assert (await call(town, "delivery.discard", targets=[which])).status_code == 400  # no reason
    done = await call(town, "delivery.discard", targets=[which], because="doublon vu en mairie")
    assert done.json()["results"][0]["data"] == {"delivery": which}
    assert await state_of(town, which) == "discarded"
    again = await call(town, "delivery.discard", targets=[which], because="encore")
    assert again.status_code == 409
    (told,) = await town.told()
    assert (told.data["way"], told.data["account"]) == ("api", "token:exploitation")
    assert told.data["because"] == "doublon vu en mairie"


@pytest.mark.parametrize(("act", "state"), [("delivery.yes", "done"), ("delivery.no", "waiting")])
async def test_a_question_is_answered(town: ConsoleTown, act: str, state: str) -> None:
    given = {"reference": "GRU-77"} if act == "delivery.yes" else {}
    done = await call(town, act, "bron", targets=[town.asked[BRON]], parameters=given)
    assert done.status_code == 200, done.text
    assert await state_of(town, town.asked[BRON]) == state


async def test_an_agent_acts_for_their_commune_alone(town: ConsoleTown) -> None:
    theirs, mine = town.parked[VILLEURBANNE], town.parked[BRON]
    for dry in (True, False):
        told = await call(town, "delivery.replay", "bron", targets=[theirs], dry_run=dry)
        assert told.status_code == 404
        both = await call(town, "delivery.replay", "bron", targets=[mine, theirs], dry_run=dry)
        assert both.status_code == 404
    assert (await call(town, "delivery.discard", "bron", targets=[mine])).status_code == 403
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        page = await agent.get(f"/console/actes/delivery.replay?cible={theirs}")
        nothing = await agent.get("/console/actes/delivery.replay?cible=rien")
        assert page.status_code == nothing.status_code == 404
        assert page.text == nothing.text
    assert await state_of(town, mine) == await state_of(town, theirs) == "parked"
    assert await town.told() == []


async def test_an_auditor_does_nothing(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.AUDITOR) as auditor:
        for act in ACTS.values():
            path = f"/console/actes/{act.name}"
            fields = {"cible": town.parked[BRON], "numero": act.name, "motif": "x"}
            expected = 200 if act.allows(ConsoleRole.AUDITOR) else 403
            assert (await auditor.post(path, fields)).status_code == expected
        assert "/console/actes/" not in (await auditor.get(f"/console/communes/{BRON}")).text


async def test_pausing_a_commune_is_one_entry(town: ConsoleTown) -> None:
    done = await call(town, "commune.pause", targets=[BRON], because="travaux annoncés")
    assert done.status_code == 200, done.text
    lanes = await town.gw.database.read(memory.recall)
    assert sorted(name for name, one in lanes.items() if one.paused) == [
        *(f"gru:{BRON}:{gru}" for gru in ("main", "second", "third")),
        f"portal:toodego:{BRON}",
    ]
    assert len(await town.told()) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"targets": "x"}', b'{"targets": [1]}', b'{"other": 1}', b'{"parameters": []}'],
)
async def test_a_malformed_call_is_refused(town: ConsoleTown, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    client = town.gw.client
    answer = await client.post("/api/v1/acts/delivery.replay", content=body, headers=headers)
    assert answer.status_code == 400


async def test_the_api_lists_what_a_role_may_do(town: ConsoleTown) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['bron']}"}
    told = (await town.gw.client.get("/api/v1", headers=headers)).json()
    assert {one["name"] for one in told["views"]} == {
        v.name for v in VIEWS if v.allows(ConsoleRole.AGENT)
    }
    assert "delivery.discard" not in {one["name"] for one in told["acts"]}
