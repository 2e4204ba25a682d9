"""A commune's key proves the commune; that a formdata is that commune's, the portal alone says."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import Kind, State
from gateway.core.errors import Rejected, Unavailable
from gateway.core.ids import displaced_ref
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store import requests
from gateway.store.rows import Acceptance, Reception
from gateway.store.tables import REQUEST
from gateway.wire.formdata import parse_formdata
from tests.flow.rig import BRON, GRU_B, SLUG, VILLEURBANNE, Rig, request_id
from tests.flow.test_files import PNG, with_files
from tests.intake import take_in


async def by_key(rig: Rig, item: SimulatedFormdata, commune: str, **fields: Any) -> Acceptance:
    """A push with the commune's own key, of whatever its holder writes."""
    body = rig.formdata(item)
    body = dataclasses.replace(body, fields={**body.fields, **fields})
    return await take_in(rig.engine, "toodego", commune, SLUG, body, vouched=False)


async def test_a_formdata_named_first_by_another_communes_key_is_taken(rig: Rig) -> None:
    """Seen: the true push was a 409 for ever."""
    async with rig.gateway(run=False):
        item = rig.submit(VILLEURBANNE)
        false = await by_key(rig, item, BRON, description="inventé")
        true = await by_key(rig, item, VILLEURBANNE)
        assert (false.reception, true.reception) == (Reception.NEW, Reception.NEW)
        assert (await by_key(rig, item, VILLEURBANNE)).reception is Reception.SAME
        rig.start()
        await rig.rest(request_id(true))
        parked = await rig.failed(request_id(false), "no_address", Kind.REPORT)
        assert parked.state is State.PARKED
    assert len(rig.grus[GRU_B].tickets) == 1
    told = rig.told(item)
    assert len(told) == 1, "what Bron's GRU says of it reaches nobody"
    ours = rig.grus[GRU_B].by_external_id(request_id(true))[0]
    assert told[0]["reference"] == ours.id


async def test_no_number_that_is_prepared_keeps_the_true_one_out(rig: Rig) -> None:
    """Seen: who had pushed `300~69029` and then 300 with Bron's key made Villeurbanne's true push a
    500 for ever."""
    async with rig.gateway(run=False) as engine:
        item = rig.submit(VILLEURBANNE)
        for prepared in (displaced_ref(item.id, BRON), "TDG-0123456789ABCDEF"):
            body = dataclasses.replace(rig.formdata(item), ref=prepared, api_url=None)
            for vouched in (False, True):
                with pytest.raises(Rejected) as refused:
                    await take_in(engine, "toodego", BRON, SLUG, body, vouched=vouched)
                assert (refused.value.status, refused.value.code) == (400, "bad_id")
        earlier = request_id(await by_key(rig, rig.submit(), BRON))
        await engine.store.write(_has_prepared, earlier, displaced_ref(item.id, BRON))
        false = request_id(await by_key(rig, item, BRON, description="inventé"))
        true = await by_key(rig, item, VILLEURBANNE)
        assert true.reception is Reception.NEW
        refs = {one.id: one.ref for one in await engine.store.read(requests.listing)}
    assert (refs[request_id(true)], refs[false]) == (item.id, displaced_ref(item.id, false))


def _has_prepared(connection: Connection, request: str, ref: str) -> None:
    """Store a false reference, as an earlier version did."""
    connection.execute(update(REQUEST).where(REQUEST.c.id == request).values(ref=ref))


async def test_nothing_of_a_false_claim_reaches_the_portal(rig: Rig) -> None:
    """It does not matter whether the formdata's own commune is ever pushed to."""
    async with rig.gateway():
        item = rig.submit(VILLEURBANNE)
        request = request_id(await by_key(rig, item, BRON))
        report = await rig.failed(request, "not_its_commune", Kind.REPORT)
        assert report.state is State.PARKED
    assert rig.told(item) == []
    assert {method for method, _ in rig.lines["portal:toodego"].calls} == {"GET"}


async def test_a_communes_own_formdata_is_vouched_for_once(rig: Rig) -> None:
    async with rig.gateway():
        item = rig.submit()
        request = request_id(await by_key(rig, item, BRON))
        await rig.rest(request)
        kept = (await rig.trace(request)).request
        assert kept.vouched
        reads = rig.lines["portal:toodego"].count("GET")
        assert reads == 1
        rig.gru.advance(rig.ticket(request).id, "planned")
        await rig.engine.changes.poll(rig.gru_config)
        await rig.until(lambda: len(rig.told(item)) == 2)
        assert rig.lines["portal:toodego"].count("GET") == reads


async def test_what_the_citizen_changed_since_takes_nothing_away(rig: Rig) -> None:
    """It was Bron's when it came; neither its reports nor its place go to the new commune."""
    async with rig.gateway(run=False):
        item = rig.submit()
        request = request_id(await by_key(rig, item, BRON))
        rig.advance(60)
        rig.adds(item, "just_submitted", commune_raw=VILLEURBANNE)
        other = await by_key(rig, item, VILLEURBANNE)
        assert other.reception in (Reception.SAME, Reception.CONFLICT)
        assert other.request is not None
        assert (other.request.id, other.request.commune) == (request, BRON)
        rig.start()
        await rig.rest(request)
    assert len(rig.told(item)) == 1


async def test_what_names_anothers_formdata_is_as_if_nobody_had_named_it(rig: Rig) -> None:
    """Seen: a 409 told a commune's key that the number was another's. It reaches nobody but the
    GRU of the commune whose key it was."""
    async with rig.gateway(run=False):
        item = rig.submit()
        first = await rig.push(item)
        other = await by_key(rig, item, VILLEURBANNE)
        assert (other.reception, other.request is not None) == (Reception.NEW, True)
        assert (await by_key(rig, item, VILLEURBANNE)).reception is Reception.SAME
        changed = await by_key(rig, item, VILLEURBANNE, description="autre")
        assert changed.reception is Reception.CONFLICT
        assert {request_id(one) for one in (first, other, changed)} == {
            request_id(first),
            request_id(other),
        }
        rig.start()
        await rig.rest(request_id(first))
        await rig.failed(request_id(other), "no_address", Kind.REPORT)
        assert (await rig.trace(request_id(first))).request.commune == BRON
        assert (await rig.push(item)).reception is Reception.SAME
    assert len(rig.told(item)) == 1, "what the other's GRU says of it reaches nobody"


async def test_a_portal_that_cannot_say_whose_it_is_is_waited_for(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = rig.submit()
        await rig.push(item)
        rig.portal.faults.fail(503, when=FaultCondition(method="GET"))
        with pytest.raises(Unavailable):
            await by_key(rig, item, VILLEURBANNE)


async def test_a_portal_that_cannot_say_is_asked_again(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = rig.submit(VILLEURBANNE)
        await by_key(rig, item, BRON, description="inventé")
        rig.portal.faults.fail(503, when=FaultCondition(method="GET", first=1))
        with pytest.raises(Unavailable):
            await by_key(rig, item, VILLEURBANNE)
        assert (await by_key(rig, item, VILLEURBANNE)).reception is Reception.NEW


async def test_reconcile_takes_what_a_false_claim_stood_for(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        rig.advance(3600)
        item = rig.submit(VILLEURBANNE)
        await by_key(rig, item, BRON, description="inventé")
        rig.advance(3600)
        teleservice = engine.catalogue.portals["toodego"].teleservices[SLUG]
        assert await engine.reconciler.reconcile("toodego", teleservice) == 1
        found = await engine.store.read(requests.listing)
        by_commune = {one.commune: one for one in found}
        assert by_commune[VILLEURBANNE].ref == item.id
        assert by_commune[VILLEURBANNE].vouched
        assert by_commune[BRON].api_url is None


async def test_another_communes_document_is_not_fetched(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        pushed = item.document(rig.portal.base_url, push=True, files=False)
        body = parse_formdata(
            json.dumps(pushed).encode(), "application/json", limits=DEFAULT_LIMITS
        )
        with pytest.raises(Rejected) as refusal:
            await take_in(rig.engine, "toodego", VILLEURBANNE, SLUG, body, vouched=False)
        assert (refusal.value.status, refusal.value.code) == (403, "other_commune")
        assert not any("download" in path for _, path in rig.lines["portal:toodego"].calls)
        taken = await take_in(rig.engine, "toodego", BRON, SLUG, body, vouched=False)
        assert taken.request is not None
        assert taken.request.vouched
