"""N communes at one slow portal, in a process that may open few files: who waits is no failure.

    python -m tests.replicas.turns --communes 400 --each 3 --portal 0.3 --files 1024

Each commune has `each` requests that its GRU takes at once and whose report the portal answers
after `portal` seconds. Prints one JSON line: how many attempts there were and what came of them,
how long the reports took, and how evenly the communes were served meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import structlog
from sqlalchemy import func, select

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import Kind
from gateway.flow.engine import Engine, open_engine
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.store.tables import ATTEMPT, DELIVERY
from gateway.wire.formdata import parse_formdata
from tests.bench.bundle import SLUG, catalogue, formdata, insee
from tests.intake import take_in

_HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def far_ends(told: Connection, seconds: float) -> None:
    """All far ends, in a process with files of its own. Says its port; at the end, the most calls
    that the portal had at once."""
    numbers = itertools.count(1)
    at_once = most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, length = head.partition(b"content-length:")
                await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                status = 201
                answer: dict[str, object] = {"ticket": {"id": next(numbers)}}
                if b" /gru/" not in head.split(b"\r\n")[0]:
                    status, answer = 200, {"err": 0}
                    at_once += 1
                    most = max(most, at_once)
                    await asyncio.sleep(seconds)
                    at_once -= 1
                content = orjson.dumps(answer)
                writer.write(_HEAD % (status, len(content)) + content)
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
        told.send(server.sockets[0].getsockname()[1])
        async with server:
            await asyncio.to_thread(told.recv)
            told.send(most)

    asyncio.run(run())


def limit_files(files: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, min(files, hard)))


async def play(folder: Path, url: str, communes: int, each: int) -> dict[str, Any]:
    database_url = f"sqlite:///{folder / 'gateway.db'}"
    upgrade(database_url)
    database = Database(database_url)
    configured = catalogue(folder, url, communes=communes)
    try:
        async with open_engine(configured, database) as engine:
            for n in range(communes * each):
                body = orjson.dumps(formdata(str(n), n % communes, url))
                parsed = parse_formdata(body, "application/json", limits=DEFAULT_LIMITS)
                await take_in(engine, "toodego", insee(n % communes), SLUG, parsed)
            begun = time.monotonic()
            halfway = _Halfway(engine, communes * each)
            work = asyncio.create_task(engine.lanes.run(engine.lane_names()))
            await halfway.over.wait()
            seconds = time.monotonic() - begun
            await engine.lanes.stop(5)
            await work
            rows = await database.read(_attempts)
            return {
                "attempts": sum(rows.values()),
                "outcomes": dict(rows),
                "seconds": round(seconds, 1),
                "portal_calls_allowed": configured.portals["toodego"].calls,
                "calls_allowed": engine.far_ends.shared.turns.most,
                "connections_allowed": engine.far_ends.shared.sockets.most,
                "reports_at_half_time": halfway.spread(communes),
            }
    finally:
        database.close()


class _Halfway:
    """The service of each commune when half of the reports were through."""

    def __init__(self, engine: Engine, reports: int) -> None:
        self.over = asyncio.Event()
        self.served: Counter[str] = Counter()
        self._half: Counter[str] | None = None
        self._left = reports
        self._reports = reports
        engine.lanes.attempts.on_attempt = self._attempted

    def _attempted(self, claimed: Any, outcome: str, seconds: float) -> None:
        if claimed.delivery.kind is not Kind.REPORT or outcome != "accepted":
            return
        self.served[claimed.delivery.lane] += 1
        self._left -= 1
        if self._half is None and self._left <= self._reports // 2:
            self._half = Counter(self.served)
        if self._left == 0:
            self.over.set()

    def spread(self, communes: int) -> dict[str, float]:
        served = [*(self._half or {}).values()]
        served += [0] * (communes - len(served))
        return {
            "least": min(served),
            "most": max(served),
            "mean": round(statistics.mean(served), 2),
        }


def _attempts(connection: Any) -> Counter[str]:
    statement = (
        select(DELIVERY.c.kind, ATTEMPT.c.outcome, ATTEMPT.c.reason, func.count())
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .group_by(DELIVERY.c.kind, ATTEMPT.c.outcome, ATTEMPT.c.reason)
    )
    return Counter(
        {" ".join(filter(None, row[:3])): row[3] for row in connection.execute(statement)}
    )


def measure(communes: int, each: int, portal: float, files: int) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    # Spawned: it must not inherit what this process has open.
    other = multiprocessing.get_context("spawn").Process(target=far_ends, args=(theirs, portal))
    other.start()
    try:
        port = ours.recv()
        limit_files(files)
        with tempfile.TemporaryDirectory() as name:
            url = f"http://127.0.0.1:{port}"
            found = asyncio.run(play(Path(name), url, communes, each))
        ours.send(None)
        found["portal_calls_at_once"] = ours.recv()
    finally:
        other.join(5)
        if other.is_alive():
            other.kill()
    left = len(list(Path("/proc/self/fd").iterdir()))
    return {"communes": communes, "each": each, "files": files, "files_left_open": left, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communes", type=int, default=400)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--portal", type=float, default=0.3)
    parser.add_argument("--files", type=int, default=1024)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(json.dumps(measure(given.communes, given.each, given.portal, given.files)))


if __name__ == "__main__":
    main()
