"""Releases in the console: a commune sees what is offered to it, and agrees."""

from __future__ import annotations

from typing import Any

from gateway.contracts.leaving import releases_of
from gateway.contracts.planning import ReleaseFiles, offer, plan
from gateway.core.console import ConsoleRole
from gateway.store import releases
from tests.console.town import BRON, TOKENS, VILLEURBANNE, ConsoleTown, console_bundle


async def offered(town: ConsoleTown) -> None:
    """Have the files' releases offered to both communes, by the use case of the command."""
    gw = town.gw
    bundle = console_bundle(gw.engine.catalogue.settings.data_dir)
    files = ReleaseFiles(releases_of(bundle, gw.engine.catalogue))
    planned = await plan(gw.database, files)
    await offer(gw.database, planned, gw.clock[0])


async def sign(town: ConsoleTown, who: str, target: str) -> Any:
    told = {"targets": [target], "parameters": {"function": "directrice des services"}}
    headers = {"Authorization": f"Bearer {TOKENS[who]}"}
    return await town.gw.client.post("/api/v1/acts/release.sign", json=told, headers=headers)


async def test_a_commune_sees_what_is_offered_and_agrees(town: ConsoleTown) -> None:
    await offered(town)
    entries = await town.gw.database.read(releases.entries)
    kept = {one.data["commune"]: one.data["digest"] for one in entries}
    mine, theirs = kept[BRON], kept[VILLEURBANNE]
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        listed = await agent.get("/console/mises-en-service")
        assert mine[:12] in listed.text
        assert theirs[:12] not in listed.text
        page = await agent.get(f"/console/mises-en-service/{BRON}")
        assert "signalement-anomalie" in page.text
        assert "Donner l&#39;accord" in page.text or "Donner l'accord" in page.text
        assert (await agent.get(f"/console/mises-en-service/{VILLEURBANNE}")).status_code == 404
    for target in (f"{VILLEURBANNE}:{theirs[:12]}", f"{BRON}:{theirs[:12]}", f"{BRON}:{mine[:4]}"):
        assert (await sign(town, "bron", target)).status_code == 404
    done = await sign(town, "bron", f"{BRON}:{mine[:12]}")
    assert done.status_code == 200, done.text
    assert (await sign(town, "operator", f"{BRON}:{mine[:12]}")).status_code == 409
    (word,) = (await town.gw.database.read(releases.ledger)).signatures[mine]
    assert (word.by, word.function, word.means) == ("bron", "directrice des services", "console")
    assert [one.kind for one in await town.told()] == ["release.sign"]
