"""The portal's side of a measurement: signed pushes, from a process of its own.

With `rate` the pushes leave on a fixed beat whatever the answers do; without, each of the
`connections` sends its next push when it has its answer.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import uvloop
from yarl import URL

from gateway.sdk.publik.signature import sign_url
from tests.bench.bundle import KEY, ORIG, formdata, path
from tests.bench.processes import options, say

_HEADERS = {"Content-Type": "application/json"}


async def _main(told: dict[str, Any]) -> None:
    n, communes = told["n"], told["communes"]
    connections, rate = told.get("connections", 32), told.get("rate")
    address, far, prefix = told["address"], told["far"], secrets.token_hex(4)
    bodies = [orjson.dumps(formdata(f"{prefix}{i}", i % communes, far)) for i in range(n)]

    def signed(i: int) -> URL:
        url = address + (told.get("path") or path(i % communes))
        now = datetime.now(UTC)
        return URL(sign_url(url, KEY, orig=ORIG, now=now, nonce=f"{prefix}{i}"), encoded=True)

    # Signing is the portal's work, not ours: before the clock starts, where it can be.
    urls = [] if rate else [signed(i) for i in range(n)]
    results: list[tuple[str, float, float, int]] = []
    failures: dict[int, int] = {}
    connector = aiohttp.TCPConnector(limit=0 if rate else connections)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as session:

        async def push(i: int) -> None:
            url = signed(i) if rate else urls[i]
            clock = time.monotonic()
            async with session.post(url, data=bodies[i]) as response:
                answer = await response.read()
                end = time.monotonic()
            if response.status in (200, 201):
                data = orjson.loads(answer).get("data", {})
                results.append((data.get("reference", ""), clock, end, i % communes))
            else:
                failures[response.status] = failures.get(response.status, 0) + 1

        start = time.monotonic()
        if rate:
            async with asyncio.TaskGroup() as group:
                for i in range(n):
                    await asyncio.sleep(max(0.0, start + i / rate - time.monotonic()))
                    group.create_task(push(i))
        else:
            order = iter(range(n))

            async def one() -> None:
                for i in order:
                    await push(i)
                    if told.get("pause"):
                        await asyncio.sleep(told["pause"])

            await asyncio.gather(*(one() for _ in range(connections)))
        seconds = time.monotonic() - start
    say({"seconds": seconds, "results": results, "failures": failures})


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(options()))
