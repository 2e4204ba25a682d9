"""A backup taken under load and put back after more was done: on SQLite and on PostgreSQL.

    python -m tests.replicas.restore [sqlite postgresql]

One gateway takes requests and delivers them all the while. Midway the operator's commands take a
backup (`gru-gateway backup`, or `pg_dump`); some seconds later the gateway is killed, what it had
is thrown away, the backup put back (`restore`, or `pg_restore` and `db restored`), and it is
started again, with the portal still pushing. Prints one JSON line for each. `missing` were
acknowledged before the backup began and are not in it; `doubted` are deliveries that
wait in it and are asked about first; `vanished` were acknowledged later, and what was put back has
them not: reconcile brings them back. `moved` have another reference in the end than the portal was
told; `lost`, `doubled` and `disordered` are counted in the far ends. Exit status 1 when anything is
wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select

from gateway.cli.root import app
from gateway.core.delivery import State
from gateway.demo.tally import tally
from gateway.store.opening import open_database_engine
from gateway.store.tables import DELIVERY, REQUEST
from tests.acceptance.town import Gateway, Town, open_town
from tests.command import CliRunner
from tests.files import edit
from tests.replicas.failover import acknowledged, keep_sending
from tests.replicas.standby import newest_installed
from tests.store.postgres import USER, Server, database_of, server

#: Seconds of load before the backup, between it and the loss, and after the restore.
BEFORE, BETWEEN, AFTER = 12.0, 12.0, 4.0
#: What a call may take, in seconds, and what each call to a GRU takes.
TIMEOUT, SLOW = 5.0, 0.5

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Means:
    """An operator's way to copy the database and to restore it; both block."""

    address: str
    back_up: Callable[[], object]
    put_back: Callable[[], object]


def of_sqlite(folder: Path, gateway: Gateway) -> Means:
    copy = folder / "backup"
    found = [*gateway.config.parent.rglob("gateway.db")]
    assert len(found) == 1, found
    return Means(
        f"sqlite:///{found[0]}",
        lambda: command(gateway, "backup", str(copy)),
        lambda: command(gateway, "restore", str(copy), "--replace"),
    )


def of_postgresql(folder: Path, gateway: Gateway, running: Server, where: Path) -> Means:
    assert gateway.database is not None
    name = database_of(gateway.database)
    at = ("-h", str(running.folder), "-U", USER)
    copy = folder / "backup.dump"

    def back_up() -> None:
        run(where / "pg_dump", *at, "--format=custom", f"--file={copy}", name)

    def put_back() -> None:
        running.run(f"DROP DATABASE {name} WITH (FORCE)")
        running.run(f"CREATE DATABASE {name} TEMPLATE template0")
        run(where / "pg_restore", *at, "--exit-on-error", f"--dbname={name}", copy)
        command(gateway, "db", "restored")

    return Means(gateway.database, back_up, put_back)


def command(gateway: Gateway, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, *gateway.where], env=gateway.environ)
    if done.exit_code:
        raise RuntimeError(f"{' '.join(arguments)}: {done.output}")
    return done.output


def run(program: Path, *arguments: str | Path) -> None:
    subprocess.run([program, *arguments], check=True)


def held(address: str) -> tuple[dict[tuple[str, str], str], int]:
    """Return the database's reference of each form, and the number of deliveries in doubt."""
    form = (REQUEST.c.teleservice, REQUEST.c.ref, REQUEST.c.id)
    doubted = DELIVERY.c.state == State.UNSURE.value
    engine = open_database_engine(address)
    try:
        with engine.begin() as connection:
            names = {(row[0], row[1]): row[2] for row in connection.execute(select(*form))}
            return names, connection.execute(select(func.count()).where(doubted)).scalar_one()
    finally:
        engine.dispose()


async def play(folder: Path, kind: Kind, running: Server | None, where: Path) -> dict[str, Any]:
    """Load, backup, more load, loss, restore, and all that follows."""
    address = None if running is None else running.empty()
    async with open_town(folder, database=address) as town:
        gateway = town.gateway
        for file in gateway.config.rglob("*.yaml"):
            file.write_text(file.read_text().replace("timeout: 1.0", f"timeout: {TIMEOUT}"))
        edit(
            gateway.config / "gateway.yaml",
            "{commune: fields.commune_raw}",
            "{commune: fields.commune_raw, reconcile: 5}",
        )
        await gateway.start()
        if running is None:
            means = of_sqlite(folder, gateway)
        else:
            means = of_postgresql(folder, gateway, running, where)
        for far_end in (town.stage.bron, town.stage.villeurbanne):
            far_end.faults.slow(SLOW)
        told: dict[str, Any] = {"database": kind}
        async with sending(town):
            await asyncio.sleep(BEFORE)
            before = acknowledged(town)
            with timed(told, "backup_s"):
                await asyncio.to_thread(means.back_up)
            await asyncio.sleep(BETWEEN)
            await gateway.kill()
            after = acknowledged(town)
            with timed(told, "away_s"):
                with timed(told, "restore_s"):
                    await asyncio.to_thread(means.put_back)
                kept, doubted = await asyncio.to_thread(held, means.address)
                await gateway.start()
            await asyncio.sleep(AFTER)
        wrong = await town.wrongs()
        counted = tally(town.stage)
        end, _ = await asyncio.to_thread(held, means.address)
        moved = {key for key in town.sent if town.references(key) != {end.get(key)}}
        told |= {
            "requests": counted.requests,
            "acknowledged_before": len(before),
            "missing": len(before - kept.keys()),
            "doubted": doubted,
            "vanished": len(after - kept.keys()),
            "moved": len(moved),
            "lost": counted.lost,
            "doubled": counted.duplicates,
            "disordered": town.disordered(),
            "wrong": wrong,
        }
        told["ok"] = not (wrong or moved or before - kept.keys())
        return told


@asynccontextmanager
async def sending(town: Town) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_sending(town))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextmanager
def timed(told: dict[str, Any], name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    told[name] = round(time.monotonic() - begun, 1)


async def _main(kinds: list[Kind]) -> int:
    bad = 0
    where = newest_installed()
    for kind in kinds:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tdg-restore-")))
            running = stack.enter_context(server(where)) if kind == "postgresql" else None
            told = await play(folder, kind, running, where)
        print(json.dumps(told), flush=True)
        bad += not told["ok"]
    return 1 if bad else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(asyncio.run(_main([kind for kind in KINDS if not given or kind in given])))
