"""The backlog of an outage, drained to a GRU that breaks above its rate.

    python -m tests.replicas.catch_up --waiting 50000 --rate 400

One lane of the real engine on SQLite, in one process, against a far end that answers 503 for two
seconds whenever more than `rate` calls came within one second. Prints one JSON line: `outages` are
those periods, `second_outages` the ones after the lane has learnt the rate, and `worst` the largest
error of the estimated end, as a share of what was left to wait, from one tenth of the way on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx
import orjson
import structlog

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.breaker import BreakerPolicy
from gateway.flow.engine import open_engine
from gateway.store.engine import Database
from gateway.store.outbox import backlog
from gateway.store.schema import upgrade
from gateway.wire.formdata import parse_formdata
from tests.bench.bundle import SLUG, catalogue, formdata, insee, lane
from tests.intake import take_in


class Fragile(httpx.AsyncBaseTransport):
    """A GRU that bears `rate` calls a second, and falls for `down` seconds above it."""

    def __init__(self, rate: float, *, down: float = 2.0, slow: float = 0.005) -> None:
        self.rate = rate
        self.down = down
        self.slow = slow
        self.outages: list[float] = []
        self.held: set[str] = set()
        self.twice = 0
        self.down_until = 0.0
        self._calls: deque[float] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if "/gru/" not in request.url.path:
            return httpx.Response(200, json={"err": 0})
        now = time.monotonic()
        if now < self.down_until:
            return httpx.Response(503)
        self._calls.append(now)
        while now - self._calls[0] > 1.0:
            self._calls.popleft()
        if len(self._calls) > self.rate:
            self.down_until = now + self.down
            self.outages.append(now)
            self._calls.clear()
            return httpx.Response(503)
        await asyncio.sleep(self.slow)
        if request.method == "GET":
            return httpx.Response(200, json={"tickets": []})
        reference = str(orjson.loads(body)["external_id"])
        self.twice += reference in self.held
        self.held.add(reference)
        return httpx.Response(201, json={"ticket": {"id": len(self.held)}})


async def measure(folder: Path, waiting: int, rate: float, concurrency: int) -> dict[str, Any]:
    """Fill the lane while the far end is down, let it come back, and watch the drain."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    upgrade(url)
    database = Database(url)
    far = Fragile(rate)
    found = catalogue(folder, "http://far.invalid", communes=1, concurrency=concurrency)
    policy = BreakerPolicy(pause=3.0, pause_max=3.0)
    try:
        async with open_engine(found, database, transport=lambda _: far, breaker=policy) as engine:
            async with asyncio.TaskGroup() as group:
                gate = asyncio.Semaphore(64)

                async def fill(n: int) -> None:
                    async with gate:
                        body = orjson.dumps(formdata(str(n), 0, "http://portail.invalid"))
                        parsed = parse_formdata(body, "application/json", limits=DEFAULT_LIMITS)
                        await take_in(engine, "toodego", insee(0), SLUG, parsed)

                for n in range(waiting):
                    group.create_task(fill(n))
            far.down_until = time.monotonic() + 2.0  # it is down when the gateway begins
            work = asyncio.create_task(engine.lanes.run())
            begun = time.monotonic()
            guesses: list[tuple[float, float]] = []
            while (left := waiting - len(far.held)) and time.monotonic() - begun < 1800:
                await asyncio.sleep(1.0)
                now = time.monotonic()
                mine = engine.lanes.lane(lane(0))
                guess = None if mine is None else mine.pace.estimate(left, now)
                if guess is not None and left <= 0.9 * waiting:
                    guesses.append((now, now + guess))
            ended = time.monotonic()
            done = await database.read(_open_submits)
            await engine.lanes.stop(2)
            await work
    finally:
        database.close()
    errors = [abs(end - ended) / (ended - at) for at, end in guesses if ended - at > 5]
    return {
        "waiting": waiting,
        "drained": len(far.held),
        "twice": far.twice,
        "open": done,
        "seconds": round(ended - begun, 1),
        "rate": rate,
        "reached": round(len(far.held) / (ended - begun), 1),
        "outages": len(far.outages),
        "second_outages": max(0, len(far.outages) - 1),
        "guesses": len(errors),
        "worst": round(max(errors, default=0.0), 3),
        "met": max(errors, default=0.0) <= 0.2 and len(far.outages) <= 1,
    }


def _open_submits(connection: Any) -> int:
    found = backlog.waiting_by_lane(connection)
    return found.get(lane(0), (0, 0, None))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--concurrency", type=int, default=8)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        result = asyncio.run(measure(Path(name), given.waiting, given.rate, given.concurrency))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
