"""Calls for a commune that leaves, or has left: refused clearly, counted, nothing of them kept."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from gateway.core.decommission import DecommissionStep
from gateway.store import decommissions
from gateway.store.tables import EVENT, PASSED_OVER, REQUEST
from tests.builders import leaving
from tests.web.harness import Gateway, requests_path, small
from tests.web.test_senders import kept, refused

SLUG = "signalement-anomalie"
ANY = requests_path(None, SLUG)
WEBHOOK = "/gru/v1/communes/69029/webhooks/main"


async def leaves(gw: Gateway, until: DecommissionStep) -> None:
    """Have Bron leave, as far as this step."""
    now = gw.clock[0]
    order = leaving(id=f"DEC-{until.value}", announced_at=now, stop_at=now)
    await gw.database.write(decommissions.announce, order)
    for step in list(DecommissionStep)[1:]:
        one = await gw.database.read(decommissions.current, "69029")
        assert one is not None
        await gw.database.write(decommissions.advance, one, step, now)
        if step is until:
            break
    await gw.engine.follow_departures(1)


def counted(gw: Gateway, kind: str) -> float:
    found = gw.app.state.web.metrics.registry.get_sample_value(
        "gru_gateway_departed_refused_total", {"kind": kind}
    )
    return found or 0.0


async def test_a_push_is_refused_whoever_signs_it_and_nothing_is_kept(gw: Gateway) -> None:
    taken = await gw.push(small())
    assert taken.status_code == 201
    before = await kept(gw)
    await leaves(gw, DecommissionStep.DRAINING)
    first = await gw.push(small("8"))
    refused(first, 410, "commune_left")
    told = first.json()
    assert "err" not in told, "w.c.s. would read it before the status"
    assert told["err_class"] == "N'existe plus"
    assert "Bron n'est plus raccordée à la passerelle depuis le" in told["err_desc"]
    assert "réessayer n'y changera rien" in told["err_desc"]
    refused(await gw.push(small("8"), key="sesame-bron", orig=None), 410, "commune_left")
    # Nothing of it is read, also without a proof.
    path = requests_path("69029", "signalement-anomalie")
    refused(await gw.client.post(path, content=b"{"), 410, "commune_left")
    refused(await gw.push(small("8"), ANY), 410, "commune_left")
    refused(await gw.push({"extra": {}}, f"{path}/7/events"), 410, "commune_left")
    refused(
        await gw.push({"extra": {"action": "message", "message": "?"}}, f"{ANY}/7/events"),
        410,
        "commune_left",
    )
    assert await kept(gw) == before
    assert await gw.database.read(_rows, PASSED_OVER) == 0
    assert (counted(gw, "push"), counted(gw, "event")) == (4, 2)
    # A workflow that asks is still answered, and so is every other commune.
    assert (await gw.get(f"{path}/7")).status_code == 200
    other = small("9")
    other["fields"]["commune_raw"] = "69266"
    elsewhere = requests_path("69266", "signalement-anomalie")
    assert (await gw.push(other, elsewhere)).status_code == 201


async def test_once_it_is_gone_its_keys_webhooks_and_links_prove_nothing(gw: Gateway) -> None:
    call = json.dumps({"key": "1", "reference": "TDG-0000000000000000", "status": "clos"})
    hook = {"X-Token": "sesame-gru"}
    await leaves(gw, DecommissionStep.DRAINING)
    answer = await gw.client.post(WEBHOOK, content=call, headers=hook)
    assert answer.status_code != 410, "what the GRU says still reaches the citizen"
    await gw.database.write(_cancel, gw)
    await leaves(gw, DecommissionStep.TELLING)
    answer = await gw.client.post(WEBHOOK, content=call, headers=hook)
    assert (answer.status_code, answer.json()["code"]) == (410, "commune_left")
    assert counted(gw, "webhook") == 1
    assert "69029" in gw.engine.catalogue.communes, "its reports still need its mapping"
    one = await gw.database.read(decommissions.current, "69029")
    assert one is not None
    await gw.database.write(
        decommissions.advance, one, DecommissionStep.ERASING, gw.clock[0] + timedelta(seconds=1)
    )
    assert await gw.engine.follow_departures(1) == ["69029"]
    assert "69029" not in gw.engine.catalogue.communes
    assert not [name for name in gw.engine.adapters if ":69029:" in name]
    assert gw.engine.catalogue.keys_for(None, None, "69029") == []
    path = requests_path("69029", "signalement-anomalie")
    refused(await gw.get(f"{path}/7"), 410, "commune_left")
    refused(await gw.push(small()), 410, "commune_left")
    refused(await gw.push(small(), ANY), 410, "commune_left")
    assert await gw.database.read(_rows, REQUEST) == 0
    assert await gw.database.read(_rows, EVENT) == 0


LYON = ("69123", "Lyon", "autre")
THEIRS = {"key": "sesame-other", "orig": "autre.exemple.invalid"}


async def test_all_the_codes_of_a_commune_have_left_with_it(gw: Gateway) -> None:
    """Lyon is called by its arrondissements' codes: none of them is an unknown commune now."""
    for code in ("69123", "69381"):
        taken = await gw.push(filled_in(code, code), requests_path(code, SLUG), **THEIRS)
        assert taken.status_code == 201
    insee, name, portal = LYON
    now = gw.clock[0]
    order = leaving(commune=insee, name=name, portal=portal, announced_at=now, stop_at=now)
    await gw.database.write(decommissions.announce, order)
    await gw.engine.decommissioner.advance()
    for step in ("DRAINING", "ENDED"):
        one = await gw.database.read(decommissions.current, insee)
        assert one is not None
        assert one.codes == ("69381", "69383", "69389"), "as they were when it closed"
        if step == "ENDED":
            for further in ("TELLING", "ERASING", "ENDED"):
                await gw.database.write(
                    decommissions.advance, one, DecommissionStep[further], gw.clock[0]
                )
                one = await gw.database.read(decommissions.current, insee)
                assert one is not None
        await gw.engine.follow_departures(1)
        for code in (insee, "69381", "69389"):
            path = requests_path(code, SLUG)
            for where in (path, ANY):
                refused(await gw.push(filled_in(code), where, **THEIRS), 410, "commune_left")
            refused(await gw.push({"extra": {}}, f"{path}/7/events", **THEIRS), 410, "commune_left")
        assert await gw.database.read(_rows, PASSED_OVER) == 0, "nobody is to look after it"
    refused(await gw.get(f"{requests_path('69381', SLUG)}/7", **THEIRS), 410, "commune_left")
    assert "69123" not in gw.engine.catalogue.communes


async def test_a_code_belongs_to_whom_it_serves_now(gw: Gateway) -> None:
    """Bron leaves and becomes part of Villeurbanne, which has its code from then on."""
    await leaves(gw, DecommissionStep.ENDED)
    refused(await gw.push(small()), 410, "commune_left")
    served = gw.engine.catalogue
    one = served.communes["69266"]
    one = dataclasses.replace(one, codes=frozenset({"69029"}))
    following = dataclasses.replace(served, communes={**served.communes, "69266": one})
    await gw.engine.follow(following, 1)
    taken = await gw.push(small())
    assert taken.status_code == 201, taken.text
    assert (await gw.push(small(), ANY)).status_code == 200
    assert (
        await gw.database.read(lambda c: c.execute(select(REQUEST.c.commune)).scalar()) == "69266"
    )


def filled_in(code: str, ref: str = "7") -> dict[str, Any]:
    return small(ref, fields={"commune_raw": code, "description": "Un nid de poule"})


def _cancel(connection: object, gw: Gateway) -> None:
    decommissions.cancel(connection, "69029", "A. Agent", gw.clock[0])  # type: ignore[arg-type]


def _rows(connection: object, table: object) -> int:
    counted = select(func.count()).select_from(table)  # type: ignore[arg-type]
    return int(connection.execute(counted).scalar_one())  # type: ignore[attr-defined]
