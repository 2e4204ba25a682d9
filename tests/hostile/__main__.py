"""Many malformed bodies to the real daemon, and many hostile answers to the real adapters.

    python -m tests.hostile [--bodies 100000] [--answers 2000] [--seed 1]

Prints one line of JSON. Exit code 0: no 5xx, no stall of 50 ms, and the memory is back where it was
(within 32 MB, which is what an allocator keeps).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.app import spare_the_collector
from gateway.demo.calls import signed
from gateway.demo.figures import read_figures
from gateway.demo.stage import BRON, VILLEURBANNE, Stage, intake, open_stage, webhook
from tests.fuzz.mutation import corpus, inputs
from tests.fuzz.targets import _PARTS, TARGETS

AT_ONCE = 8
#: Bodies before the first look at the memory.
WARM = 2_000
LONGEST = 32 * 1024
STALL_MS, KEPT_MB = 50.0, 32.0


def main() -> int:
    given = argparse.ArgumentParser(prog="python -m tests.hostile")
    given.add_argument("--bodies", type=int, default=100_000)
    given.add_argument("--answers", type=int, default=2_000)
    given.add_argument("--seed", type=int, default=1)
    asked = given.parse_args()
    told = asyncio.run(_bodies(asked.bodies, asked.seed)) | _answers(asked.answers, asked.seed)
    told["ok"] = (
        not told["errors_5xx"]
        and max(told["stall_ms"], told["answers_stall_ms"]) < STALL_MS
        and max(told["grown_mb"], told["answers_grown_mb"]) < KEPT_MB
    )
    print(json.dumps(told))
    return int(not told["ok"])


async def _bodies(count: int, seed: int) -> dict[str, Any]:
    async with open_stage(seed, 0, apart=True) as stage:
        calls = _calls(stage, WARM + count, seed)
        await _spoken(itertools.islice(calls, WARM))  # what it keeps for its work
        before, begun = await read_figures(stage), time.monotonic()
        statuses: Counter[int] = Counter()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_spoken(calls)) for _ in range(AT_ONCE)]
        for task in tasks:
            statuses += task.result()
        seconds = time.monotonic() - begun
        await asyncio.sleep(3)
        after = await read_figures(stage)
    return {
        "bodies": count,
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "errors_5xx": after.errors,
        "stall_ms": round(after.stall * 1000, 1),
        "wait_ms": round(after.wait * 1000, 1),
        "grown_mb": round((after.resident - before.resident) / 2**20, 1),
        "peak_mb": round(after.peak / 2**20, 1),
        "bodies_per_second": round(count / seconds),
    }


def _calls(stage: Stage, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Addresses and bodies: to a form, an event of a request, a webhook; most of them signed."""
    push = intake(stage.url, BRON, "signalement-anomalie")
    hook = webhook(stage.url, VILLEURBANNE, "education")
    kept = [*corpus("formdata"), *corpus("state"), *corpus("hook")]
    for n, body in enumerate(inputs(kept, count, seed, LONGEST)):
        address = (push, push, f"{push}/7/events", hook)[n % 4]
        if n % 16 == 3:
            yield hook, body
        elif n % 16 == 4:
            yield push, body
        else:
            yield signed(address, stage.caller_key, "toodego"), body


async def _spoken(calls: Iterator[tuple[str, bytes]]) -> Counter[int]:
    """One connection, kept as long as the daemon keeps it."""
    statuses: Counter[int] = Counter()
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for url, body in calls:
        parts = urlsplit(url)
        if streams is None:
            streams = await asyncio.open_connection(parts.hostname, parts.port)
        reader, writer = streams
        query = f"?{parts.query}" if parts.query else ""
        head = f"POST {parts.path}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        statuses[int(answer.split(b" ", 2)[1])] += 1
        length = answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        if b"connection: close" in answer:
            writer.close()
            streams = None
    if streams is not None:
        streams[1].close()
    return statuses


def _answers(count: int, seed: int) -> dict[str, Any]:
    """The calls of both adapters are made on a loop of their own; each answer is to all of them."""
    kept, target = corpus("answer"), TARGETS["answer"]
    for data in kept:
        target(data)
    spare_the_collector()  # as the daemon does once it is built
    before, longest = _resident(), 0.0
    for data in inputs(kept, count, seed, LONGEST):
        _PARTS.clear()
        target(data)
        longest = max(longest, *_PARTS)
    return {
        "answers": count,
        "answers_stall_ms": round(longest * 1000, 1),
        "answers_grown_mb": round((_resident() - before) / 2**20, 1),
    }


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


if __name__ == "__main__":
    sys.exit(main())
