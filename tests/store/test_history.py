"""What GRUs tell is kept once, and moves a request once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.core.delivery import State
from gateway.core.status import Status
from gateway.store import history, lanes, outbox
from gateway.store.engine import Database
from gateway.store.rows import Kept, News, Report
from tests.builders import COMMUNE, GRU, NOW, PORTAL_LANE, new_id
from tests.store.acts import accept, claim, claim_one, mark_erased, settle, trace

SOON = NOW + timedelta(minutes=1)


def news(key: str = "k1", **changes: Any) -> News:
    values: dict[str, Any] = {
        "key": key,
        "gru_reference": "GRU-1",
        "reference": None,
        "status": "pris en charge",
        "message": None,
        "public": True,
        "at": SOON,
        "documents": (),
        "ids": ((new_id("evt"), new_id("dlv")),),
    }
    return News(**(values | changes))


def judge(request: Kept, item: News) -> tuple[Report, ...]:
    """Every status is news but `rien`."""
    if item.status == "rien":
        return ()
    ((event_id, delivery_id),) = item.ids
    return (
        Report(
            *(event_id, delivery_id, request.id, PORTAL_LANE, "gru", item.key, item.at),
            body={"status": "accepted"},
            status=Status.ACCEPTED,
        ),
    )


async def _known_there(store: Database, **changes: Any) -> str:
    taken = await accept(store, **changes)
    assert taken.request is not None
    await settle(store, await claim_one(store), State.DONE, reference="GRU-1")
    return taken.request.id


async def test_a_change_is_reported_once_and_moves_the_request(store: Database) -> None:
    request_id = await _known_there(store)
    cursor = ("poll", "page-2", None)
    for expected in ([PORTAL_LANE], []):
        lanes_hit = await store.write(
            history.take, COMMUNE, GRU, [news()], judge, SOON, cursor=cursor
        )
        assert lanes_hit == expected
    kept = (await trace(store, request_id)).request
    assert (kept.status, kept.status_at, kept.changed_at) == (Status.ACCEPTED, SOON, SOON)
    assert len(await claim(store, lane=PORTAL_LANE, limit=9, now=SOON)) == 1
    moved = await store.read(lanes.cursor, "poll")
    assert moved is not None
    assert moved.value == "page-2"


async def test_a_change_that_is_no_news_is_remembered(store: Database) -> None:
    request_id = await _known_there(store)
    judged: list[str] = []

    def count(request: Kept, item: News) -> tuple[Report, ...]:
        judged.append(item.key)
        return judge(request, item)

    for _ in range(2):
        assert not await store.write(history.take, COMMUNE, GRU, [news(status="rien")], count, SOON)
    assert judged == ["k1"]
    assert [e.kind for e in (await trace(store, request_id)).events] == ["creation", "unreported"]


async def test_later_changes_of_one_batch_see_the_earlier(store: Database) -> None:
    await _known_there(store)
    seen: list[Status] = []

    def look(request: Kept, item: News) -> tuple[Report, ...]:
        seen.append(request.status)
        return judge(request, item)

    batch = [news("k1"), news("k2")]
    await store.write(history.take, COMMUNE, GRU, batch, look, SOON)
    assert seen == [Status.RECEIVED, Status.ACCEPTED]


async def test_changes_of_others_and_of_the_erased_are_passed_over(store: Database) -> None:
    request_id = await _known_there(store)
    strangers = [news("a", gru_reference="GRU-2"), news("b", reference="TDG-0000000000000000")]
    assert await store.write(history.take, COMMUNE, GRU, strangers, judge, SOON) == []
    assert await store.write(history.take, "69123", GRU, [news()], judge, SOON) == []
    assert await store.write(history.take, COMMUNE, "autre", [news()], judge, SOON) == []
    await store.write(mark_erased, request_id)
    assert await store.write(history.take, COMMUNE, GRU, [news()], judge, SOON) == []
    assert len((await trace(store, request_id)).events) == 1


async def test_a_change_may_name_the_request_by_our_reference(store: Database) -> None:
    """The GRU told of it before its answer to the submit was in."""
    taken = await accept(store)
    assert taken.request is not None
    item = news(reference=taken.request.id, gru_reference="GRU-7")
    assert await store.write(history.take, COMMUNE, GRU, [item], judge, SOON) == [PORTAL_LANE]
    assert (await trace(store, taken.request.id)).request.gru_reference == "GRU-7"


async def test_what_is_tracked_is_open_there(store: Database) -> None:
    request_id = await _known_there(store, ref="1")
    await accept(store, ref="2")
    tracked = await store.read(history.tracked, COMMUNE, GRU, 10)
    assert [k.id for k in tracked] == [request_id]
    assert await store.read(history.tracked, "69123", GRU, 10) == []
    assert await store.read(outbox.under_way) == []
