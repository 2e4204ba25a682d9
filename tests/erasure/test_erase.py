"""One person, erased: what was owed, what is gone, who is told, and that nothing comes back."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.delivery import Kind, State
from gateway.core.echo import fingerprint
from gateway.core.erasure import Phase
from gateway.core.errors import Conflict, NotFound
from gateway.core.request import EventKind
from gateway.sdk import Change
from gateway.store import erasure_answers, erasures, requests, residue, scrub, trail, untold
from gateway.store.rows import Reception
from gateway.store.tables import REQUEST
from gateway.wire.event import AnnouncedEvent
from tests.builders import stored_of
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, uuid
from tests.flow.rig import BRON, GRU_A, GRU_B, SLUG, VILLEURBANNE
from tests.intake import take_in

ZOE = uuid(1)


#: A caller's place in a trace, which might be anything to it.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"


def _name_trace(connection: Connection, request: str) -> None:
    mine = REQUEST.c.id == request
    connection.execute(update(REQUEST).where(mine).values(traceparent=TRACE))


async def test_a_person_is_erased_everywhere(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway() as engine:
        first = await world.send(ZOE, BRON, marker=MARKER, photo=True)
        second = await world.send(ZOE, VILLEURBANNE, marker=MARKER)
        other = await world.send(uuid(2), BRON)
        for one in (first, second, other):
            await rig.state(one, State.DONE)
        # What the GRU has told, and what waits to be told.
        word = f"bizarre {MARKER}"
        change = Change("n1", reference=first, status=word, message=MARKER, public=True)
        assert await rig.takes(change) == 1
        await rig.rest(first)
        assert len(await rig.database.read(untold.listing)) == 1
        assert world.places()
        await rig.database.write(_name_trace, first)
        world.provider.delete(ZOE)
        assert (await world.poll()).suspects == 1
        assert await world.count() == 0
        assert (await world.poll()).opened == 0, "the second word came too early"
        rig.advance(7 * 3600)
        assert (await world.poll()).opened == 1
        await world.erased()
        assert world.places() == []
        assert ZOE.encode() not in (world.folder / "gateway.db").read_bytes()
        assert TRACE.encode() not in (world.folder / "gateway.db").read_bytes()
        assert await rig.database.read(untold.listing) == ()
        assert fingerprint(MARKER).encode() not in (world.folder / "gateway.db").read_bytes()
        found = await world.the()
        assert (found.state, found.requests, found.files) == (Phase.CLOSED, 2, 1)
        assert await world.erase_deliveries(first, second) == ["done", "done"]
        tickets = [*rig.gru.tickets, *rig.grus[GRU_B].tickets]
        assert {t.external_id: t.erased for t in tickets} == {
            first: True,
            second: True,
            other: False,
        }
        # The other person is left alone.
        assert await rig.deliveries(other, Kind.ERASE) == []
        kinds = [e.kind for e in await rig.database.read(trail.entries, erasures.STREAM)]
        assert kinds == ["found", "erased", *["commune_acknowledged"] * 2, "closed"]
        assert await rig.database.read(trail.verify, erasures.STREAM) == []
        assert engine.identity is not None


async def test_an_erasure_waits_for_the_object_store(follow: Build, tmp_path: Path) -> None:
    world = follow()
    rig = world.rig
    share, away = tmp_path / "share", tmp_path / "away"
    share.mkdir()
    attachments = AttachmentStore(f"file://{share}", {}, True)
    settings = dataclasses.replace(rig.catalogue.settings, attachments=attachments)
    rig.catalogue = dataclasses.replace(rig.catalogue, settings=settings)
    async with rig.gateway() as engine:
        request = await world.send(ZOE, BRON, marker=MARKER, photo=True)
        await world.send(uuid(2), BRON)
        await world.send(uuid(3), BRON)
        await rig.state(request, State.DONE)
        assert any(place.startswith("share/") for place in world.places())
        share.rename(away)
        world.provider.delete(ZOE)
        await world.found_gone()
        for _ in range(5):
            await engine.eraser.advance()
        (erasure,) = await rig.database.read(erasures.in_phases, Phase.SCRUBBED)
        # Nothing says that it is done: neither the flow nor a step that is called out of turn.
        assert not await rig.database.write(scrub.erased, erasure, rig.clock())
        kinds = [e.kind for e in await rig.database.read(trail.entries, erasures.STREAM)]
        assert "erased" not in kinds
        assert any(place.startswith("away/") for place in world.places())
        away.rename(share)
        await world.erased()
        assert world.places() == []
        assert not any(path.is_file() for path in share.rglob("*"))


async def test_files_that_somebody_reads_are_waited_for(
    follow: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residue, "PAUSE", 0.001)
    world = follow()
    async with world.rig.gateway(run=False) as engine:
        await world.send(ZOE, BRON, marker=MARKER)
        await world.send(uuid(2), BRON)
        world.provider.delete(ZOE)
        await world.poll()
        world.rig.advance(7 * 3600)
        await world.poll()
        with contextlib.closing(sqlite3.connect(world.folder / "gateway.db")) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM request").fetchone()
            for _ in range(3):
                await engine.eraser.advance()
            assert (await world.the()).state is Phase.SCRUBBED
        await engine.eraser.advance()
        assert (await world.the()).state is not Phase.SCRUBBED
        assert world.places() == []


async def test_nothing_comes_back(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway() as engine:
        item = world.form(ZOE, marker=MARKER)
        world.provider.create(ZOE)
        await world.people(3)
        accepted = await world.push(item)
        assert accepted.request is not None
        request = accepted.request.id
        await rig.state(request, State.DONE)
        number = rig.ticket(request).id
        await rig.until(lambda: len(rig.told(item)) == 1)
        world.provider.delete(ZOE)
        await world.found_gone()
        await world.erased()
        # The same formdata, a later event of it, a new one of the same person, one without her.
        assert (await world.push(item)).reception is Reception.ERASED
        told = await world.push(item, evenement="message", message=MARKER)
        assert told.reception is Reception.ERASED
        late = world.form(ZOE, VILLEURBANNE, marker=MARKER)
        assert (await world.push(late)).reception is Reception.ERASED
        # A late status, by either name.
        for change in (
            Change(key="late", reference=request, status="resolved", message=MARKER, public=True),
            Change(key="later", gru_reference=number, status="resolved"),
        ):
            assert await rig.takes(change) == 0
        # The portal's list shows both formdata: reconciliation must not take them in.
        rig.clock.now += timedelta(hours=1)
        (portal,) = rig.catalogue.portals.values()
        await engine.reconciler.reconcile("toodego", portal.teleservices[SLUG])
        refused = await rig.database.read(requests.find, "toodego", SLUG, late.id)
        assert refused is None
        found = await rig.database.read(requests.find, "toodego", SLUG, item.id)
        assert found is not None
        assert found.erased_at is not None
        assert world.places() == []
        assert len(rig.told(item)) == 1
        assert len(await world.every()) == 1


async def test_a_person_with_a_new_account_is_a_new_person(follow: Build) -> None:
    world = follow()
    async with world.rig.gateway():
        await world.people(2)
        world.provider.delete(ZOE)
        await world.found_gone()
        await world.erased()
        assert await world.send(uuid(77))


async def test_what_is_under_way_settles_first(follow: Build) -> None:
    world = follow("deletions")
    rig = world.rig
    async with rig.gateway() as engine:
        await world.people(3)
        rig.line.after.clear()  # the GRU takes it, and its answer is long in coming
        request = await world.send(uuid(9), marker=MARKER)
        await rig.until(lambda: len(rig.gru.tickets) == 4)
        world.provider.delete(uuid(9))
        assert (await world.poll()).opened == 1
        await engine.eraser.advance()
        erasure = (await world.live())[0]
        assert erasure.state is Phase.OPEN
        assert (await rig.the(request)).state is State.SENDING
        rig.line.after.set()
        await world.erased()
        # It went through, so its commune is told to erase it, by its number.
        assert (await rig.the(request)).state is State.DONE
        assert rig.ticket(request).erased
        # The citizen's portal is told nothing more.
        assert await rig.deliveries(request, Kind.REPORT) == []
        assert world.places() == []


async def test_a_lost_answer_is_looked_for_and_erased(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        rig.gru.faults.cut_after()
        request = await world.send(uuid(9), marker=MARKER)
        await rig.state(request, State.UNSURE)
        assert rig.ticket(request).external_id == request
        world.provider.delete(uuid(9))
        # Its lane does not ask before the erasure stops it.
        await world.poll()
        await rig.pause(GRU_A)
        rig.advance(7 * 3600)
        assert (await world.poll()).opened == 1
        await rig.engine.eraser.advance()
        assert (await rig.the(request)).reason == "erased"
        rig.gru.faults.clear()
        await rig.pause(GRU_A, False)
        await world.erased()
        assert await world.erase_deliveries(request) == ["done"]
        assert rig.ticket(request).erased
        assert world.places() == []


async def test_what_never_left_is_told_to_nobody(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        await rig.pause(GRU_B)
        waiting = await world.send(uuid(9), VILLEURBANNE, marker=MARKER)
        rig.grus[GRU_A].required = ("never_given",)
        parked = await world.send(uuid(9), BRON, marker=MARKER)
        await rig.state(parked, State.PARKED)
        world.provider.delete(uuid(9))
        await world.found_gone()
        await world.erased()
        for one in (waiting, parked):
            assert (await rig.the(one)).reason == "erased"
            assert await rig.deliveries(one, Kind.ERASE) == []
        assert world.places() == []
        assert (await world.the()).requests == 2


async def test_what_the_gru_said_goes_with_the_request(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        rig.gru.required = ("never_given",)
        request = await world.send(uuid(9), BRON)
        await rig.state(request, State.PARKED)
        [said] = await rig.database.read(requests.answers, request)
        assert "never_given" in said.answer
        world.provider.delete(uuid(9))
        await world.found_gone()
        await world.erased()
        assert await rig.database.read(requests.answers, request) == []
        assert b"never_given" not in (world.folder / "gateway.db").read_bytes()


async def test_a_commune_that_cannot_erase_is_a_task_with_a_deadline(follow: Build) -> None:
    world = follow(options={})
    rig = world.rig
    async with rig.gateway() as engine:
        await world.people(3)
        request = await world.send(uuid(9), marker=MARKER)
        await rig.state(request, State.DONE)
        await rig.state(request, State.DONE, Kind.REPORT)  # else the erasure waits for it
        world.provider.delete(uuid(9))
        await world.found_gone()
        await engine.eraser.advance()
        delivery = await rig.state(request, State.PARKED, Kind.ERASE)
        assert delivery.reason == "erase_by_hand"
        await engine.eraser.advance()
        found = await world.the()
        assert found.state is Phase.TELLING
        assert found.due_at == found.opened_at + timedelta(days=30)  # type: ignore[operator]
        counts = await rig.database.read(erasures.counts, rig.clock.now)
        assert (counts.telling, counts.overdue) == (1, 0)
        late = rig.clock.now + timedelta(days=31)
        assert (await rig.database.read(erasures.counts, late)).overdue == 1
        with pytest.raises(NotFound):
            await rig.database.write(
                erasure_answers.done_by_hand, found.id, VILLEURBANNE, "Agent Fictif", rig.clock.now
            )
        done = await rig.database.write(
            erasure_answers.done_by_hand, found.id, BRON, "Agent Fictif", rig.clock.now
        )
        assert done == 1
        with pytest.raises(Conflict):
            await rig.database.write(
                erasure_answers.done_by_hand, found.id, BRON, "Agent Fictif", rig.clock.now
            )
        await world.erased()
        (target,) = await world.targets(found.id)
        assert target.acknowledged_by == "Agent Fictif"


async def test_an_erasure_is_retried_until_it_is_acknowledged(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway() as engine:
        await world.people(3)
        request = await world.send(uuid(9), marker=MARKER)
        await rig.state(request, State.DONE)
        await rig.state(request, State.DONE, Kind.REPORT)  # else the erasure waits for it
        world.provider.delete(uuid(9))
        await world.found_gone()
        rig.gru.faults.fail(503)
        await engine.eraser.advance()
        # Far beyond the limit of an hour that the lane has for everything else.
        begun = rig.clock.now

        async def tried() -> bool:
            rig.advance(600)
            found = await rig.the(request, Kind.ERASE)
            late = rig.clock.now - begun >= timedelta(hours=1)
            return late and found.failures >= 4 and found.state is State.WAITING

        await rig.until(tried)
        rig.gru.faults.clear()

        async def acknowledged() -> bool:
            rig.advance(600)
            await engine.eraser.advance()
            return await world.live() == []

        await rig.until(acknowledged)
        assert rig.ticket(request).erased


async def test_files_that_others_sent_too_are_kept(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        mine = await world.send(uuid(8), photo=True, marker="commun")
        hers = await world.send(uuid(9), photo=True, marker="commun")
        for one in (mine, hers):
            await rig.state(one, State.DONE)
        world.provider.delete(uuid(9))
        await world.found_gone()
        await world.erased()
        body = await rig.database.read(requests.event_body, await creation(world, mine))
        assert body is not None
        assert await rig.database.read(requests.event_body, await creation(world, hers)) is None
        sha256 = body["attachments"][0]["sha256"]
        assert await stored_of(rig.database, mine, sha256, body["attachments"][0]["size"])


async def creation(world: object, request: str) -> str:
    found = await world.rig.database.read(requests.first_event, request)  # type: ignore[attr-defined]
    assert isinstance(found, str)
    return found


async def test_later_events_are_erased_too(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        world.provider.create(uuid(9))
        item = world.form(uuid(9))
        accepted = await world.push(item)
        assert accepted.request is not None
        request = accepted.request.id
        await rig.state(request, State.DONE)
        event = AnnouncedEvent(EventKind.MESSAGE, "m1", MARKER)
        await take_in(rig.engine, "toodego", BRON, SLUG, rig.formdata(item), event=event)
        await rig.state(request, State.DONE, Kind.AMEND)
        assert world.places()
        world.provider.delete(uuid(9))
        await world.found_gone()
        await world.erased()
        assert world.places() == []
