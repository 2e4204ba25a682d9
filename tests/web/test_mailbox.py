"""A commune that fetches: claims, results, leases, order, and what is told of all that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, update

from gateway.core.delivery import Kind, State
from gateway.ops.why import causes_of
from gateway.store import requests
from gateway.store.outbox import enqueuing
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.enqueuing import QueuedDelivery
from gateway.store.rows import Trace
from gateway.store.tables import EVENT, REQUEST
from tests.web.harness import Gateway
from tests.web.pivot_town import OURS, SLUG, THEIRS, filed, pivot_town, token

INSEE, LANE = "69266", "gru:69266:desk"
EVENTS = f"/portal/v1/communes/{INSEE}/teleservices/{SLUG}/requests/{{}}/events"


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with pivot_town(tmp_path, template) as found:
        lanes = found.engine.lanes
        running = asyncio.create_task(lanes.run(["portal:toodego:69266", LANE]))
        yield found
        await lanes.stop(1)
        await running


async def claim(gw: Gateway, **asked: Any) -> dict[str, Any]:
    header = await token(gw, INSEE, THEIRS)
    answer = await gw.client.post("/pivot/v1/mailbox/claim", json=asked, headers=header)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def fetched(gw: Gateway, **asked: Any) -> dict[str, Any]:
    """The one item that there is."""
    (item,) = (await claim(gw, **asked))["items"]
    found: dict[str, Any] = item
    return found


async def settle(gw: Gateway, token: str, result: str = "done", **told: Any) -> str:
    answer = await claim(gw, max=0, settled=[{"token": token, "result": result, **told}])
    (one,) = answer["settled"]
    assert one["token"] == token
    return str(one["outcome"])


async def write(gw: Gateway, ref: str, key: str, text: str) -> None:
    body = {"action": "message", "event": key, "message": text}
    answer = await gw.client.post(gw.signed(EVENTS.format(ref)), json=body)
    assert answer.status_code == 201, answer.text


async def trace(gw: Gateway, reference: str) -> Trace:
    found = await gw.database.read(requests.trace, reference)
    assert found is not None
    return found


async def state(gw: Gateway, reference: str) -> State:
    return (await trace(gw, reference)).deliveries[0].state


async def ended(gw: Gateway, **later: float) -> None:
    """The lease is over, and that has been seen."""
    gw.advance(**later)
    await gw.engine.lanes._reaper._reap()  # noqa: SLF001 - its own look comes seconds later


async def test_what_is_fetched_and_done_is_done_and_the_citizen_is_told(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    answer = await claim(gw)
    (item,) = answer["items"]
    event = item["event"]
    assert (event["type"], event["request"]["reference"]) == ("request.created", reference)
    assert event["recipient"] == {"commune": INSEE, "environment": "production"}
    assert event["request"]["service"]["name"] == "Relations usagers"
    assert (item["attempt"], answer["more"], answer["heartbeat"]["waiting"]) == (1, False, 0)
    assert (await claim(gw))["items"] == [], "it is held until its lease ends"
    assert await settle(gw, item["token"], reference="V-1", link="https://v/1") == "recorded"
    found = await trace(gw, reference)
    assert (found.request.gru_reference, found.request.status.value) == ("V-1", "transmitted")
    assert [(d.kind.value, d.state.value) for d in found.deliveries if d.kind == "submit"] == [
        ("submit", "done")
    ]
    assert [d.kind.value for d in found.deliveries] == ["submit", "report"]
    assert await settle(gw, item["token"], reference="V-1") == "known"
    assert await settle(gw, item["token"], reference="V-2") == "lost"


async def test_one_call_settles_the_last_and_takes_the_next_in_order(gw: Gateway) -> None:
    reference = await filed(gw, INSEE, "7")
    await write(gw, "7", "m1", "Premier")
    await write(gw, "7", "m2", "Second")
    other = await filed(gw, INSEE, "8")
    items = (await claim(gw))["items"]
    assert {one["event"]["request"]["reference"] for one in items} == {reference, other}
    said = []
    while items:
        settled = [{"token": one["token"], "result": "done"} for one in items]
        answer = await claim(gw, settled=settled)
        assert {one["outcome"] for one in answer["settled"]} == {"recorded"}
        items = answer["items"]
        said += [(one["event"]["sequence"], one["event"]["message"]) for one in items]
    assert said == [(2, "Premier"), (3, "Second")]


async def test_a_lease_that_ends_gives_it_back_and_tells_of_it(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    first = await fetched(gw, lease=60)
    await ended(gw, seconds=59)
    assert await state(gw, reference) is State.SENDING
    await ended(gw, seconds=2)
    assert await state(gw, reference) is State.WAITING
    (cause,) = await causes_of(
        gw.database, gw.engine.catalogue, reference, gw.engine.environment.now()
    )
    assert (cause.code, cause.who) == ("retry", "gru")
    assert "no result" in cause.text
    second = await fetched(gw)
    assert second["event"] == first["event"]
    assert second["attempt"] == 2
    assert await settle(gw, first["token"]) == "lost", "somebody else has it now"
    assert await settle(gw, second["token"]) == "recorded"
    attempts = (await trace(gw, reference)).attempts
    (mine,) = [tries for tries in attempts.values() if len(tries) == 2]
    assert [(one.n, one.reason) for one in mine] == [(1, "lease_ended"), (2, "accepted")]


async def test_why_tells_who_has_it_and_until_when(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw)
    (cause,) = await causes_of(
        gw.database, gw.engine.catalogue, reference, gw.engine.environment.now()
    )
    assert (cause.code, cause.who) == ("fetched", "gru")
    assert cause.next_at == datetime.fromisoformat(item["lease_until"])


@pytest.mark.parametrize(
    ("receipt", "then", "reason"),
    [
        ({"outcome": "erased"}, State.DONE, "accepted"),
        ({"outcome": "absent"}, State.DONE, "accepted"),
        ({"outcome": "kept", "ground": "DUA de 10 ans"}, State.DONE, "accepted"),
        ({"outcome": "kept"}, State.PARKED, "kept_by_law"),
    ],
)
async def test_an_erasure_is_fetched_and_its_receipt_kept(
    gw: Gateway, receipt: dict[str, Any], then: State, reason: str
) -> None:
    reference = await filed(gw, INSEE)
    await settle(gw, (await fetched(gw))["token"], reference="V-1")
    (event, *_) = (await trace(gw, reference)).events
    now = gw.engine.environment.now()
    owed = QueuedDelivery("erase-1", reference, event.id, Kind.ERASE, LANE, now, now)
    await gw.database.write(enqueuing.enqueue, [owed])
    item = await fetched(gw)
    told = item["event"]
    assert (told["type"], told["reference"]) == ("request.erased", reference)
    assert told["gru_reference"] == "V-1"
    assert "request" not in told
    assert await settle(gw, item["token"], erasure=receipt) == "recorded"
    (mine,) = [d for d in (await trace(gw, reference)).deliveries if d.kind is Kind.ERASE]
    assert (mine.state, mine.reason) == (then, reason)


async def test_a_late_result_counts_where_nobody_else_has_it(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw, lease=60)
    await ended(gw, minutes=30)
    assert await state(gw, reference) is State.WAITING
    assert await settle(gw, item["token"], reference="V-9") == "recorded"
    assert (await trace(gw, reference)).request.gru_reference == "V-9"
    assert (await claim(gw))["items"] == []


async def test_a_restart_of_ours_takes_nothing_from_a_commune(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw)
    await gw.engine.lanes._reaper.inherit()  # noqa: SLF001 - as a process that starts alone
    assert await state(gw, reference) is State.SENDING
    assert await settle(gw, item["token"]) == "recorded"


@pytest.mark.parametrize(
    ("told", "then"),
    [
        ({"result": "refused", "problems": ["La rue de Zoé est inconnue"]}, State.PARKED),
        ({"result": "later", "after": 120}, State.WAITING),
        ({"result": "release"}, State.WAITING),
    ],
)
async def test_what_is_not_done_waits_for_whom_it_should(
    gw: Gateway, told: dict[str, Any], then: State
) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw)
    assert await settle(gw, item["token"], **told) == "recorded"
    assert await state(gw, reference) is then
    again = (await claim(gw))["items"]
    assert len(again) == (told["result"] == "release")
    if told["result"] == "later":
        gw.advance(seconds=240)
        assert (await fetched(gw))["attempt"] == 2
    if told["result"] == "refused":
        (answer,) = await gw.database.read(requests.answers, reference)
        assert "est inconnue" in answer.answer


@pytest.mark.parametrize("problems", [{}, {"problems": []}, {"problems": [" "]}])
async def test_a_refusal_says_why(gw: Gateway, problems: dict[str, Any]) -> None:
    reference = await filed(gw, INSEE)
    settled = {"token": (await fetched(gw))["token"], "result": "refused", **problems}
    header = await token(gw, INSEE, THEIRS)
    body = {"settled": [settled, {"result": "refus"}]}
    answer = await gw.client.post("/pivot/v1/mailbox/claim", json=body, headers=header)
    assert answer.status_code == 400
    assert [one["pointer"] for one in answer.json()["errors"]] == [
        "/settled/0/problems",
        "/settled/1/token",
        "/settled/1/result",
    ]
    assert "dit pourquoi" in answer.json()["detail"]
    assert await state(gw, reference) is State.SENDING


async def extend(gw: Gateway, token: str, lease: int) -> dict[str, Any]:
    settled = [{"token": token, "result": "extend"}]
    (one,) = (await claim(gw, max=0, lease=lease, settled=settled))["settled"]
    found: dict[str, Any] = one
    return found


async def test_what_is_still_worked_on_is_kept_for_longer(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw, lease=60)
    kept = await extend(gw, item["token"], 600)
    assert kept["outcome"] == "recorded"
    until = datetime.fromisoformat(kept["lease_until"])
    assert until == gw.clock[0] + timedelta(seconds=600)
    await ended(gw, seconds=599)
    assert await state(gw, reference) is State.SENDING
    shorter = await extend(gw, item["token"], 60)
    assert datetime.fromisoformat(shorter["lease_until"]) == gw.clock[0] + timedelta(seconds=60)
    long = await extend(gw, item["token"], 3600)
    assert await extend(gw, item["token"], 60) == long, "it never makes a lease shorter"
    await ended(gw, seconds=3601)
    assert await state(gw, reference) is State.WAITING
    late = await extend(gw, item["token"], 60)
    assert (late["outcome"], await state(gw, reference)) == ("recorded", State.SENDING)
    assert await settle(gw, item["token"], reference="V-1") == "recorded"
    over = await extend(gw, item["token"], 60)
    assert (over["outcome"], over["lease_until"]) == ("lost", None)


async def test_nothing_is_kept_for_more_than_half_a_day_nor_from_somebody_else(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    item = await fetched(gw, lease=3600)
    fetched_at = gw.clock[0]
    for _ in range(12):
        gw.advance(minutes=59)
        kept = await extend(gw, item["token"], 3600)
    assert datetime.fromisoformat(kept["lease_until"]) == fetched_at + timedelta(hours=12)
    await ended(gw, minutes=13)
    assert await state(gw, reference) is State.WAITING
    assert (await extend(gw, item["token"], 3600))["outcome"] == "lost"
    again = await fetched(gw)
    assert (await extend(gw, item["token"], 3600))["outcome"] == "lost"
    assert (await extend(gw, "x.1", 3600))["outcome"] == "lost"
    assert await settle(gw, again["token"]) == "recorded"


async def test_how_long_it_was_kept_is_not_what_its_token_says(gw: Gateway) -> None:
    """The holder of a token may write what it likes: ours says when it was fetched."""
    reference = await filed(gw, INSEE)
    item = await fetched(gw, lease=3600)
    until = gw.clock[0] + timedelta(hours=12)
    gw.advance(minutes=50)
    named, fence = item["token"].split(".")
    later = int((gw.clock[0] + timedelta(days=300)).timestamp())
    for made_up in (f"{named}.{fence}.{later}", f"{named}.{fence}.x", f"{named}.0{fence}"):
        for _ in range(11):
            gw.advance(minutes=10)
            kept = await extend(gw, made_up, 3600)
            assert kept["outcome"] == "recorded"
    for _ in range(8):
        gw.advance(minutes=40)
        kept = await extend(gw, item["token"] + ".9999999999", 3600)
    assert datetime.fromisoformat(kept["lease_until"]) == until
    assert (await trace(gw, reference)).deliveries[0].lease_until == until
    for fence in ("0", "2", "-1", "9999999999"):
        assert (await extend(gw, f"{named}.{fence}", 3600))["outcome"] == "lost"


async def test_what_was_never_fetched_is_not_settled_by_a_token_that_is_made_up(
    gw: Gateway,
) -> None:
    reference = await filed(gw, INSEE)
    (owed,) = (await trace(gw, reference)).deliveries
    for made_up in (f"{owed.id}.0", f"{owed.id}.0.1"):
        assert await settle(gw, made_up, reference="V-1") == "lost"
        assert (await extend(gw, made_up, 3600))["outcome"] == "lost"
    assert await state(gw, reference) is State.WAITING


async def test_what_is_to_be_forgotten_is_not_kept_for_longer(gw: Gateway) -> None:
    await filed(gw, INSEE)
    item = await fetched(gw, lease=60)
    await gw.database.write(erase_now, gw.engine.environment.now())
    assert (await extend(gw, item["token"], 3600))["outcome"] == "lost"


async def test_a_call_waits_until_there_is_something(gw: Gateway) -> None:
    waiting = asyncio.create_task(claim(gw, wait=25))
    bells = gw.engine.lanes.bells
    while not bells.get(LANE):  # noqa: ASYNC110 (a call that waits has no event)
        await asyncio.sleep(0)
    reference = await filed(gw, INSEE)
    (item,) = (await waiting)["items"]
    assert item["event"]["request"]["reference"] == reference
    assert bells[LANE] == set()


async def test_no_more_than_a_few_calls_wait(gw: Gateway) -> None:
    waiting = [asyncio.create_task(claim(gw, wait=25)) for _ in range(4)]
    while len(gw.engine.lanes.bells.get(LANE, ())) < 4:  # noqa: ASYNC110 (nor have these)
        await asyncio.sleep(0)
    assert (await claim(gw, wait=25))["items"] == []
    await gw.engine.lanes.stop(1)
    assert [(await one)["items"] for one in waiting] == [[], [], [], []]


async def test_a_paused_lane_gives_nothing(gw: Gateway) -> None:
    await filed(gw, INSEE)
    await gw.database.write(memory.pause, LANE, True)
    await gw.engine.lanes.supervisor.refresh()
    answer = await claim(gw)
    assert (answer["items"], answer["heartbeat"]["waiting"]) == ([], 1)


async def test_who_is_pushed_to_has_no_mailbox(gw: Gateway) -> None:
    header = await token(gw)
    answer = await gw.client.post("/pivot/v1/mailbox/claim", json={}, headers=header)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:toodego-gru:pivot:no_mailbox",
    )


@pytest.mark.parametrize(
    "wrong", [{"lease": 59}, {"lease": 3601}, {"max": 101}, {"wait": 26}, {"settled": [{}]}]
)
async def test_a_claim_is_bounded(gw: Gateway, wrong: dict[str, Any]) -> None:
    header = await token(gw, INSEE, THEIRS)
    answer = await gw.client.post("/pivot/v1/mailbox/claim", json=wrong, headers=header)
    assert answer.status_code == 400


@pytest.mark.parametrize("name", ["", "x", "é.1.1", "x.1", "x.²1.1", "x.99999999999.1", "x.1.1"])
async def test_a_token_that_is_none_settles_nothing(gw: Gateway, name: str) -> None:
    if name:
        assert await settle(gw, name) == "lost"


async def test_what_is_not_fetched_for_days_is_told(gw: Gateway) -> None:
    reference = await filed(gw, INSEE)
    told = []
    for days, level in ((2, None), (1, "warning"), (6, "error")):
        gw.advance(days=days)
        with structlog.testing.capture_logs() as logs:
            await gw.engine.mailbox.warn()
        told.append([one["log_level"] for one in logs])
        health = (await gw.client.get("/ops/health")).json()
        lane = health["lanes"][LANE]
        assert (lane["reason"] == "not_fetched") is (level is not None)
        (cause,) = await causes_of(
            gw.database, gw.engine.catalogue, reference, gw.engine.environment.now()
        )
        assert (cause.code, cause.who) == (
            "to_fetch" if level is None else "not_fetched",
            "gru",
        )
    assert told == [[], ["warning"], ["error"]]
    await fetched(gw)
    assert await gw.engine.mailbox.late() == {}


# --- the feed -------------------------------------------------------------------------------------


async def events(gw: Gateway, insee: str = INSEE, **query: Any) -> dict[str, Any]:
    header = await token(gw, insee, THEIRS if insee == INSEE else OURS)
    answer = await gw.client.get("/pivot/v1/events", params=query, headers=header)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_feed_tells_all_again_in_order_and_consumes_nothing(gw: Gateway) -> None:
    reference = await filed(gw, INSEE, "7")
    await write(gw, "7", "m1", "Premier")
    other = await filed(gw, INSEE, "8")
    item = (await claim(gw))["items"][0]
    await settle(gw, item["token"])
    for _ in range(2):
        page = await events(gw)
        assert [(one["seq"], one["reference"]) for one in page["items"]] == [
            (1, reference),
            (2, reference),
            (3, other),
        ]
        assert (page["more"], page["last_seq"]) == (False, 3)
    taken = {one["event"]["id"]: one["taken"] for one in page["items"]}
    assert taken.pop(item["event"]["id"])
    assert not any(taken.values())
    first = await events(gw, limit=1)
    assert (len(first["items"]), first["more"]) == (1, True)
    assert (await events(gw, after=1, limit=1))["items"] == page["items"][1:2]
    assert (await events(gw, after=3))["items"] == []
    assert (await claim(gw, max=0))["heartbeat"]["last_seq"] == 3
    assert page["items"][1]["event"]["message"] == "Premier"


async def test_who_is_pushed_to_has_a_feed_of_its_own(gw: Gateway) -> None:
    await filed(gw, INSEE, "7")
    ours = await filed(gw, "69029", "9")
    page = await events(gw, "69029")
    assert [(one["seq"], one["reference"]) for one in page["items"]] == [(1, ours)]


async def test_an_erased_request_keeps_its_number_and_nothing_else(gw: Gateway) -> None:
    reference = await filed(gw, INSEE, "7", user={"name": "Zoé", "uuid": "a" * 32})
    await gw.database.write(erase_now, gw.engine.environment.now())
    page = await events(gw)
    (one,) = page["items"]
    assert (one["seq"], one["reference"], one["erased"], one["event"]) == (1, reference, True, None)


def erase_now(connection: Connection, now: datetime) -> None:
    connection.execute(update(REQUEST).values(erased_at=now))
    connection.execute(update(EVENT).values(body=None))


@pytest.mark.parametrize(
    "query",
    [
        {"after": "-1"},
        {"after": "²"},
        {"limit": "101"},
        {"limit": "0"},
        {"limit": "x"},
        {"after": ""},
    ],
)
async def test_a_page_is_bounded(gw: Gateway, query: dict[str, str]) -> None:
    header = await token(gw, INSEE, THEIRS)
    answer = await gw.client.get("/pivot/v1/events", params=query, headers=header)
    assert (answer.status_code, answer.json()["type"]) == (
        400,
        "urn:toodego-gru:pivot:invalid_query",
    )
