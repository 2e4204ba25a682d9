"""Providers that lie, fail or contradict themselves: nobody is erased, and health says why."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import insert, update

from gateway.core.erasure import Brake, Phase
from gateway.core.errors import Conflict, NotFound
from gateway.flow.erased_accounts import KEY_FILE
from gateway.flow.identity import IdentityWatch
from gateway.ops.health import health
from gateway.ops.shapes import GlcPart, Overall
from gateway.sim.faults import FaultCondition
from gateway.sim.glc import Deletion, Lie, Spelling
from gateway.store import cursors, erasure_agreements, erasures, trail
from gateway.store.erasure_tables import TOMBSTONE
from gateway.store.rows import Reception
from gateway.store.tables import REQUEST
from gateway.wire.identity import IdentitySource, Outage, ProviderReading
from gateway.wire.synchronization import Synchronization
from tests.erasure.conftest import Build
from tests.erasure.following import CANARY, Following, hours, uuid

SOURCES = ("synchronization", "deletions")


async def part(world: Following) -> GlcPart:
    engine = world.rig.engine
    told = await health(engine, ready=True, started_at=world.rig.clock.now)
    assert told.glc is not None
    assert told.status is not Overall.OK
    return told.glc


async def two_days(world: Following) -> None:
    """Polls every six hours, and whatever is open is taken further."""
    for _ in range(9):
        await world.poll()
        await world.rig.engine.eraser.advance()
        world.rig.advance(6 * 3600)


@pytest.mark.parametrize("source", SOURCES)
async def test_all_unknown(follow: Build, source: str) -> None:
    world = follow(source, canary=None if source == "synchronization" else CANARY)
    async with world.rig.gateway():
        people = await world.people(6)
        world.provider.lie = Lie.ALL_UNKNOWN
        await two_days(world)
        assert await world.count() == 0
        told = await part(world)
        if source == "deletions":  # its canary is among the deleted
            assert told.failure == "canary_gone"
            return
        assert await world.held() == len(people)
        assert told.held == len(people)
        assert "two people" in told.detail
        # The provider is well again: nobody is held any more.
        world.provider.lie = Lie.NONE
        await world.poll()
        assert await world.held() == 0
        assert {one.state for one in await world.every()} == {Phase.WITHDRAWN}


async def test_the_canary_alone_is_enough(follow: Build) -> None:
    world = follow(brake=Brake(1.0, 1000))
    async with world.rig.gateway():
        await world.people(6)
        world.provider.lie = Lie.ALL_UNKNOWN
        await two_days(world)
        assert await world.every() == []
        assert (await part(world)).failure == "canary_gone"
        poll = await world.poll()
        assert (poll.calls, poll.skipped, poll.gone) == (1, 0, 6)


async def test_all_listed_without_a_canary(follow: Build) -> None:
    world = follow("deletions", canary=None)
    async with world.rig.gateway():
        people = await world.people(6)
        world.provider.lie = Lie.ALL_UNKNOWN
        await two_days(world)
        assert await world.count() == 0
        assert await world.held() == len(people)


async def test_half_of_the_rights(follow: Build) -> None:
    world = follow(canary=None, brake=Brake(0.05, 20))
    async with world.rig.gateway():
        await world.people(8)
        world.provider.lie = Lie.HALF_VISIBLE
        await two_days(world)
        assert await world.count() == 0
        assert await world.held() == 4
        assert (await part(world)).failure == "brake"
        # A later run finds the same ones and holds none of its own: named is who holds them.
        (holder,) = {one.run for one in await world.every()}
        again = await world.poll()
        assert again.run != holder
        assert again.waiting == (holder,)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("lie", "reason"), [(Lie.ERR, "error_told"), (Lie.MALFORMED, "malformed")])
async def test_answers_that_are_none(follow: Build, source: str, lie: Lie, reason: str) -> None:
    world = follow(source)
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.delete(people[0])
        world.provider.lie = lie
        await two_days(world)
        assert await world.every() == []
        assert (await part(world)).failure == reason


@pytest.mark.parametrize("source", SOURCES)
async def test_errors_of_the_server(follow: Build, source: str) -> None:
    world = follow(source)
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.delete(people[0])
        world.provider.faults.fail(500)
        await two_days(world)
        assert await world.every() == []
        assert (await part(world)).failure == "far_end_error"
        world.provider.faults.clear()
        await two_days(world)
        assert await world.count() == 1


async def test_a_page_that_is_missing(follow: Build) -> None:
    world = follow("deletions")
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.delete(people[0])
        for n in range(30):  # strangers, so that the list has pages
            world.provider.create(uuid(1000 + n))
            world.provider.delete(uuid(1000 + n))
        world.provider.lie = Lie.BROKEN_PAGE
        await two_days(world)
        assert await world.every() == []
        assert (await part(world)).failure == "far_end_error"
        assert await world.rig.database.read(cursors.get, "glc") is not None
        world.provider.lie = Lie.NONE
        assert (await world.poll()).opened == 1


async def test_an_empty_last_page_ends_the_list(follow: Build) -> None:
    world = follow("deletions")
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.delete(people[0])
        for n in range(30):
            world.provider.create(uuid(1000 + n))
            world.provider.delete(uuid(1000 + n))
        world.provider.delete(people[1])
        world.provider.lie = Lie.EMPTY_PAGE
        assert (await world.poll()).opened == 1
        # What it had left out is read where it stands, the next time.
        world.provider.lie = Lie.NONE
        assert (await world.poll()).opened == 1


@pytest.mark.parametrize("spelling", Spelling)
async def test_a_list_may_write_accounts_as_it_likes(follow: Build, spelling: Spelling) -> None:
    world = follow("deletions")
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.spelling = spelling
        world.provider.delete(people[0])
        world.provider.delete(CANARY)
        poll = await world.poll()
        assert (poll.failure, poll.opened) == ("canary_gone", 0)
        world.provider.deleted.pop()
        world.provider.create(CANARY)
        poll = await world.poll()
        assert (poll.gone, poll.opened) == (1, 1)
        await world.erased()
        # Whoever is erased stays so, however the portal writes them from now on.
        for other in Spelling:
            late = await world.push(world.form(other.of(people[0])))
            assert late.reception is Reception.ERASED


@pytest.mark.parametrize("spelling", Spelling)
async def test_authentic_is_asked_as_it_writes(follow: Build, spelling: Spelling) -> None:
    """It compares exactly: asked as the portal may write an account, it would not know it."""
    world = follow(brake=Brake(1.0, 10))
    async with world.rig.gateway():
        for n in range(3):
            world.provider.create(uuid(n))
            await world.push(world.form(spelling.of(uuid(n))))
        poll = await world.poll()
        assert (poll.known, poll.gone, poll.suspects) == (3, 0, 0)
        world.provider.delete(uuid(1))
        await world.poll()
        world.rig.advance(7 * 3600)
        assert (await world.poll()).opened == 1


async def test_rows_and_hashes_of_earlier_versions(follow: Build) -> None:
    """An earlier version stored and hashed accounts as the portal wrote them."""
    world = follow("deletions", brake=Brake(1.0, 10))
    async with world.rig.gateway() as engine:
        old, gone = Spelling.DASHED.of(uuid(7)), Spelling.UPPER.of(uuid(8))
        kept = await world.send(uuid(7))
        await world.rig.database.write(
            lambda c: c.execute(update(REQUEST).where(REQUEST.c.id == kept).values(account=old))
        )
        world.provider.delete(uuid(7))
        poll = await world.poll()
        assert (poll.gone, poll.opened) == (1, 1)
        await world.erased()
        assert (await world.push(world.form(uuid(7)))).reception is Reception.ERASED
        key = (world.folder / "data" / KEY_FILE).read_bytes()
        mark = hmac.new(key, gone.encode(), hashlib.sha256).hexdigest()
        await world.rig.database.write(
            lambda c: c.execute(
                insert(TOMBSTONE).values(mark=mark, made_at=engine.environment.now())
            )
        )
        assert (await world.push(world.form(gone))).reception is Reception.ERASED


async def test_entries_that_cannot_be_read_are_told(follow: Build) -> None:
    world = follow("deletions")
    async with world.rig.gateway():
        people = await world.people(4)
        world.provider.delete(people[0])
        world.provider.deleted.append(Deletion("", world.rig.clock.now))
        poll = await world.poll()
        assert (poll.opened, poll.skipped, poll.reason) == (1, 1, "entries_skipped")
        assert "could not be read" in (await part(world)).detail


async def test_one_batch_that_fails_voids_the_run(follow: Build) -> None:
    world = follow()
    async with world.rig.gateway() as engine:
        people = await world.people(5)
        world.provider.delete(people[0])
        assert engine.identity is not None
        source = engine.identity.source
        assert isinstance(source, Synchronization)
        small = Synchronization(source.base_url, source.client, source.access, CANARY, batch=2)
        watch = IdentityWatch(
            engine.store, engine.identity.glc, small, engine.identity.hasher, engine.environment
        )
        world.provider.faults.fail(500, when=FaultCondition(every=3))
        for _ in range(5):
            poll = await watch.poll()
            assert poll.failure == "far_end_error"
            world.rig.advance(7 * 3600)
        assert await world.every() == []
        world.provider.faults.clear()
        assert (await watch.poll()).suspects == 1
        assert (await watch.poll()).calls == 3


async def test_a_provider_that_contradicts_itself(follow: Build) -> None:
    world = follow(canary=None, brake=Brake(0.9, 20))
    async with world.rig.gateway():
        people = await world.people(8)
        world.provider.delete(people[7])
        world.provider.lie = Lie.HALF_VISIBLE
        assert (await world.poll()).suspects > 1
        world.rig.advance(7 * 3600)
        world.provider.lie = Lie.NONE
        poll = await world.poll()
        assert poll.reason == "contradiction"
        assert (poll.opened, poll.suspects) == (0, 1)
        assert (await part(world)).failure == "contradiction"
        # Whose account is really gone is confirmed anew.
        world.rig.advance(5 * 3600)
        assert (await world.poll()).opened == 0
        world.rig.advance(3600)
        assert (await world.poll()).opened == 1


async def test_two_different_people_open_what_is_held(follow: Build) -> None:
    world = follow("deletions", canary=None, brake=Brake(0.05, 20))
    rig = world.rig
    async with rig.gateway():
        people = await world.people(4)
        for one in people[:2]:
            world.provider.delete(one)
        run = (await world.poll()).run
        assert await world.held() == 2
        # Another poll finds them again in the list, and frees nobody.
        await two_days(world)
        assert (await world.held(), await world.count()) == (2, 0)
        with pytest.raises(NotFound):
            await rig.database.write(
                erasure_agreements.approve, "RUN-?", "A", hours(1), rig.clock.now
            )
        agreed = await rig.database.write(
            erasure_agreements.approve, run, "Anne Fictive", hours(1), rig.clock.now
        )
        assert agreed == (2, 0)
        with pytest.raises(Conflict, match="different person"):
            await rig.database.write(
                erasure_agreements.approve, run, " anne  FICTIVE", hours(1), rig.clock.now
            )
        assert await world.count() == 0
        one = (await world.live())[0].id
        assert await rig.database.write(
            erasure_agreements.approve, one, "Bob Inventé", hours(1), rig.clock.now
        ) == (1, 1)
        assert await world.count() == 1
        await rig.database.write(
            erasure_agreements.approve, run, "Bob Inventé", hours(1), rig.clock.now
        )
        with pytest.raises(Conflict):
            await rig.database.write(
                erasure_agreements.approve, run, "Cléo Feinte", hours(1), rig.clock.now
            )
        await world.erased()
        assert {one.state for one in await world.every()} == {Phase.CLOSED}
        approved = [
            e.data
            for e in await rig.database.read(trail.entries, erasures.STREAM)
            if e.kind == "approved"
        ]
        assert [entry["by"] for entry in approved] == ["Anne Fictive", "Bob Inventé", "Bob Inventé"]


@dataclass
class Slow:
    """A provider whose answer is under way for long."""

    inner: IdentitySource
    asked: asyncio.Event
    goes_on: asyncio.Event

    async def read(self, known: Sequence[str], cursor: str | None) -> ProviderReading | Outage:
        told = await self.inner.read(known, cursor)
        self.asked.set()
        await self.goes_on.wait()
        return told

    async def check(self) -> ProviderReading | Outage:
        return await self.inner.check()


async def test_a_poll_that_was_slower_than_an_erasure_finds_nobody_anew(follow: Build) -> None:
    world = follow("deletions")
    async with world.rig.gateway() as engine:
        people = await world.people(4)
        world.provider.delete(people[0])
        watch = engine.identity
        assert watch is not None
        slow = Slow(watch.source, asyncio.Event(), asyncio.Event())
        later = IdentityWatch(engine.store, watch.glc, slow, watch.hasher, engine.environment)
        poll = asyncio.create_task(later.poll())
        await slow.asked.wait()
        await world.poll()
        await world.erased()
        slow.goes_on.set()
        assert (await poll).opened == 0
        assert len(await world.every()) == 1


async def test_a_slow_leak_is_braked_as_a_burst(follow: Build) -> None:
    world = follow("deletions", brake=Brake(1.0, 3))
    async with world.rig.gateway():
        people = await world.people(8)
        for one in people[:5]:
            world.provider.delete(one)
            await world.poll()
            world.rig.advance(3600)
        assert await world.count() == 3
        assert await world.held() >= 1


async def test_a_late_request_of_somebody_long_gone_is_found(follow: Build) -> None:
    world = follow("deletions")
    rig = world.rig
    async with rig.gateway():
        await world.people(4)
        for n in (9, *range(1000, 1025)):
            world.provider.create(uuid(n))
            world.provider.delete(uuid(n))
        await world.poll()
        await world.push(world.form(uuid(9)))
        assert (await world.poll()).opened == 0, "the list is read from its last page on"
        rig.advance(25 * 3600)
        await world.poll()
        assert await world.count() == 1
