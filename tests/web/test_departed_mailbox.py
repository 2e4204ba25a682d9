"""A commune leaves that fetches what it is owed, while it holds some of it on a lease."""

from __future__ import annotations

from datetime import timedelta

from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import Kind, State
from gateway.flow import decommission
from gateway.flow.decommission import AGAIN
from gateway.store import cursors, decommissions, departed
from gateway.store.decommissions import Decommission
from tests.builders import leaving
from tests.web import test_mailbox
from tests.web.harness import Gateway
from tests.web.pivot_town import THEIRS, filed, tell, token
from tests.web.test_mailbox import INSEE, claim, ended, fetched, settle, state, trace

gw = test_mailbox.gw
_LAST = "ne passe plus par ce service"


async def leave(gw: Gateway) -> None:
    now = gw.clock[0]
    order = leaving(commune=INSEE, name="Villeurbanne", announced_at=now, stop_at=now, drain=0)
    await decommission.announce(gw.database, order)


async def look(gw: Gateway, seconds: float = 11) -> DecommissionStep:
    """Let time pass, and have the gateway look once; the step then."""
    gw.advance(seconds=seconds)
    await gw.engine.follow_departures(1)
    await gw.engine.decommissioner.advance()
    await gw.engine.follow_departures(1)
    return (await known(gw)).step


async def known(gw: Gateway) -> Decommission:
    one = await gw.database.read(decommissions.current, INSEE)
    assert one is not None
    return one


async def last_word(gw: Gateway, reference: str) -> str:
    bodies = (await trace(gw, reference)).events
    texts = [str(event) for event in bodies if event.key == "decommissioned"]
    assert len(texts) == 1
    return texts[0]


async def test_what_it_holds_may_be_settled_and_nothing_else_is_given_or_taken(
    gw: Gateway,
) -> None:
    held, other = await filed(gw, INSEE, "7"), await filed(gw, INSEE, "8")
    item = await fetched(gw, max=1, lease=600)
    header = await token(gw, INSEE, THEIRS)
    await leave(gw)
    assert await look(gw) is DecommissionStep.DRAINING
    assert await look(gw) is DecommissionStep.TELLING
    await gw.engine.lanes.registry.recall()
    assert (await claim(gw))["items"] == [], "nothing is given any more"
    refused = await tell(gw, held, {"key": "k", "status": "clos"}, header)
    assert (refused.status_code, refused.json()["type"]) == (
        410,
        "urn:toodego-gru:pivot:commune_left",
    )
    assert (refused.json()["retry"], refused.json()["fault"]) == ("never", "nobody")
    assert await state(gw, other) is State.DISCARDED
    assert await state(gw, held) is State.SENDING, "it waits for who holds it"
    assert await settle(gw, item["token"], reference="V-1") == "recorded"
    assert await look(gw) is DecommissionStep.TELLING
    for reference in (held, other):
        kinds = [one.kind for one in (await trace(gw, reference)).deliveries]
        assert kinds[-1] is Kind.REPORT, "the portal is owed the last word"
    gw.advance(seconds=3600)
    for _ in range(4):
        if await look(gw) is DecommissionStep.ENDED:
            break
    one = await known(gw)
    assert one.step is DecommissionStep.ENDED
    assert (one.counts["to_tell"], one.counts["rows"]) == (2, 0)
    rows = await gw.database.read(departed.rows_left, INSEE)
    assert set(rows.values()) == {0}
    # Its token, and its secret, are told once for all.
    answer = await gw.client.post("/pivot/v1/mailbox/claim", json={}, headers=header)
    assert (answer.status_code, answer.json()["retry"]) == (410, "never")
    form = {"grant_type": "client_credentials", "client_id": f"{INSEE}.desk"}
    answer = await gw.client.post("/pivot/v1/token", data=form | {"client_secret": THEIRS})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_lease_that_nobody_settles_ends_and_the_citizen_is_told_so(gw: Gateway) -> None:
    held = await filed(gw, INSEE, "7")
    item = await fetched(gw, lease=300)
    await leave(gw)
    assert await look(gw) is DecommissionStep.DRAINING
    for _ in range(3):
        assert await look(gw) is DecommissionStep.TELLING
    assert await state(gw, held) is State.SENDING
    await ended(gw, seconds=301)
    assert await look(gw) is DecommissionStep.TELLING
    assert await state(gw, held) is State.DISCARDED
    assert await settle(gw, item["token"], reference="V-1") == "lost", "it came too late"
    found = await trace(gw, held)
    assert (found.request.gru_reference, found.request.status.value) != ("V-1", "transmitted")
    gw.advance(seconds=3600 + AGAIN)
    for _ in range(4):
        if await look(gw) is DecommissionStep.ENDED:
            break
    assert (await known(gw)).counts["rows"] == 0


async def test_who_extends_its_lease_for_ever_keeps_nobody(gw: Gateway) -> None:
    held = await filed(gw, INSEE, "7")
    item = await fetched(gw, lease=3600)
    await leave(gw)
    assert await look(gw) is DecommissionStep.DRAINING
    assert await look(gw) is DecommissionStep.TELLING
    hours = 0  # of fifty minutes
    while await state(gw, held) is State.SENDING:
        hours += 1
        assert hours < 16, "half a day at most"
        gw.clock[0] += timedelta(minutes=50)
        await claim(gw, max=0, lease=3600, settled=[{"token": item["token"], "result": "extend"}])
        await ended(gw)
        await gw.engine.decommissioner.advance()
        if hours == 3:  # past the hour to tell the portal
            wait = await gw.database.read(cursors.get, decommissions.waiting_name(INSEE))
            assert wait is not None
            assert wait.failure == "decommission_waits"
            assert wait.value == '{"under_way": 1, "reports": 1}'
    assert await look(gw) is not DecommissionStep.DRAINING
