"""Untold changes: bounded per request and per GRU, counted, and never an erased person's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from gateway.core.delivery import State
from gateway.core.errors import Unavailable
from gateway.core.lane_name import GruLane
from gateway.store import history, requests, untold
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE, TARGET
from gateway.store.rows import StoredRequest, Untold, WithheldPart
from gateway.store.tables import REQUEST
from tests.builders import COMMUNE, GRU, NOW, new_id
from tests.store.acts import accept, amend, claim_one, mark_erased, put

TOMORROW = NOW + timedelta(days=1)


async def _request(store: Database) -> StoredRequest:
    accepted = await accept(store)
    assert accepted.request is not None
    found = await store.read(requests.trace, accepted.request.id)
    assert found is not None
    return found.request


async def _keep(store: Database, request: StoredRequest, name: str, **body: Any) -> None:
    withheld = WithheldPart(name, "no_route", body or {"message": name}, person=True)
    await store.write(untold.record, request, withheld, "rules", NOW, NOW, new_id("unt"))


async def _waiting(store: Database, request: StoredRequest) -> dict[str, Untold]:
    return {one.name: one for one in await store.read(untold.of_request, request.id)}


async def test_of_one_request_so_much_is_kept_and_the_newest_is_left_out(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untold, "MOST_OF_ONE", 3)
    request, other = await _request(store), await _request(store)
    for n in range(5):
        await _keep(store, request, f"change:{n}")
        await _keep(store, request, f"change:{n}")  # it repeats itself
    await _keep(store, request, "status")
    await _keep(store, other, "change:0")
    kept = await _waiting(store, request)
    assert set(kept) == {"change:0", "change:1", "change:2", "status", untold.LEFT_OUT}
    row = kept[untold.LEFT_OUT]
    assert (row.reason, row.detail, row.person) == ("too_much_untold", "2 left out", True)
    assert set(await _waiting(store, other)) == {"change:0"}, "each has room of its own"
    (count, _) = (await store.read(untold.waiting_by_lane))[str(GruLane(COMMUNE, GRU))]
    assert count == 6
    memory = await store.read(history.read_memory, request.id, NOW)
    assert memory.is_kept("change:4", "other rules"), "it is not judged at each poll again"
    assert not memory.is_kept("change:5", "rules")
    # Once the others are told there is room again, for what the GRU tells anew.
    await store.write(untold.remove, request.id, ["change:0", "change:1"])
    await store.write(untold.judge_again, row.id)
    assert not (await store.read(history.read_memory, request.id, NOW)).is_kept("change:4", "rules")
    await _keep(store, request, "change:4")
    assert set(await _waiting(store, request)) == {"change:2", "change:4", "status"}


async def test_of_one_request_so_many_characters_are_kept(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untold, "MOST_OF_ONE_SIZE", 1000)
    request = await _request(store)
    for n in range(3):
        await _keep(store, request, f"note:{n}", message="x" * 450)
    await _keep(store, request, "note:1", message="y" * 460)  # in its own place
    assert set(await _waiting(store, request)) == {"note:0", "note:1", untold.LEFT_OUT}


async def test_what_is_left_out_is_counted_up_to_a_bound(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untold, "MOST_OF_ONE", 1)
    monkeypatch.setattr(untold, "MOST_LEFT_OUT", 2)
    request = await _request(store)
    for n in range(5):
        await _keep(store, request, f"change:{n}")
    assert (await _waiting(store, request))[untold.LEFT_OUT].detail == "2 or more left out"


async def test_an_unknown_number_may_be_that_of_a_creation_under_way_there(
    store: Database,
) -> None:
    """Creations at another GRU say nothing of it, nor do later events, nor what has not left."""

    async def in_doubt() -> bool:
        return await store.read(untold.in_doubt, COMMUNE, GRU)

    await accept(store, ref="1")
    assert not await in_doubt(), "nothing has left"
    claimed = await claim_one(store)
    for state, doubtful in (
        (State.SENDING, True),
        (State.UNSURE, True),
        (State.QUESTION, True),
        (State.PARKED, False),
        (State.WAITING, False),
    ):
        await store.write(put, claimed.delivery.id, state)
        assert await in_doubt() is doubtful, state
        for place in (("69123", GRU), (COMMUNE, "autre")):
            assert not await store.read(untold.in_doubt, *place)
    await store.write(put, claimed.delivery.id, State.DONE)
    await amend(store, "1", 1)
    message = await claim_one(store)
    for state in (State.SENDING, State.UNSURE, State.QUESTION):
        await store.write(put, message.delivery.id, state)
        assert not await in_doubt(), "what is under way is no creation"


async def _early(store: Database, number: str, size: int = 1) -> None:
    body = {"message": "x" * size}
    await store.write(untold.record_early, COMMUNE, GRU, number, body, NOW, new_id("unt"))


@pytest.mark.parametrize(
    ("bound", "most", "size"),
    [("MOST_EARLY", 2, 1), ("MOST_EARLY_SIZE", 1000, 450)],
    ids=["calls", "characters"],
)
async def test_early_calls_are_kept_within_bounds(
    store: Database, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, size: int
) -> None:
    monkeypatch.setattr(untold, bound, most)
    await _early(store, "1", size)
    await _early(store, "2", size)
    with pytest.raises(Unavailable):
        await _early(store, "3", size)
    assert await store.read(untold.early_lanes) == [str(GruLane(COMMUNE, GRU))]


def _erased(connection: Connection, request_id: str, delivery_id: str | None) -> None:
    mark_erased(connection, request_id)
    connection.execute(
        insert(ERASURE).values(
            id="ERA-1", run="r", mark="m", source="glc", state="scrubbed", found_at=NOW,
            erased_at=NOW, reason="", requests=1, files=0, told="",
        )
    )  # fmt: skip
    connection.execute(
        insert(TARGET).values(
            erasure_id="ERA-1",
            request_id=request_id,
            commune=COMMUNE,
            gru=GRU,
            delivery_id=delivery_id,
        )
    )


def _number(connection: Connection, request_id: str) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request_id).values(gru_reference="1"))


def _acknowledged(connection: Connection) -> None:
    connection.execute(update(TARGET).values(acknowledged_at=TOMORROW, acknowledged_by="gru"))


async def test_nothing_early_is_kept_that_may_be_about_somebody_erased(store: Database) -> None:
    """The GRU may hold their request by a number that we never learnt: it is to call again."""
    await accept(store)
    claimed = await claim_one(store)
    await store.write(_erased, claimed.request.id, claimed.delivery.id)
    with pytest.raises(Unavailable):
        await _early(store, "77")
    await store.write(_acknowledged)
    await _early(store, "77")


async def test_an_erasure_elsewhere_keeps_no_early_call_away(store: Database) -> None:
    await accept(store)
    claimed = await claim_one(store)
    await store.write(_erased, claimed.request.id, None)  # no GRU can have received it
    await _early(store, "77")
    await store.write(_number, claimed.request.id)
    await _early(store, "78")


async def test_what_is_judged_again_shown_and_forgotten_is_this_gru_s(store: Database) -> None:
    request = await _request(store)
    await _keep(store, request, "status")
    quiet = WithheldPart("note:1", "note_kept_back", {"message": "x"})
    await store.write(untold.record, request, quiet, "rules", NOW, NOW, new_id("unt"))
    await _early(store, "GRU-9")
    ready = [
        [one.untold.name for one in await store.read(untold.ready, *place, rules, 10)]
        for place in ((COMMUNE, GRU), ("69123", GRU), (COMMUNE, "autre"))
        for rules in (["rules"], ["others"])
    ]
    assert ready == [[], ["status", "note:1"], [], [], [], []], "a number is not known yet"
    assert [one.name for one in await store.read(untold.listing)] == ["status"]
    assert await store.read(untold.listing, commune="69123") == ()
    assert await store.read(untold.waiting_by_lane) == {str(GruLane(COMMUNE, GRU)): (1, NOW)}
    for place in (("69123", GRU), (COMMUNE, "autre")):
        await store.write(untold.forget_early, *place, NOW)
    assert await store.read(untold.early_lanes) == [str(GruLane(COMMUNE, GRU))]
    await store.write(untold.forget_early, COMMUNE, GRU, NOW)
    assert await store.read(untold.early_lanes) == []
    assert set(await _waiting(store, request)) == {"status", "note:1"}
