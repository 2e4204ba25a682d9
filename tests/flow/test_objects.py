"""Files in an object store: in and out, without it, after a crash, and after a change of mind."""

from __future__ import annotations

import base64
import dataclasses
import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, func, select, update

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.content import InMemory
from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import Kind, State
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.sealing import sealed_size
from gateway.flow import decommission
from gateway.flow.attachments import ARRIVING, attempt
from gateway.sdk import Change, Document
from gateway.store import blobs, cursors, decommissions, object_gc, sealed
from gateway.store.objects import PART, RANGE
from gateway.store.rows import Reception
from gateway.store.tables import ATTACHMENT, BLOB, PENDING_OBJECT, REQUEST
from tests.builders import leaving
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, Died, Rig, request_id
from tests.flow.scripted import Script
from tests.flow.test_files import AFTER, FIRST, JPEG, PNG, with_files

LARGE = PNG + bytes(range(256)) * ((PART + 700_000) // 256)
WAIT = 7200.0


@pytest.fixture
def stored(build_rig: Builder, share: Path) -> Rig:
    """A rig whose files lie in `share`."""
    rig = build_rig(options=FIRST)
    use(rig, AttachmentStore(f"file://{share}", {}, True))
    return rig


def use(rig: Rig, attachments: AttachmentStore | None) -> None:
    settings = dataclasses.replace(rig.catalogue.settings, attachments=attachments)
    rig.catalogue = dataclasses.replace(rig.catalogue, settings=settings)


def objects(share: Path) -> list[Path]:
    return sorted(path for path in share.rglob("*") if path.is_file())


def are_sealed(share: Path, *contents: bytes) -> bool:
    """Do these lie in the share, and nothing else, by their sizes; and none of them in clear?"""
    found = [path.read_bytes() for path in objects(share)]
    sizes = sorted(sealed_size(len(content), RANGE) for content in contents)
    clear = any(content in data for content in contents for data in found)
    return sorted(map(len, found)) == sizes and not clear


def erased(connection: Connection, request: str, now: datetime) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request).values(erased_at=now))


def there(share: Path) -> bool:
    return share.exists()


def take_away(share: Path) -> None:
    """The share is gone, and something else stands where it was."""
    share.rename(share.with_name("away"))
    share.write_text("not a share")


def bring_back(share: Path) -> None:
    share.unlink()
    share.with_name("away").rename(share)


async def counts(rig: Rig) -> tuple[int, int, int]:
    """Attachments, blob rows, doomed places."""

    async def rows(table: object) -> int:
        statement = select(func.count()).select_from(table)  # type: ignore[arg-type]
        return int(await rig.database.read(lambda c: c.execute(statement).scalar_one()))

    return await rows(ATTACHMENT), await rows(BLOB), await rows(PENDING_OBJECT)


async def test_files_go_through_byte_for_byte(stored: Rig, share: Path) -> None:
    async with stored.gateway():
        item = with_files(
            stored,
            photo=("a.png", "image/png", LARGE),
            photo_2=("b.jpg", "image/jpeg", JPEG),
        )
        request = request_id(await stored.push(item))
        assert are_sealed(share, LARGE, JPEG)
        await stored.state(request, State.DONE)
        assert [d.content for d in stored.ticket(request).documents] == [LARGE, JPEG]
        # One row a file and nothing pending; its name tells nothing of it.
        assert await counts(stored) == (2, 2, 0)
        names = " ".join(str(path) for path in objects(share))
        for one in await stored.database.read(lambda c: list(c.execute(select(BLOB.c.address)))):
            assert one.address[:8] not in names
        # The same once more: not put again.
        assert (await stored.push(item)).reception is Reception.SAME
        other = with_files(stored, photo=("c.png", "image/png", LARGE))
        await stored.push(other)
        # Another request shares nothing with it.
        assert len(objects(share)) == 3
        assert await counts(stored) == (3, 3, 0)


async def test_without_the_store_nothing_is_accepted_and_nothing_sent(
    stored: Rig, share: Path
) -> None:
    async with stored.gateway(run=False):
        first = with_files(stored, photo=("a.png", "image/png", PNG))
        kept = request_id(await stored.push(first))
        take_away(share)
        second = with_files(stored, photo=("b.jpg", "image/jpeg", JPEG))
        with pytest.raises(Unavailable):
            await stored.push(second)
        request_id(await stored.push(stored.submit()))  # without a file nothing is in its way
        stored.start()
        await stored.state(kept, State.WAITING)
        trace = await stored.trace(kept)
        await stored.until(lambda: stored.passed.count("deliver.settled") >= 2)
        trace = await stored.trace(kept)
        reasons = {one.reason for tried in trace.attempts.values() for one in tried}
        assert reasons == {"attachments_unavailable"}
        bring_back(share)
        stored.advance(60)
        await stored.state(kept, State.DONE)
        again = request_id(await stored.push(second))
        await stored.state(again, State.DONE)
        assert [d.content for d in stored.ticket(kept).documents] == [PNG]
        assert [d.content for d in stored.ticket(again).documents] == [JPEG]


class Slow(InMemory):
    """Bytes that come slowly, as over a bad line."""

    __slots__ = ()

    def read(self, at: int, length: int) -> bytes:
        time.sleep(0.3)
        return super().read(at, length)


async def test_what_takes_too_long_is_a_fault_of_the_store(stored: Rig) -> None:
    """The bound is that of all files together, so no single call has run into its own."""
    async with stored.gateway(run=False) as engine:
        attachments = engine.attachments
        contents = {content.sha256: content for content in (Slow(PNG), Slow(JPEG))}
        with pytest.raises(Unavailable):
            await attachments.put(contents, 0.1)
        assert attachments.health.failing == {"put": stored.clock()}
        await attachments.put(contents, 5)
        assert attachments.health.failing == {}


async def test_a_file_that_is_not_sent_holds_nothing_back(build_rig: Builder, share: Path) -> None:
    rig = build_rig(options=FIRST, mapping=lambda text: text.replace("[photo, photo_2]", "[autre]"))
    use(rig, AttachmentStore(f"file://{share}", {}, True))
    async with rig.gateway(run=False):
        request = request_id(await rig.push(with_files(rig, photo=("a.png", "image/png", PNG))))
        take_away(share)
        rig.start()
        await rig.state(request, State.DONE)
        assert rig.ticket(request).documents == []


async def test_a_file_after_the_creation_and_a_report_wait_for_theirs(
    build_rig: Builder, share: Path
) -> None:
    """The creation goes, as it sends none; nothing of what has one is sent before it is there."""
    rig = build_rig(options=AFTER)
    use(rig, AttachmentStore(f"file://{share}", {}, True))
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        request = request_id(await rig.push(item))
        assert await rig.takes(told(request, JPEG)) == 1
        take_away(share)
        rig.start()
        await rig.state(request, State.DONE)
        await rig.failed(request, "attachments_unavailable", Kind.AMEND)

        async def waits() -> bool:
            reports = await rig.deliveries(request, Kind.REPORT)
            return "attachments_unavailable" in {one.reason for one in reports}

        await rig.until(waits)
        assert rig.ticket(request).documents == []
        assert not rig.documents(item)
        bring_back(share)
        rig.advance(60)
        await rig.rest_in_time(request)
        assert [d.content for d in rig.ticket(request).documents] == [PNG]
        assert [content for _, content in rig.documents(item)] == [JPEG]


async def test_what_a_crash_leaves_is_swept(stored: Rig, share: Path) -> None:
    item = with_files(stored, photo=("a.png", "image/png", PNG))
    stored.crash_at = "attachments.put"
    with pytest.raises(Died):
        async with stored.gateway(run=False, stop=False):
            await stored.push(item)
    (orphan,) = objects(share)
    orphan.with_name(f"{orphan.name}#1").write_bytes(b"half an upload")
    async with stored.gateway() as engine:
        assert await engine.attachments.sweep() == 0, "it may still be under way"
        request = request_id(await stored.push(item))
        stored.advance(WAIT)
        assert await engine.attachments.sweep() == 1
        assert await engine.attachments.sweep() == 0
        assert not orphan.exists()
        assert len(objects(share)) == 1
        assert await counts(stored) == (1, 1, 0)
        await stored.state(request, State.DONE)
        assert [d.content for d in stored.ticket(request).documents] == [PNG]


async def test_a_lone_process_waits_for_no_dead_one(stored: Rig, share: Path) -> None:
    stored.crash_at = "attachments.put"
    with pytest.raises(Died):
        async with stored.gateway(run=False, stop=False):
            await stored.push(with_files(stored, photo=("a.png", "image/png", PNG)))
    async with stored.gateway(run=False) as engine:
        await engine.attachments.adopt_orphans()
        assert await engine.attachments.sweep() == 0, "it may still arrive"
        stored.advance(ARRIVING.total_seconds())
        assert await engine.attachments.sweep() == 1
        assert objects(share) == []
        assert await counts(stored) == (0, 0, 0)


async def test_an_upload_that_is_too_late_is_not_counted_on(stored: Rig) -> None:
    async with stored.gateway(run=False) as engine:
        content = InMemory(PNG)
        placed = await engine.attachments.put({content.sha256: content})
        stored.advance(WAIT)
        assert await engine.attachments.sweep() == 1
        key = await stored.database.read(sealed.new_key)
        with pytest.raises(Unavailable):
            await stored.database.write(blobs.store, placed[content.sha256], "here", key)
        assert await counts(stored) == (0, 0, 0)


async def test_what_is_refused_goes_at_once(stored: Rig, share: Path) -> None:
    async with stored.gateway(run=False) as engine:
        item = with_files(stored, photo=("a.png", "image/png", PNG))
        await stored.push(item)
        item.fields["photo"]["content"] = base64.b64encode(JPEG).decode()
        item.fields["photo"]["content_type"] = "image/jpeg"
        assert (await stored.push(item)).reception is Reception.CONFLICT
        assert await engine.attachments.sweep() == 1
        assert are_sealed(share, PNG)


async def test_a_document_of_the_gru_goes_the_same_way(stored: Rig, share: Path) -> None:
    async with stored.gateway():
        item = stored.submit()
        request = request_id(await stored.push(item))
        await stored.state(request, State.DONE)
        change = Change(
            key="doc",
            reference=request,
            message="Voici",
            public=True,
            documents=(Document("r.png", "image/png", LARGE),),
        )
        assert await stored.takes(change) == 1
        await stored.rest(request)
        assert are_sealed(share, LARGE)
        assert await counts(stored) == (1, 1, 0)


def told(reference: str, content: bytes) -> Change:
    document = Document("r.png", "image/png", content)
    return Change(
        key="doc", reference=reference, message="Voici", public=True, documents=(document,)
    )


async def test_a_document_that_is_not_kept_is_not_put(
    scripted: Rig, script: Script, share: Path
) -> None:
    """A GRU repeats itself at each poll, with bytes made anew, and tells of others' requests."""
    rig = scripted
    use(rig, AttachmentStore(f"file://{share}", {}, True))
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.rest(request)
        script.tell(told(request, PNG), told("TDG-NOT-OURS", JPEG))
        assert await engine.changes.poll(rig.gru_config) == 1
        assert rig.passed.count("attachments.put") == 1
        assert are_sealed(share, PNG)
        script.tell(told(request, PNG + b"made anew"))
        assert await engine.changes.poll(rig.gru_config) == 0
        await rig.rest(request)
        await rig.database.write(erased, request, rig.clock())
        script.tell(dataclasses.replace(told(request, PNG + b"late"), key="other"))
        assert await engine.changes.poll(rig.gru_config) == 0
        assert rig.passed.count("attachments.put") == 1
        assert await counts(rig) == (1, 1, 0)


async def test_a_request_that_becomes_ours_meanwhile_loses_no_document(
    scripted: Rig, script: Script, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what is news and the transaction that keeps it."""
    rig = scripted
    use(rig, AttachmentStore(f"file://{share}", {}, True))

    def belongs(gru: str) -> None:
        with rig.database.engine.begin() as connection:
            connection.execute(update(REQUEST).values(gru=gru))

    def passing(point: str) -> None:
        if point == "changes.before_commit":
            belongs("outil")

    monkeypatch.setattr(rig, "crash", passing)
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        belongs("autre")
        script.tell(told(request, PNG))
        assert await engine.changes.poll(rig.gru_config) == 1
        await rig.rest(request)
        assert objects(share) == []
        assert await counts(rig) == (1, 1, 0)
    assert [content for _, content in rig.documents(item)] == [PNG]


async def test_a_change_of_mind_keeps_files_readable(stored: Rig, share: Path) -> None:
    """Files move from the database to the store and back, with all deliveries still waiting."""
    there = stored.catalogue.settings.attachments
    assert there is not None
    contents = {"database": PNG, "store": JPEG, "again": PNG + b"2"}
    sent: dict[str, str] = {}
    for name, setting in (
        ("database", None),
        ("store", there),
        ("again", dataclasses.replace(there, write=False)),
    ):
        use(stored, setting)
        async with stored.gateway(run=False):
            file = (f"{name}.bin", "application/octet-stream", contents[name])
            sent[name] = request_id(await stored.push(with_files(stored, photo=file)))
    assert are_sealed(share, JPEG)
    async with stored.gateway() as engine:
        await engine.attachments.check_reach()
        for name, request in sent.items():
            await stored.state(request, State.DONE)
            assert [d.content for d in stored.ticket(request).documents] == [contents[name]]
    use(stored, None)
    async with stored.gateway(run=False) as engine:
        with pytest.raises(GatewayError, match="give `attachments` again"):
            await engine.attachments.check_reach()
    assert await stored.database.read(object_gc.any_used)


async def test_check_tries_the_store(stored: Rig, share: Path) -> None:
    async with stored.gateway(run=False) as engine:
        store = engine.attachments.objects
        assert store is not None
        await attempt(store)
        assert objects(share) == []
        shutil.rmtree(share)
        with pytest.raises(Unavailable):
            await attempt(store)
        assert not there(share), "a share that is not mounted must not be made"


async def test_the_store_is_asked_by_other_credentials_from_now_on(rig: Rig) -> None:
    def keyed(secret: str) -> AttachmentStore:
        options = {"access_key_id": "passerelle", "region": "ici", "secret_access_key": secret}
        return AttachmentStore("s3://seau", {k: SecretStr(v) for k, v in options.items()}, True)

    use(rig, keyed("un"))
    async with rig.gateway(run=False) as engine:
        before = engine.attachments.objects
        assert await engine.prove(rig.catalogue) == []
        use(rig, keyed("deux"))
        assert await engine.prove(rig.catalogue) == ["attachments"]
        assert engine.attachments.objects is not before
        assert await engine.prove(rig.catalogue) == []


async def test_a_commune_that_leaves_takes_its_objects_also_when_their_store_was_away(
    stored: Rig, share: Path
) -> None:
    async with stored.gateway():
        one = request_id(await stored.push(with_files(stored, photo=("a.png", "image/png", PNG))))
        await stored.state(one, State.DONE)
        assert len(objects(share)) == 1
        now = stored.clock.now
        await decommission.announce(
            stored.database, leaving(announced_at=now, stop_at=now, drain=0, tell=60)
        )
        take_away(share)
        name = decommissions.waiting_name(BRON)

        async def looked(until: DecommissionStep, waits: bool) -> bool:
            await stored.engine.follow_departures(1)
            await stored.engine.decommissioner.advance()
            stored.advance(31)
            found = await stored.database.read(decommissions.current, BRON)
            waiting = await stored.database.read(cursors.get, name)
            return found is not None and found.step is until and (waiting is not None) is waits

        await stored.until(lambda: looked(DecommissionStep.ERASING, waits=True))
        waiting = await stored.database.read(decommissions.waits, BRON)
        assert waiting == {"objects": 1}
        assert await counts(stored) == (0, 0, 1)
        bring_back(share)
        await stored.until(lambda: looked(DecommissionStep.ENDED, waits=False))
        assert objects(share) == []
        assert await counts(stored) == (0, 0, 0)
