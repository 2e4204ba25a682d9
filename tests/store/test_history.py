"""A GRU's change is stored once, and moves a request once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, update

from gateway.core.delivery import State
from gateway.core.status import Status
from gateway.store import asking, cursors, history, untold
from gateway.store.engine import Database
from gateway.store.history import ConcernedRequest, RequestHistory
from gateway.store.outbox import leases
from gateway.store.outbox.rows import NewReport
from gateway.store.rows import ChangeEffects, IncomingChange, StoredRequest
from gateway.store.tables import REQUEST
from tests.builders import COMMUNE, GRU, NOW, PORTAL_LANE, new_id
from tests.store.acts import accept, claim, claim_one, mark_erased, settle, trace

SOON = NOW + timedelta(minutes=1)


def news(key: str = "k1", **changes: Any) -> IncomingChange:
    values: dict[str, Any] = {
        "key": key,
        "gru_reference": "GRU-1",
        "reference": None,
        "status": "pris en charge",
        "message": None,
        "public": True,
        "at": SOON,
    }
    return IncomingChange(**(values | changes))


def report(request: StoredRequest, item: IncomingChange) -> NewReport:
    return NewReport(
        *(new_id("evt"), new_id("dlv"), request.id, PORTAL_LANE, "gru", new_id("key"), item.at),
        body={"status": "accepted"},
        status=Status.ACCEPTED,
    )


def judge(known: ConcernedRequest, item: IncomingChange, memory: RequestHistory) -> ChangeEffects:
    """Every status is news once, but `rien`."""
    if item.key is None or item.key in memory.heard:
        return ChangeEffects()
    names = (item.key,)
    if item.status == "rien":
        return ChangeEffects(names=names)
    return ChangeEffects((report(known.request, item),), names, "pris", item.at)


async def take(
    store: Database, items: list[IncomingChange], how: history.Judge = judge, **more: Any
) -> Any:
    return await store.write(history.apply_changes, COMMUNE, GRU, items, how, SOON, new_id, **more)


async def _known_there(store: Database, **changes: Any) -> str:
    taken = await accept(store, **changes)
    assert taken.request is not None
    await settle(store, await claim_one(store), State.DONE, reference="GRU-1")
    return taken.request.id


async def test_a_change_is_reported_once_and_moves_the_request(store: Database) -> None:
    request_id = await _known_there(store)
    for expected in ([PORTAL_LANE], []):
        assert await take(store, [news()], read=history.PollProgress("poll", "page-2")) == expected
    kept = (await trace(store, request_id)).request
    assert (kept.status, kept.status_at, kept.changed_at) == (Status.ACCEPTED, SOON, SOON)
    assert len(await claim(store, lane=PORTAL_LANE, limit=9, now=SOON)) == 1
    moved = await store.read(cursors.get, "poll")
    assert moved is not None
    assert moved.value == "page-2"


async def test_a_change_that_is_no_news_is_remembered(store: Database) -> None:
    await _known_there(store)
    heard: list[set[str]] = []

    def look(
        known: ConcernedRequest, item: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        heard.append(set(memory.heard))
        return judge(known, item, memory)

    for _ in range(2):
        assert not await take(store, [news(status="rien")], look)
    assert heard == [set(), {"k1"}]


async def test_later_changes_of_one_batch_see_the_earlier(store: Database) -> None:
    await _known_there(store)
    seen: list[tuple[Status, str | None]] = []

    def look(
        known: ConcernedRequest, item: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        seen.append((known.standing.status, known.standing.word))
        return judge(known, item, memory)

    await take(store, [news("k1"), news("k2")], look)
    assert seen == [(Status.RECEIVED, None), (Status.ACCEPTED, "pris")]


async def test_sifting_leaves_out_what_is_no_news_but_not_what_follows_news(
    store: Database,
) -> None:
    await _known_there(store)
    await take(store, [news("k1")])
    batch = [news("k1"), news("k2"), news("k1"), news("k9", gru_reference="GRU-99")]
    sifted = await store.read(history.sift, COMMUNE, GRU, batch, judge, SOON)
    assert [n.key for n in sifted.news] == ["k2", "k1", "k9"], "a stranger may be ours in a moment"
    other = await store.read(history.sift, COMMUNE, GRU, [news("k1")], judge, SOON)
    assert other.news == []


async def test_changes_of_others_and_of_the_erased_are_passed_over(store: Database) -> None:
    request_id = await _known_there(store)
    strangers = [news("a", gru_reference="GRU-2"), news("b", reference="TDG-0000000000000000")]
    assert await take(store, strangers) == []
    for place in (("69123", GRU), (COMMUNE, "autre")):
        assert await store.write(history.apply_changes, *place, [news()], judge, SOON, new_id) == []
    await store.write(mark_erased, request_id)
    assert await take(store, [news()]) == []
    assert len((await trace(store, request_id)).events) == 1


async def test_a_change_may_name_the_request_by_our_reference(store: Database) -> None:
    """The GRU told of it before its answer to the submit was in."""
    taken = await accept(store)
    assert taken.request is not None
    item = news(reference=taken.request.id, gru_reference="GRU-7")
    assert await take(store, [item]) == [PORTAL_LANE]
    assert (await trace(store, taken.request.id)).request.gru_reference == "GRU-7"


async def test_a_change_that_is_no_news_still_tells_the_number(store: Database) -> None:
    """A person has said that the GRU has it, which told no number."""
    taken = await accept(store)
    assert taken.request is not None

    def nothing(
        known: ConcernedRequest, item: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        return ChangeEffects()

    item = news(reference=taken.request.id, gru_reference="GRU-7")
    sifted = await store.read(history.sift, COMMUNE, GRU, [item], nothing, SOON)
    assert sifted.news == [item]
    assert await take(store, sifted.news, nothing) == []
    assert (await trace(store, taken.request.id)).request.gru_reference == "GRU-7"
    sifted = await store.read(history.sift, COMMUNE, GRU, [item], nothing, SOON)
    assert sifted.news == []


async def test_one_number_for_two_requests_means_both(store: Database) -> None:
    first = await _known_there(store, ref="1")
    taken = await accept(store, ref="2")
    assert taken.request is not None
    await settle(store, await claim_one(store), State.DONE, reference="GRU-1")
    assert len(await take(store, [news()])) == 2
    for request_id in (first, taken.request.id):
        assert (await trace(store, request_id)).request.status is Status.ACCEPTED


# --- whom a poll asks about ---------------------------------------------------------------------


async def tracked(store: Database, limit: int = 10, now: Any = SOON) -> list[str]:
    found = await store.read(asking.tracked, COMMUNE, GRU, limit, now)
    return [one.id for one in found]


def asked(*ids: str, seen: tuple[str, ...] | None = None, **changes: Any) -> asking.AskedNumbers:
    values: dict[str, Any] = {
        "gone": (),
        "pace": timedelta(hours=6),
        "follow": timedelta(days=90),
    } | changes
    return asking.AskedNumbers(ids, seen, **values)


async def three(store: Database) -> list[str]:
    made = []
    for n in range(3):
        taken = await accept(store, ref=str(n), now=NOW + timedelta(seconds=n))
        assert taken.request is not None
        await settle(store, await claim_one(store, now=SOON), State.DONE, reference=f"GRU-{n}")
        made.append(taken.request.id)
    return made


async def test_what_is_tracked_is_known_there(store: Database) -> None:
    request_id = await _known_there(store, ref="1")
    await accept(store, ref="2")
    assert await tracked(store) == [request_id]
    assert await store.read(asking.tracked, "69123", GRU, 10, SOON) == []
    assert await store.read(asking.tracked, COMMUNE, "autre", 10, SOON) == []
    assert await store.read(leases.under_way) == []


async def test_the_oldest_that_is_open_is_this_gru_s_and_not_over(store: Database) -> None:
    first, second, third = await three(store)
    oldest = [await store.read(asking.oldest_open, COMMUNE, GRU)]
    for place in (("69123", GRU), (COMMUNE, "autre")):
        assert await store.read(asking.oldest_open, *place) is None
    await store.write(mark_erased, first)
    oldest.append(await store.read(asking.oldest_open, COMMUNE, GRU))
    await store.write(set_status, second, "done", SOON)
    oldest.append(await store.read(asking.oldest_open, COMMUNE, GRU))
    assert oldest == [NOW + timedelta(seconds=n) for n in range(3)]
    await store.write(set_status, third, "done", SOON)
    assert await store.read(asking.oldest_open, COMMUNE, GRU) is None


async def test_everybody_has_a_turn_however_few_are_asked_about_at_once(store: Database) -> None:
    made = await three(store)
    turns = []
    for n in range(6):
        now = SOON + timedelta(minutes=n)
        (one,) = await tracked(store, 1, now)
        turns.append(one)
        await store.write(
            history.apply_changes, COMMUNE, GRU, [], judge, now, new_id, asked=asked(one)
        )
    assert turns == made * 2


async def test_an_ended_request_is_asked_about_now_and_then_for_some_time(
    store: Database,
) -> None:
    (request_id,) = [await _known_there(store)]
    await store.write(set_status, request_id, "done", SOON)

    async def ask(at: Any) -> bool:
        if request_id not in await tracked(store, now=at):
            return False
        turn = asked(request_id)
        await store.write(history.apply_changes, COMMUNE, GRU, [], judge, at, new_id, asked=turn)
        return True

    assert await ask(SOON)
    assert not await ask(SOON + timedelta(hours=5))
    assert await ask(SOON + timedelta(hours=6))
    assert await ask(SOON + timedelta(days=89, hours=23))
    assert not await ask(SOON + timedelta(days=400))


async def test_who_is_never_told_of_is_told_to_a_person_once(store: Database) -> None:
    first, second, third = await three(store)

    async def poll(*seen: str, gone: tuple[str, ...] = ()) -> list[tuple[str | None, str]]:
        turn = asked(first, second, third, seen=seen, gone=gone)
        await store.write(history.apply_changes, COMMUNE, GRU, [], judge, SOON, new_id, asked=turn)
        return [(u.request_id, u.reason) for u in await store.read(untold.listing)]

    for _ in range(asking.UNSEEN - 1):
        assert await poll(first, second) == []
    assert await poll(first, second) == [(third, "not_told_of")]
    assert await poll(first, second) == [(third, "not_told_of")]
    assert await poll(first, second, third) == [], "it is there again"
    for _ in range(asking.UNSEEN):
        found = await poll(first, third, gone=(second,))
    assert found == [(second, "not_told_of")]
    (waits,) = await store.read(untold.listing)
    await store.write(untold.dismiss, waits.id)
    assert second not in await tracked(store), "a person has said that it is gone"


async def test_misses_are_counted_for_each_and_in_a_row(store: Database) -> None:
    first, second, third = await three(store)

    async def poll(*about: str, seen: tuple[str, ...] = ()) -> set[str | None]:
        turn = asked(*about, seen=seen)
        await store.write(history.apply_changes, COMMUNE, GRU, [], judge, SOON, new_id, asked=turn)
        return {u.request_id for u in await store.read(untold.listing)}

    assert asking.UNSEEN == 3
    assert await poll(first, second) == set()
    assert await poll(first, second) == set()
    assert await poll(third) == set(), "the misses of others are not its own"
    assert await poll(third, seen=(third,)) == set()
    assert await poll(first, second, seen=(first,)) == {second}, "nor is it theirs that it is there"
    assert await poll(first) == {second}, "it was there in between"


async def test_an_ended_one_that_was_put_away_is_not_followed(store: Database) -> None:
    request_id = await _known_there(store)
    await store.write(set_status, request_id, "done", NOW)
    turn = asked(request_id, seen=(), gone=(request_id,))
    await store.write(history.apply_changes, COMMUNE, GRU, [], judge, SOON, new_id, asked=turn)
    assert await tracked(store, now=SOON + timedelta(days=2)) == []
    assert await store.read(untold.listing) == ()


def set_status(connection: Connection, request_id: str, status: str, at: Any) -> None:
    connection.execute(
        update(REQUEST).where(REQUEST.c.id == request_id).values(status=status, status_at=at)
    )
