"""One, two and four `dispatch` processes on one PostgreSQL: speed, cost, and conflicts."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import httpx
import psycopg

from gateway.store.opening import open_database_engine
from gateway.store.outbox import lanes
from tests.bench import machine
from tests.bench.bundle import lane, portal_lane
from tests.bench.figure import Figure, bounded, faster, slower
from tests.bench.postgres import Durable, durable_server
from tests.bench.processes import Failed, Running, serving, serving_all, work
from tests.bench.rows import fill

COMMUNES = 32
CROWDS = (1, 2, 4)
#: Databases at once that claim on the same lanes, and what each settles.
RIVALS, EACH = 4, 160
#: Before the clock starts, this share is delivered: statements are prepared, connections made.
WARM = 0.25
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Drained:
    """The cost of emptying the lanes. CPU in seconds per 1,000 deliveries."""

    per_second: float
    gateway_cpu: float
    postgres_cpu: float
    #: Share of the machine's cores that had nothing to do meanwhile.
    idle: float
    #: Claims that came to no attempt, attempts that settled too late, transactions undone.
    disputes: int


def replicas(quick: bool) -> list[Figure]:
    """The same waiting requests are drained by one process, by two, and by four, in turns."""
    n = 480 if quick else 960
    with serving("farend") as far, durable_server() as postgres:
        full = postgres.empty()
        work("waiting", url=full, far=far.address, n=n, communes=COMMUNES)
        turns: dict[int, list[Drained]] = {count: [] for count in CROWDS}
        for turn in range(1 if quick else 3):
            for count in CROWDS if turn % 2 == 0 else reversed(CROWDS):
                turns[count].append(_drained(postgres, far, full, n, count))
        short = _rivals(postgres)
    return _figures({count: _middle(taken) for count, taken in turns.items()}, short)


def _middle(turns: Sequence[Drained]) -> Drained:
    """The median of each figure; but what must never be is counted over all turns."""

    def middle(of: Callable[[Drained], float]) -> float:
        return statistics.median(of(turn) for turn in turns)

    return Drained(
        per_second=middle(lambda turn: turn.per_second),
        gateway_cpu=middle(lambda turn: turn.gateway_cpu),
        postgres_cpu=middle(lambda turn: turn.postgres_cpu),
        idle=middle(lambda turn: turn.idle),
        disputes=sum(turn.disputes for turn in turns),
    )


def _drained(postgres: Durable, far: Running, full: str, n: int, count: int) -> Drained:
    url = postgres.copy(full)
    far.control()
    try:
        with TemporaryDirectory(prefix="tdg-bench-") as folder:
            told = {"far": far.address, "communes": COMMUNES, "database": url, "role": "dispatch"}
            each = [{"data_dir": f"{folder}/{i}", **told} for i in range(count)]
            with serving_all("daemon", each) as crowd:
                _share(crowd)
                pids = [one.process.pid for one in crowd]

                def spent() -> tuple[float, float, float, float]:
                    database = machine.family_cpu(postgres.pid)
                    return time.perf_counter(), machine.cpu(*pids), database, machine.idle()

                _resume(url)
                warm = _posted(far, int(2 * n * WARM))
                before = spent()
                _posted(far, 2 * n)
                _settled(url)
                after = spent()
        held = _posted(far, 2 * n)
        if held != 2 * n:
            raise Failed(f"{2 * n} deliveries, but {held} posts")
        # Only now: a connection's deadlocks are counted for all to see when it has ended.
        disputes = _disputes(url)
    finally:
        postgres.drop(url)
    seconds, gateway, database, idle = (b - a for a, b in zip(before, after, strict=True))
    done = 2 * n - warm
    return Drained(
        done / seconds,
        1000 * gateway / done,
        1000 * database / done,
        idle / (seconds * machine.CORES),
        disputes,
    )


def _share(crowd: Sequence[Running]) -> None:
    """Wait until each of them knows of all, so that every lane has its owner."""
    if len(crowd) == 1:
        return
    shared = re.compile(f'"replicas": ?{len(crowd)}, ?"working": ?true')
    deadline = time.monotonic() + PATIENCE
    while not all(shared.search(one.log.read_text()) for one in crowd):
        if time.monotonic() > deadline:
            raise Failed("the replicas never shared the lanes")
        time.sleep(0.1)


def _resume(url: str) -> None:
    """Let every lane go at once."""
    engine = open_database_engine(url)
    try:
        with engine.begin() as connection:
            for n in range(COMMUNES):
                for name in (lane(n), portal_lane(n)):
                    lanes.pause(connection, name, paused=False)
    finally:
        engine.dispose()


def _posted(far: Running, least: int) -> int:
    """Wait until the far ends have taken so much; how much it is."""
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False) as client:
        while True:
            posts: int = client.get(f"{far.address}/posts").json()["posts"]
            if posts >= least:
                return posts
            if time.monotonic() > deadline:
                raise Failed("the lanes never got empty")
            time.sleep(0.05)


def _settled(url: str) -> None:
    """Wait until the database knows that everything is done."""
    deadline = time.monotonic() + PATIENCE
    while _count(url, "SELECT count(*) FROM delivery WHERE state <> 'done'"):
        if time.monotonic() > deadline:
            raise Failed("what was delivered was never settled")
        time.sleep(0.01)


def _count(url: str, statement: str) -> int:
    with psycopg.connect(url) as connection:
        (found,) = connection.execute(statement.encode()).fetchone() or (0,)
    return int(found or 0)


def _disputes(url: str) -> int:
    # Each claim raises a fence by one, and makes one attempt unless it was given back or lost.
    vain = "(SELECT sum(fence) FROM delivery) - (SELECT count(*) FROM attempt)"
    late = "(SELECT count(*) FROM attempt WHERE state = 'late')"
    undone = "(SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())"
    return _count(url, f"SELECT {vain} + {late} + {undone}")


def _rivals(postgres: Durable) -> tuple[int, int]:
    """Claims made by databases that all work on the same lanes, and how many came back short."""
    url = postgres.empty()
    fill(url, 4 * RIVALS * EACH, communes=8)
    try:
        done = work("queueing", url=url, n=EACH, databases=RIVALS)
        disputes = _disputes(url)
    finally:
        postgres.drop(url)
    return done["claims"], done["short"] + disputes


def _figures(found: dict[int, Drained], short: tuple[int, int]) -> list[Figure]:
    one = found[CROWDS[0]]
    figures = []
    for count in CROWDS[1:]:
        many = found[count]
        name = f"{count} replicas, PostgreSQL"
        figures += [
            faster(f"deliveries, {name}", many.per_second, "/s", "one replica", one.per_second, 1),
            slower(
                f"gateway CPU for 1,000 deliveries, {name}",
                many.gateway_cpu,
                "s",
                "one replica",
                one.gateway_cpu,
                1.2,
            ),
            slower(
                f"PostgreSQL CPU for 1,000 deliveries, {name}",
                many.postgres_cpu,
                "s",
                "one replica",
                one.postgres_cpu,
                1.2,
            ),
            bounded(
                f"cores idle meanwhile, {name}",
                100 * many.idle,
                "%",
                "one replica",
                100 * one.idle,
                10,
            ),
            bounded(
                f"claims in vain, late settlements, deadlocks, {name}",
                many.disputes,
                "",
                "one replica",
                one.disputes,
                0,
            ),
        ]
    claims, conflicts = short
    figures.append(
        bounded(
            f"claims short, late or undone, {RIVALS} databases on the same lanes",
            conflicts,
            "",
            "claims made",
            claims,
            0,
        )
    )
    return figures
