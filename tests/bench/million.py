"""The cost of a million rows (claim and settle, start, memory), and of a large file."""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import psycopg

from gateway.sdk.publik.signature import sign_url
from tests.bench.bundle import KEY, ORIG, formdata, path
from tests.bench.figure import Figure, added, bounded, faster, rounds
from tests.bench.plans import GROWING, plans
from tests.bench.postgres import durable_server
from tests.bench.processes import Failed, Running, serving, work
from tests.bench.rows import fill

MILLION = 1_000_000
#: Rows of the table that is called empty: what the measure itself takes from it.
FEW = 8_000
FILE = 50 * 1024 * 1024


def throughput_sqlite(quick: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:

        def make(name: str) -> str:
            return f"sqlite:///{folder}/{name}.db"

        return _throughput("SQLite", quick, make("empty"), make("waiting"), make("history"))


def throughput_postgres(quick: bool) -> list[Figure]:
    with durable_server() as postgres:
        urls = [postgres.empty() for _ in range(3)]
        return _throughput("PostgreSQL", quick, *urls)


def _throughput(engine: str, quick: bool, empty: str, waiting: str, history: str) -> list[Figure]:
    million = MILLION // 10 if quick else MILLION
    n = 400 if quick else 1200

    def old() -> None:
        fill(history, million, done=True)
        fill(history, FEW, after=million, communes=8)

    with ThreadPoolExecutor() as pool:
        tasks = [
            pool.submit(fill, empty, FEW, communes=8),
            pool.submit(fill, waiting, million),
            pool.submit(old),
        ]
        for task in tasks:
            task.result()
    large = (waiting, history)
    faults = [fault for url in large for plan in plans(url) for fault in plan.faults()]
    if faults:
        raise Failed("statements that miss their index: " + "; ".join(faults))
    counted = engine == "PostgreSQL"
    before = _walks(large) if counted else 0

    def settled(url: str) -> float:
        return float(work("queueing", url=url, n=n)["per_second"])

    turns = 1 if quick else 5
    few, many, aged = rounds(
        turns,
        lambda: settled(empty),
        lambda: settled(waiting),
        lambda: settled(history),
    )
    name = f"claims settled, {engine}, {million:,} rows "
    figures = [
        faster(name + "waiting", many, "/s", "empty tables", few, 0.9),
        faster(name + "in history", aged, "/s", "empty tables", few, 0.9),
    ]
    if counted:
        figures.append(
            bounded(
                f"growing tables walked through meanwhile, {engine}, {million:,} rows",
                _walks(large) - before,
                "",
                "claims settled",
                2 * turns * n,
                0,
            )
        )
    return figures


def _walks(urls: Sequence[str]) -> int:
    """Return how often PostgreSQL has read a growing table from end to end."""
    statement = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
    walks = 0
    for url in urls:
        with psycopg.connect(url) as connection:
            (found,) = connection.execute(statement, [list(GROWING)]).fetchone() or (0,)
        walks += int(found)
    return walks


@contextmanager
def _daemon(folder: str, far: Running, **more: object) -> Iterator[tuple[Running, float]]:
    """A daemon, and the seconds from its start until /ops/ready said 200."""
    clock = time.perf_counter()
    with serving("daemon", data_dir=folder, far=far.address, **more) as ours:
        while httpx.get(f"{ours.address}/ops/ready", trust_env=False).status_code != 200:
            if time.perf_counter() - clock > 60:
                raise Failed("the daemon never got ready")
            time.sleep(0.01)
        yield ours, time.perf_counter() - clock


def start_and_memory(quick: bool) -> list[Figure]:
    """A daemon at work on 58 lanes, its database empty or with a million waiting."""
    million = MILLION // 10 if quick else MILLION
    seconds: dict[str, list[float]] = {"empty": [], "waiting": []}
    memory: dict[str, list[float]] = {"empty": [], "waiting": []}
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder, serving("farend") as far:
        for name in seconds:
            (Path(folder) / name).mkdir()
        fill(f"sqlite:///{folder}/waiting/gateway.db", million)
        for _ in range(1 if quick else 3):
            for name in seconds:
                with _daemon(f"{folder}/{name}", far) as (ours, taken):
                    seconds[name].append(taken)
                    time.sleep(3)
                    memory[name].append(ours.memory_peak())

    def middle(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    return [
        added(
            f"start to ready, {million:,} waiting",
            middle(seconds["waiting"]),
            "s",
            "empty database",
            middle(seconds["empty"]),
            2,
        ),
        added(
            f"peak memory, {million:,} waiting, at work",
            middle(memory["waiting"]),
            "MB",
            "empty daemon",
            middle(memory["empty"]),
            50,
        ),
    ]


def large_file(quick: bool) -> list[Figure]:
    """One request with a file of 50 MB, in and out to the GRU."""
    size = FILE // 5 if quick else FILE
    with (
        tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder,
        serving("farend") as far,
        _daemon(folder, far, communes=8, file_mb=60, timeout=60, files=True) as (ours, _),
    ):
        _push(ours, far, b"%PDF-1.7 " + bytes(1000), "petit")
        before = ours.memory_peak()
        ours.forget_peak()
        _push(ours, far, b"%PDF-1.7 " + bytes(size - 9), "grand")
        peak_in = ours.memory_peak()
        deadline = time.monotonic() + 60
        while True:
            told = httpx.get(f"{far.address}/arrivals", trust_env=False).json()
            if told["posts"] >= 4:  # two submits, two reports
                break
            if time.monotonic() > deadline:
                raise Failed("the large request was never delivered")
            time.sleep(0.1)
        if told["size"] < size * 4 // 3:
            raise Failed("the large request was delivered without its file")
        peak = ours.memory_peak()
    mb = size // (1024 * 1024)
    return [
        added(f"peak memory, a file of {mb} MB taken in", peak_in, "MB", "before", before, 30),
        added(f"peak memory, a file of {mb} MB in and out", peak, "MB", "before", before, 30),
    ]


def _push(ours: Running, far: Running, content: bytes, ref: str) -> None:
    body = formdata(ref, 0, far.address)
    body["fields"]["photo"] = {
        "filename": "plan.pdf",
        "content_type": "application/pdf",
        "content": base64.b64encode(content).decode(),
        "content_is_base64": True,
    }
    url = sign_url(ours.address + path(0), KEY, orig=ORIG, now=datetime.now(UTC), nonce=ref)
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(
        url, content=orjson.dumps(body), headers=headers, timeout=120, trust_env=False
    )
    if answer.status_code != 201:
        raise Failed(f"the large request was refused: {answer.status_code}")
