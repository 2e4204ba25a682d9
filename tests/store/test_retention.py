"""Content goes when its time is over, stays while something is owed, and a late word is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.core.delivery import Kind, State
from gateway.core.request import EventKind
from gateway.core.retention import RetentionPolicy
from gateway.core.status import Status
from gateway.store import accepting, retention, scrub, untold
from gateway.store.engine import Store
from gateway.store.erasure_tables import ERASURE
from gateway.store.reading import request_by_id
from gateway.store.retention import Purged
from gateway.store.rows import Reception, WithheldPart
from gateway.store.tables import ATTACHMENT, ATTEMPT, BLOB, EVENT, HEARD, REQUEST
from tests.builders import GRU_LANE, NOW, incoming, service_request
from tests.store.acts import accept, claim, claim_one, settle

PHOTO = b"\xff\xd8 une photo inventee"
POLICY = RetentionPolicy(ended=30 * 86400.0, silent=365 * 86400.0)


def day(n: int) -> datetime:
    return NOW + timedelta(days=n)


def _count(connection: Connection, table: Any, *where: Any) -> int:
    return len(connection.execute(select(table).where(*where)).all())


async def ended(store: Store, ref: str = "1", *, open_too: bool = False, **more: Any) -> str:
    """A request with a photo that its GRU took and that is over; its id."""
    taken = await accept(store, ref=ref, files={"photo": PHOTO}, **more)
    assert taken.request is not None
    claimed = await claim_one(store)
    await settle(store, claimed, State.DONE, reference="GRU-1", status=Status.TRANSMITTED)
    if not open_too:
        done = update(REQUEST).where(REQUEST.c.id == taken.request.id)
        await store.write(lambda c: c.execute(done.values(status="done", status_at=NOW)))
    return taken.request.id


async def run(store: Store, now: datetime, policy: RetentionPolicy = POLICY) -> Purged:
    cutoffs = policy.cutoffs(now)
    found = await store.read(retention.due, cutoffs, None, 100)
    return await store.write(retention.purge, [(one, cutoffs.of(one.status)) for one in found], now)


async def test_the_content_of_an_ended_request_goes_and_its_row_stays(store: Store) -> None:
    request_id = await ended(store)
    assert await run(store, day(29)) == Purged()
    before = await store.read(request_by_id, request_id)
    assert await run(store, day(31)) == Purged(1, 1, 1)
    assert await store.read(_count, ATTACHMENT) == await store.read(_count, BLOB) == 0
    assert await store.read(_count, EVENT, EVENT.c.body.is_not(None)) == 0
    assert await store.read(_count, ATTEMPT, ATTEMPT.c.detail != "") == 0
    assert await store.read(request_by_id, request_id) == before
    assert await run(store, day(400)) == Purged()


async def test_an_open_request_goes_after_a_longer_silence(store: Store) -> None:
    await ended(store, open_too=True)
    assert await run(store, day(364)) == Purged()
    assert await run(store, day(366)) == Purged(1, 1, 1)


async def test_what_is_owed_keeps_all(store: Store) -> None:
    first = await ended(store, "1")
    second = await ended(store, "2")
    later = service_request(ref="1", kind=EventKind.MESSAGE, message="encore", now=NOW)
    await store.write(accepting.accept, incoming(later))
    known = await store.read(request_by_id, second)
    assert known is not None
    part = WithheldPart("status", "unknown_status", {"status": "?"}, person=True)
    await store.write(untold.record, known, part, "rules", NOW, NOW, "unt-1")
    assert await run(store, day(400)) == Purged()
    (held,) = [
        one
        for one in await store.read(retention.holdings, POLICY.cutoffs(day(400)))
        if one.kind == "files"
    ]
    assert (held.count, held.due, held.owed) == (2, 2, 2)
    await settle(store, await claim_one(store), State.DONE)
    assert (await run(store, day(400))).requests == 1
    assert (
        await store.read(_count, REQUEST, REQUEST.c.id == first, REQUEST.c.purged_at.is_(None)) == 0
    )


async def test_a_late_push_is_no_new_request_and_a_late_event_is_taken(store: Store) -> None:
    request_id = await ended(store)
    await run(store, day(31))
    again = await accept(store, ref="1", files={"photo": PHOTO})
    assert again.reception is Reception.SAME
    assert again.request is not None
    assert again.request.id == request_id
    other = await accept(store, ref="1", digest="another content")
    assert other.reception is Reception.CONFLICT
    # The edit brings the whole form again: the photo that the GRU has is not owed anew.
    edit = incoming(service_request(ref="1", kind=EventKind.CHANGE, now=day(40)), now=day(40))
    assert (await store.write(accepting.accept, edit)).reception is Reception.NEW
    assert await store.read(retention.own_files, request_id) == {
        name.removeprefix("own:")
        for name in await store.read(lambda c: list(c.execute(select(HEARD.c.name)).scalars()))
    }
    await settle(store, await claim_one(store, now=day(41)), State.DONE, now=day(41))
    assert await run(store, day(69)) == Purged()
    assert (await run(store, day(71))).events == 1


async def test_the_deletion_of_an_account_still_reaches_the_commune(store: Store) -> None:
    """Years later: the content and the attempts are gone, the account and the number are not."""
    request_id = await ended(store)
    await run(store, day(31))
    found = await store.read(retention.attempts, 0, 100)
    assert await store.write(retention.drop_attempts, [one.id for one in found]) == 1
    account = await store.read(lambda c: c.execute(select(REQUEST.c.account)).scalar_one())
    opened = {"id": "ERA-1", "run": "RUN-1", "account": account, "mark": "0" * 64}
    opened |= {"source": "deletions", "state": "open", "found_at": day(900)}
    await store.write(lambda c: c.execute(insert(ERASURE).values(**opened)))
    ids = iter(["evt-erase", "dlv-erase"])
    assert await store.write(scrub.scrub, "ERA-1", lambda: next(ids), day(900)) == [GRU_LANE]
    (owed,) = await claim(store, now=day(901))
    assert (owed.delivery.kind, owed.request.id) == (Kind.ERASE, request_id)
    assert owed.request.gru_reference == "GRU-1"


async def test_a_request_that_moved_on_meanwhile_stays(store: Store) -> None:
    await ended(store)
    cutoffs = POLICY.cutoffs(day(31))
    found = await store.read(retention.due, cutoffs, None, 100)
    await store.write(lambda c: c.execute(update(REQUEST).values(status="in_progress")))
    assert (
        await store.write(
            retention.purge, [(one, cutoffs.of(one.status)) for one in found], day(31)
        )
        == Purged()
    )


async def test_pages_follow_one_another(store: Store) -> None:
    for ref in ("1", "2", "3"):
        await ended(store, ref)
    seen, after = [], None
    while page := await store.read(retention.due, POLICY.cutoffs(day(31)), after, 1):
        seen += page
        after = (page[-1].status_at, page[-1].id)
    assert len({one.id for one in seen}) == 3
