"""Attachments that lie beside the database, where all replicas read them."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.demo.samples import SCHOOL, sample
from tests.replicas.crowd import open_crowd


async def test_files_in_a_shared_folder_are_sent_by_whoever_lives(dsn: str, tmp_path: Path) -> None:
    """Taken in by one process, put into the folder by it, sent by another; all of them killed."""
    dice = random.Random(6)
    objects = tmp_path / "objects"
    objects.mkdir()
    async with open_crowd(tmp_path, dsn, seed=6, objects=objects) as crowd:
        stage = crowd.town.stage
        stage.villeurbanne.faults.slow(0.1)
        await asyncio.gather(*(one.start() for one in crowd.replicas))
        for _ in range(3):
            crowd.town.send(0, 4)
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            for one in (crowd.intake, dice.choice(crowd.dispatch)):
                await one.kill()
                await one.start(until_ready=False)
        await crowd.town.settle()
        sent = sorted(_contents(sample(SCHOOL)))
        assert len(sent) == 5
        assert len(stage.villeurbanne.tickets) == 12
        for ticket in stage.villeurbanne.tickets:
            assert sorted(document.content for document in ticket.documents) == sent
        kept = crowd.ask("SELECT count(*) > 0, bool_and(place IS NOT NULL) FROM blob")
        assert kept == [(True, True)]
        assert any(path.is_file() for path in objects.rglob("*"))


def _contents(value: Any) -> Iterator[bytes]:
    """The bytes of all files in a formdata."""
    if isinstance(value, dict):
        if "content_is_base64" in value:
            yield base64.b64decode(value["content"])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _contents(one)
