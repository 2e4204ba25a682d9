"""The portal's answers while PostgreSQL is frozen, exhausted, read-only or behind pgbouncer.

    python -m tests.replicas.trouble [frozen exhausted read-only crashed session transaction]

One real replica over Debian's PostgreSQL (and pgbouncer, where installed); pushes leave four times
a second, each with the portal's patience of 28 s. Prints one JSON line for each trouble: the
answers and the longest wait while it lasts, when readiness went off, and after how many seconds of
the trouble's end a push is kept again and the replica is ready; and whether all that was pushed
came to the far ends once. Exit status 1 when something did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from gateway.cli.root import app
from gateway.demo.samples import ANOMALY, anomaly, sample
from gateway.demo.stage import BRON, intake
from tests.acceptance.town import REUSED_WITHIN, free_port, until
from tests.command import CliRunner
from tests.replicas.crowd import Crowd, open_crowd
from tests.replicas.standby import newest_installed
from tests.store.postgres import Server, database_of, folder_of_nobody, frozen, server

#: How long each trouble lasts, in seconds, and the portal's patience.
LASTS, PATIENCE = 12.0, 28.0
EVERY = 0.25
PGBOUNCER = Path("/usr/sbin/pgbouncer")
POOLED = PGBOUNCER.exists()
POOLS = ("session", "transaction")


@dataclass(slots=True)
class Push:
    at: float
    seconds: float
    status: int


@dataclass(slots=True)
class Portal:
    """Pushes one new form after the other, each until it is kept."""

    crowd: Crowd
    client: httpx.AsyncClient
    answers: list[Push] = field(default_factory=list)
    #: 503 that did not say when to try again.
    bare: int = 0
    stop: bool = False
    ready: list[tuple[float, int]] = field(default_factory=list)

    async def push(self) -> None:
        stage = self.crowd.town.stage
        item = stage.portal.submit_sample(anomaly(sample(ANOMALY), stage.dice, photo=False))
        self.crowd.town.sent[ANOMALY, item.id] = item
        while True:
            begun = time.monotonic()
            verdict = await stage.portal.push(
                item.id,
                intake(stage.url, BRON, ANOMALY),
                stage.caller_key,
                slug=ANOMALY,
                orig="toodego",
                client=self.client,
            )
            status = verdict.status or 0
            self.answers.append(Push(begun, time.monotonic() - begun, status))
            if 200 <= status < 300:
                return
            await asyncio.sleep(1)

    async def run(self) -> None:
        """Until it is to stop, and then until all that was begun is kept: one that is cut midway
        would leave its form for an hour as one whose actions run."""
        async with asyncio.TaskGroup() as group:
            while not self.stop:
                group.create_task(self.push())
                await asyncio.sleep(EVERY)

    async def hear(self, response: httpx.Response) -> None:
        self.bare += response.status_code == 503 and "retry-after" not in response.headers

    async def look(self) -> None:
        while True:
            self.ready.append((time.monotonic(), await self.crowd.intake.readiness()))
            await asyncio.sleep(0.25)


Trouble = Callable[[Server], Any]


@contextmanager
def exhausted(running: Server) -> Iterator[None]:
    """Others have all slots, and half of what the gateway had."""
    held: list[psycopg.Connection[Any]] = []

    def take_all() -> None:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                held.append(psycopg.connect(running.url("postgres"), autocommit=True))

    take_all()
    held[0].execute(
        "SELECT pg_terminate_backend(pid) FROM (SELECT pid, row_number() OVER () AS n"
        " FROM pg_stat_activity WHERE application_name = 'gru-gateway') AS one WHERE n % 2 = 0"
    )
    take_all()
    try:
        yield
    finally:
        for one in held:
            one.close()


@contextmanager
def read_only(running: Server) -> Iterator[None]:
    """New transactions write nothing, as on a stale standby behind the address."""
    running.run("ALTER SYSTEM SET default_transaction_read_only = on")
    running.run("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with psycopg.connect(running.url("postgres"), autocommit=True) as one:
            one.execute("SET default_transaction_read_only = off")
            one.execute("ALTER SYSTEM RESET default_transaction_read_only")
            one.execute("SELECT pg_reload_conf()")


@contextmanager
def stopped(running: Server) -> Iterator[None]:
    """It crashes, and is started again."""
    running.stop(signal.SIGQUIT)
    try:
        yield
    finally:
        running.start()


TROUBLES: dict[str, Trouble] = {
    "frozen": frozen,
    "exhausted": exhausted,
    "read-only": read_only,
    "crashed": stopped,
}


async def play(folder: Path, running: Server, url: str, name: str) -> dict[str, Any]:
    """One trouble, from a quiet start to a settled end."""
    async with open_crowd(folder, url, roles=("all",), timeout=5) as crowd:
        await crowd.intake.start()
        limits = httpx.Limits(max_connections=None, keepalive_expiry=REUSED_WITHIN)
        async with httpx.AsyncClient(verify=False, timeout=PATIENCE, limits=limits) as client:
            portal = Portal(crowd, client)
            client.event_hooks = {"response": [portal.hear]}
            pushing = asyncio.create_task(portal.run())
            looking = asyncio.create_task(portal.look())
            await asyncio.sleep(3)
            begun = time.monotonic()
            trouble = TROUBLES[name](running)
            await asyncio.to_thread(trouble.__enter__)
            try:
                await asyncio.sleep(LASTS)
            finally:
                await asyncio.to_thread(trouble.__exit__, None, None, None)
            end = time.monotonic()
            await until(lambda: _well(portal, end), "all is well again")
            await asyncio.sleep(2)
            portal.stop = True
            await asyncio.wait_for(pushing, PATIENCE * 2)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        found = _told(portal, begun, end)
        wrong = await crowd.town.wrongs()
        said = [json.loads(line) for line in crowd.intake.said.splitlines() if line[:1] == "{"]
        logged = Counter(
            f"{line['event']} {line.get('what', '')}".strip()
            for line in said
            if line.get("event", "").startswith(("database.", "notices."))
        )
        return {"trouble": name, **found, "logged": dict(logged), "wrong": wrong}


def _well(portal: Portal, end: float) -> bool:
    kept = any(p.at > end and 200 <= p.status < 300 for p in portal.answers)
    return kept and portal.ready[-1][1] == 200 and portal.ready[-1][0] > end


def _told(portal: Portal, begun: float, end: float) -> dict[str, Any]:
    during = [p for p in portal.answers if begun <= p.at < end]
    off = [at for at, status in portal.ready if begun <= at and status == 503]
    on = [at for at, status in portal.ready if at > end and status == 200]
    again = [p.at + p.seconds for p in portal.answers if p.at > end and 200 <= p.status < 300]
    return {
        "answers": dict(sorted(Counter(str(p.status) for p in during).items())),
        "without_retry_after": portal.bare,
        "longest": round(max((p.seconds for p in during), default=0), 1),
        "ready_off_after": round(off[0] - begun, 1) if off else None,
        "kept_again_after": round(min(again) - end, 1) if again else None,
        "ready_again_after": round(min(on) - end, 1) if on else None,
    }


@asynccontextmanager
async def pooled(running: Server, mode: str) -> AsyncIterator[str]:
    """The address of a pgbouncer in this mode before the server."""
    folder, start = folder_of_nobody()
    port = free_port()
    (folder / "users").write_text('"gateway" ""\n')
    (folder / "bouncer.ini").write_text(
        f"[databases]\n* = host={running.folder} port=5432 user=gateway\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\nauth_file = {folder}/users\n"
        "ignore_startup_parameters =\nmax_client_conn = 100\ndefault_pool_size = 20\n"
    )
    process = start(str(PGBOUNCER), str(folder / "bouncer.ini"))
    try:
        await asyncio.sleep(1)
        yield f"postgresql://gateway@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def behind_pgbouncer(folder: Path, running: Server, mode: str) -> dict[str, Any]:
    """Start, take, deliver, settle: or why not."""
    name = database_of(running.empty())
    async with (
        pooled(running, mode) as address,
        open_crowd(folder, f"{address}/{name}", roles=("all",), timeout=5) as crowd,
    ):
        await crowd.intake.start(until_ready=False)
        await until(crowd.intake.ready_or_gone, "it starts or ends")
        if not crowd.intake.lives:
            last = crowd.intake.said.strip().splitlines()[-1]
            checked = await asyncio.to_thread(_check, crowd)
            refused = "pool_mode = session"
            well = mode == "transaction" and refused in last and refused in checked
            return {
                "trouble": f"pgbouncer, {mode} mode",
                "refused": last[:400],
                "check": checked,
                "wrong": "" if well else "it did not start, or not for that",
            }
        crowd.town.send(6, 4)
        wrong = await crowd.town.wrongs()
        pushes = Counter(str(p.verdict.status) for p in crowd.town.stage.portal.pushes)
        return {"trouble": f"pgbouncer, {mode} mode", "answers": dict(pushes), "wrong": wrong}


def _check(crowd: Crowd) -> str:
    """Return the lines of `check` about the database."""
    one = crowd.intake
    done = CliRunner().invoke(app, ["check", "--json", *one.where], env=one.environ)
    lines = [line for line in done.output.splitlines() if "pool" in line]
    return f"exit {done.exit_code}: {' '.join(' '.join(lines).split())[:600]}"


async def _main(names: list[str]) -> int:
    bad = 0
    where = newest_installed()
    print(f"PostgreSQL of {where}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="tdg-trouble-") as folder,
        server(where) as running,
    ):
        for name in (one for one in TROUBLES if not names or one in names):
            home = Path(folder) / name
            home.mkdir()
            told = await play(home, running, running.empty(), name)
            print(json.dumps(told), flush=True)
            bad += bool(told["wrong"])
        if POOLED:
            for mode in (one for one in POOLS if not names or one in names):
                home = Path(folder) / mode
                home.mkdir()
                told = await behind_pgbouncer(home, running, mode)
                print(json.dumps(told), flush=True)
                bad += bool(told["wrong"])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
