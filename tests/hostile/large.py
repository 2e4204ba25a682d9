"""Twelve large webhooks at once, signed, and twelve of the largest pushes: the daemon's memory.

    python -m tests.hostile.large [--webhook-mb 9] [--push-mb 28] [--count 12]

Prints one line of JSON. Exit code 0: nobody was refused, or was told when to come again, and the
daemon's memory stayed under 300 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import orjson

from gateway.demo.attacks import MIB, large_webhook
from gateway.demo.calls import CallResult, call, signed
from gateway.demo.figures import read_figures
from gateway.demo.stage import BRON, Stage, intake, open_stage

PEAK_MB = 300
_PIECE = 256 * 1024


def main() -> int:
    given = argparse.ArgumentParser(prog="python -m tests.hostile.large")
    given.add_argument("--webhook-mb", type=float, default=9)
    given.add_argument("--push-mb", type=float, default=28)
    given.add_argument("--count", type=int, default=12)
    asked = given.parse_args()
    told = asyncio.run(_measured(asked.webhook_mb, asked.push_mb, asked.count))
    told["ok"] = max(told["webhooks"]["peak_mb"], told["pushes"]["peak_mb"]) < PEAK_MB
    print(json.dumps(told))
    return int(not told["ok"])


async def _measured(webhook_mb: float, push_mb: float, count: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in ("webhooks", "pushes"):
        async with open_stage(1, 0, apart=True) as stage:
            before, begun = await read_figures(stage), time.monotonic()
            calls = (
                [partial(large_webhook, stage, webhook_mb) for _ in range(count)]
                if name == "webhooks"
                else [partial(_push, stage, n, push_mb) for n in range(count)]
            )
            said = await asyncio.gather(*map(_again, calls))
            after = await read_figures(stage)
        told[name] = {
            "statuses": dict(Counter(str(one.status) for one in said)),
            "seconds": round(time.monotonic() - begun, 1),
            "before_mb": round(before.resident / MIB, 1),
            "peak_mb": round(after.peak / MIB, 1),
            "longest_stall_ms": round(after.stall * 1000, 1),
            "errors_5xx": after.errors,
        }
    return told


async def _again(make: Callable[[], Awaitable[CallResult]]) -> CallResult:
    """Repeat a call as a sender does that is told when to come again."""
    while True:
        said = await make()
        if said.status != 503 or not said.retry_after:
            return said
        await asyncio.sleep(5)


async def _push(stage: Stage, number: int, size: float) -> CallResult:
    file = {"filename": "a.bin", "content_type": "application/octet-stream", "content": "X"}
    fields = {"commune_raw": BRON, "photo": file | {"content_is_base64": True}}
    before, after = orjson.dumps({"id": str(9000 + number), "fields": fields}).split(b"X")
    body = before + b"QUJD" * (int(size * MIB) // 3) + after
    url = signed(intake(stage.url, BRON, "signalement-anomalie"), stage.caller_key, "toodego")
    return await call(url, _pieces(body), size=len(body))


def _pieces(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), _PIECE):
        yield body[at : at + _PIECE]


if __name__ == "__main__":
    sys.exit(main())
