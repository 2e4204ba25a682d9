"""Files in an object store: an erasure is not over while any of them may still lie there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.erasure import Phase
from gateway.store.object_gc import UNDER_WAY
from gateway.store.rows import Reception
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, Following, uuid
from tests.flow.rig import BRON, Died


@pytest.fixture
def stored(follow: Build, tmp_path: Path) -> Following:
    folder = tmp_path / "share"
    folder.mkdir()
    world = follow("deletions")
    settings = dataclasses.replace(
        world.rig.catalogue.settings, attachments=AttachmentStore(f"file://{folder}", {}, True)
    )
    world.rig.catalogue = dataclasses.replace(world.rig.catalogue, settings=settings)
    return world


async def test_what_a_crash_left_of_the_person_goes_first(stored: Following) -> None:
    """A file that was put and never counted on is in nobody's name, and may be this person's."""
    rig = stored.rig
    rig.alone = False  # with others at work, so that it has its hour
    async with rig.gateway(stop=False):
        await stored.people(4)
        stored.provider.create(uuid(9))
        item = stored.form(uuid(9), BRON, marker=MARKER, photo=True)
        rig.crash_at = "attachments.put"
        with pytest.raises(Died):
            await stored.push(item)
    async with rig.gateway():
        await stored.push(item)
        stored.provider.delete(uuid(9))
        await stored.poll()
        await rig.until(lambda: _scrubbed(stored))
        for _ in range(3):
            await rig.engine.eraser.advance()
        assert (await stored.the()).state is Phase.SCRUBBED
        assert [place for place in stored.places() if "share" in place] != []
        rig.advance(UNDER_WAY.total_seconds())
        await stored.erased(step=10)
        assert stored.places() == []


async def test_what_comes_late_is_not_put(stored: Following) -> None:
    """The person is erased, and the portal pushes the request again, and a new one: refused."""
    rig = stored.rig
    async with rig.gateway():
        await stored.people(4)
        stored.provider.create(uuid(9))
        first = stored.form(uuid(9), BRON, marker=MARKER, photo=True)
        await stored.push(first)
        assert rig.passed.count("attachments.put") == 1
        stored.provider.delete(uuid(9))
        await stored.poll()
        await stored.erased(step=10)
        second = stored.form(uuid(9), BRON, marker=MARKER, photo=True)
        for item in (first, second):
            assert (await stored.push(item)).reception is Reception.ERASED
        # The account is no longer told, and the request is known all the same.
        first.user = None
        assert (await stored.push(first)).reception is Reception.ERASED
        assert rig.passed.count("attachments.put") == 1
        assert stored.places() == []


async def _scrubbed(world: Following) -> bool:
    world.rig.advance(1)
    await world.rig.engine.eraser.advance()
    return (await world.the()).state is Phase.SCRUBBED
