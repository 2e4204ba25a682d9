"""`keys rotate` and `keys seal`, killed by the machine while requests come, and run again."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from gateway.flow.crash_points import CRASH_VARIABLE
from gateway.store import renewals, requests, resealing, sealed
from gateway.store.engine import Database
from tests import life
from tests.builders import NOW
from tests.cli.conftest import Home
from tests.cli.test_keys import give, kept, opened
from tests.sealing import master
from tests.store.acts import accept, amend

__all__ = ["kept"]

MARK = "Marqueur-Zoe-73106"


def killed(home: Home, *words: str, at: str) -> None:
    """Run a command that dies at a point."""
    environ = {**os.environ, CRASH_VARIABLE: at}
    one = life.begin([*words, *home.where], environ, home.folder / "command.log")
    assert one.wait(60) == -signal.SIGKILL, (home.folder / "command.log").read_text()


def test_masters_rotate_under_load_and_a_killed_rotation_goes_on(home: Home, kept: Path) -> None:
    give(home, "old")
    with opened(home) as database:
        sealer = database.sealer
        assert sealer is not None
        sealer._made(1500)  # noqa: SLF001 - as of so many requests

        async def works() -> tuple[int, int]:
            """Accept, amend and read until the rotation is over; count it, and failures."""
            done = failed = 0
            while not over.is_set():
                try:
                    first = await accept(database, ref=f"load {done}")
                    later = await amend(database, f"load {done}", 1)
                    for one in (first, later):
                        assert await database.read(requests.event_body, one.event_id or "")
                except Exception:
                    failed += 1
                done += 1
                await asyncio.sleep(0.02)
            return done, failed

        async def rotates() -> tuple[int, int]:
            give(home, "new", "old")
            sealer.masters = (master("new"), master("old"))  # as `secrets reload`
            known = [one.id for one in sealer.masters]
            await database.write(renewals.record_answer, "d1", "", None, NOW.now(NOW.tzinfo), known)
            load = asyncio.create_task(works())
            for nth in ("1", "2"):
                await asyncio.to_thread(killed, home, "keys", "rotate", at=f"keys.rewrapped:{nth}")
                assert sealer.keys.count_by_master()[master("old").id], "it was not over"
            told = await asyncio.to_thread(home.run, "keys", "rotate", "--json")
            assert told.exit_code == 0, told.output
            over.set()
            return await load

        over = asyncio.Event()
        done, failed = asyncio.run(rotates())
        assert done > 10
        assert failed == 0
        assert set(sealer.keys.count_by_master()) == {master("new").id}
        ids = asyncio.run(database.read(resealing.keys_after, "", 10_000))
    give(home, "new")
    with opened(home) as database:
        assert asyncio.run(database.read(sealed.count_lost, [key for _, key in ids])) == 0
        for request_id, _ in ids:
            assert asyncio.run(database.read(requests.first_body, request_id))


@pytest.mark.parametrize("at", ["sealing.sealed:1", "sealing.sealed:3"])
def test_a_killed_sealing_of_an_old_database_goes_on(home: Home, kept: Path, at: str) -> None:
    database = Database(f"sqlite:///{kept}")
    for n in range(45):  # three transactions
        photo = {"photo": f"JPEG {MARK} {n % 3}".encode() * 100}
        asyncio.run(accept(database, ref=f"{n}", fields={"description": MARK}, files=photo))
    database.close()
    with opened(home):  # a start binds the keys to it
        pass
    killed(home, "keys", "seal", at=at)
    done = home.run("keys", "seal", "--json")
    assert done.exit_code == 0, done.output
    assert home.run("keys", "check").exit_code == 0
    found = [path for path in kept.parent.iterdir() if MARK.encode() in path.read_bytes()]
    assert found == []
    with opened(home) as database:
        for request_id, _ in asyncio.run(database.read(resealing.keys_after, "", 100)):
            body = asyncio.run(database.read(requests.first_body, request_id))
            assert body is not None
            assert body["fields"]["description"] == MARK
