"""A full disk: what cannot be kept is not said to be kept, and room is all that mends it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.demo.samples import ANOMALY, sample
from gateway.demo.stage import BRON, intake
from gateway.sim.formdata import file_value
from tests.acceptance.town import Town, open_town, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB where the gateway keeps its data."""
    disk = tmp_path / "var"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk can only be mounted by root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left; the file that holds them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    assert shutil.disk_usage(disk).free == 0
    return filler


def with_photo(town: Town, size: int) -> tuple[str, str]:
    """A citizen sends a form with a photo of `size` bytes; not pushed yet."""
    form = sample(ANOMALY)
    jpeg = b"\xff\xd8\xff\xe0" + random.Random(size).randbytes(size)
    form["fields"]["photo"] = file_value("photo.jpg", "image/jpeg", jpeg)
    item = town.stage.portal.submit_sample(form)
    return item.form.slug, item.id


async def answers(town: Town, key: tuple[str, str]) -> httpx.Response:
    """Push one formdata once; the gateway's answer, headers included."""
    seen: list[httpx.Response] = []

    async def keep(response: httpx.Response) -> None:
        seen.append(response)

    async with httpx.AsyncClient(verify=False, event_hooks={"response": [keep]}) as client:
        await town.stage.portal.push(
            key[1],
            intake(town.stage.url, BRON, key[0]),
            town.stage.caller_key,
            slug=key[0],
            orig="toodego",
            client=client,
        )
    assert len(seen) == 1
    return seen[0]


async def test_a_full_disk_refuses_and_room_mends_it(small_disk: Path, tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        # Without room for one request of the largest size it is not ready.
        with (town.gateway.config / "gateway.yaml").open("a", encoding="utf-8") as settings:
            settings.write("limits: {body_mb: 8, file_mb: 4}\n")
        await town.gateway.start()
        town.send(1, 1)
        await until(lambda: all(task.done() for task in town.pushing), "all is taken")
        await until(town.nothing_owed, "all is told")

        filler = fill(small_disk)
        large = [with_photo(town, 2_000_000 + n) for n in range(3)]
        for key in large:
            answer = await answers(town, key)
            assert answer.status_code == 503, answer.text
            assert 0 < int(answer.headers["Retry-After"]) <= 600
        assert await town.gateway.readiness() == 503
        # What is small may fit where the database had room; if it says so, it is true.
        town.send(3, 0)
        await asyncio.sleep(2)
        assert town.gateway.lives

        assert await town.gateway.readiness() == 503
        filler.unlink()

        async def ready() -> bool:
            return await town.gateway.readiness() == 200

        await until(ready, "it is ready again, without a restart")
        for key in large:
            assert (await answers(town, key)).status_code == 201
            town.sent[key] = town.stage.portal.get(*key)
        await town.settle()
        assert len(town.sent) == 8


async def test_a_disk_that_fills_while_a_body_comes_is_no_loss(
    small_disk: Path, tmp_path: Path
) -> None:
    """The database has room for what is small; the file of a large push does not fit beside it."""
    async with open_town(tmp_path) as town:
        with (town.gateway.config / "gateway.yaml").open("a", encoding="utf-8") as settings:
            settings.write("limits: {body_mb: 13, file_mb: 10}\n")
        await town.gateway.start()
        filler = fill(small_disk)
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - 3_000_000)
        key = with_photo(town, 9_000_000)
        answer = await answers(town, key)
        assert answer.status_code == 503, answer.text
        assert 0 < int(answer.headers["Retry-After"]) <= 600
        assert shutil.disk_usage(small_disk).free > 2_000_000, "what was begun is given back"
        town.send(2, 0)
        await until(lambda: all(task.done() for task in town.pushing), "all is taken")

        filler.unlink()
        small = with_photo(town, 1_500_000)
        assert (await answers(town, small)).status_code == 201
        town.sent[small] = town.stage.portal.get(*small)
        await town.settle()
