"""Replicas exchanged over every schema since the first, killed midway; and code rolled back.

    python -m tests.replicas.exchange               # every revision
    python -m tests.replicas.exchange --back COMMIT # and old code beside new, and the way back

For each revision a PostgreSQL database at that revision holds requests that were acknowledged and
not yet sent. Two replicas of this program start on it at once; one is killed while the schema is
brought up, and started again; more requests come in meanwhile. `--back`: two replicas of an older
program (a commit whose schema is 0013 or newer) work under load; they are exchanged one by one for
this program, the one that stays is killed and started again beside the new schema, and at the end
both are the older program again. What came of it is counted in the far ends. Prints one JSON line
for each; exit status 1 when anything is lost, twice or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import MetaData, insert, select

from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.store.opening import open_database_engine
from gateway.store.schema import _script, alembic_config, status
from tests.acceptance.town import until
from tests.life import ROOT
from tests.replicas.crowd import Crowd, Replica, open_crowd
from tests.replicas.standby import newest_installed
from tests.store.postgres import Server, server

#: What a call may take, in seconds.
TIMEOUT = 5.0
_TABLES = ("request", "event", "delivery", "installation")


class Old:
    """A process of an older program, to be used as a `tests.life.Life`."""

    def __init__(self, tree: Path, one: Replica) -> None:
        where = ("--config", str(one.config), "--mappings", str(tree / "mappings"))
        with one.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--dev", "--role", one.role, *where],
                cwd=tree,
                env={**one.environ, "PYTHONPATH": str(tree)},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


async def start_old(one: Replica, tree: Path) -> None:
    life: Any = await asyncio.to_thread(Old, tree, one)
    one.process = life
    await until(one.ready_or_gone, "the older program starts")
    assert one.lives, one.said[-3000:]


async def stop(one: Replica) -> None:
    one.signal(signal.SIGTERM)
    await one.dies()


async def send(crowd: Crowd, count: int) -> None:
    """Push `count` requests without files of each form, until each is taken."""
    town, dice = crowd.town, crowd.town.stage.dice
    forms = [anomaly(sample(ANOMALY), dice, photo=False) for _ in range(count)]
    forms += [registration(sample(SCHOOL), dice) for _ in range(count)]
    for form in forms:
        item = town.stage.portal.submit_sample(form)
        town.sent[item.form.slug, item.id] = item
        await asyncio.wait_for(town.push(item), 120)


def copy_rows(source: str, target: str) -> int:
    """The requests of one database in another of an older schema; how many."""
    engines = [open_database_engine(url) for url in (source, target)]
    tables = []
    for engine in engines:
        found = MetaData()
        found.reflect(engine)
        tables.append(found.tables)
    copied = 0
    with engines[0].connect() as old, engines[1].begin() as new:
        for name in _TABLES:
            if name not in tables[1]:
                continue
            both = [c for c in tables[0][name].c if c.name in tables[1][name].c]
            rows = [dict(row._mapping) for row in old.execute(select(*both))]
            if rows:
                new.execute(insert(tables[1][name]), rows)
            copied += len(rows) if name == "request" else 0
    for engine in engines:
        engine.dispose()
    return copied


def at_revision(running: Server, revision: str) -> str:
    url = running.empty()
    engine = open_database_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()
    return url


async def over(folder: Path, running: Server, revision: str, dice: random.Random) -> dict[str, Any]:
    """Exchange the program: from this revision to the newest."""
    head, old = running.empty(), at_revision(running, revision)
    roles = ("intake", "all", "all")
    async with open_crowd(folder, head, roles=roles, timeout=TIMEOUT) as crowd:
        intake, *others = crowd.replicas
        await intake.start()
        await send(crowd, 2)
        await stop(intake)
        copied = await asyncio.to_thread(copy_rows, head, old)
        for one in crowd.replicas:
            one.database = old
        crowd.dsn = old
        await asyncio.gather(*(one.start(until_ready=False) for one in others))
        # From its first instruction to some time after the schema is up.
        wait = dice.uniform(0.2, 4.0)
        await asyncio.sleep(wait)
        at = (await asyncio.to_thread(status, old)).current
        await others[0].kill()
        await others[0].start()
        await until(others[1].ready_or_gone, "the other one, too")
        assert others[1].lives, others[1].said[-2000:]
        await intake.start()
        await send(crowd, 1)
        return await _told(crowd, {"from": revision, "kept": copied, "killed_at": at})


async def back(folder: Path, running: Server, tree: Path) -> dict[str, Any]:
    """Old to new, one by one, and all the way back."""
    url = running.empty()
    async with open_crowd(folder, url, roles=("all", "all"), timeout=TIMEOUT) as crowd:
        first, second = crowd.replicas
        await start_old(first, tree)
        await start_old(second, tree)
        before = (await asyncio.to_thread(status, url)).current
        sending = asyncio.create_task(_keep_sending(crowd))
        await stop(second)
        await second.start()  # new: the schema is brought up beside the old one at work
        after = (await asyncio.to_thread(status, url)).current
        await first.kill()
        await start_old(first, tree)  # beside the new schema
        await second.kill()
        await second.start()
        await stop(first)
        await first.start()
        await asyncio.sleep(2)
        await second.kill()
        await start_old(second, tree)  # the way back
        await stop(first)
        await start_old(first, tree)
        await asyncio.sleep(2)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return await _told(crowd, {"from": before, "to": after, "back": True})


async def _keep_sending(crowd: Crowd) -> None:
    while True:
        crowd.town.send(1, 1)
        await asyncio.sleep(1)


async def _told(crowd: Crowd, more: dict[str, Any]) -> dict[str, Any]:
    wrong = await crowd.town.wrongs()
    return {**more, "requests": len(crowd.town.sent), "wrong": wrong}


def checkout(commit: str, folder: Path) -> Path:
    """A copy of the project's files at a commit."""
    tree = folder / "old"
    tree.mkdir()
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True)
    if archive.wait():
        raise SystemExit(f"no such commit: {commit}")
    return tree


async def _main(given: argparse.Namespace) -> int:
    bad = 0
    dice = random.Random(given.seed)
    where = newest_installed()
    print(f"PostgreSQL of {where}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="tdg-exchange-") as name, server(where) as running:
        folder = Path(name)
        every = [one.revision for one in reversed(list(_script().walk_revisions()))]
        for revision in [] if given.back else given.only or every[:-1]:
            home = folder / revision
            home.mkdir()
            told = await over(home, running, revision, dice)
            print(json.dumps(told), flush=True)
            bad += bool(told["wrong"])
        if given.back:
            tree = checkout(given.back, folder)
            home = folder / "back"
            home.mkdir()
            told = await back(home, running, tree)
            print(json.dumps({**told, "commit": given.back}), flush=True)
            bad += bool(told["wrong"])
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="these revisions alone")
    parser.add_argument("--back", help="a commit of an older program that may run on this schema")
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
