"""All far ends in one process: GRUs that take tickets and a portal that takes reports.

Bare, so that it is never what bounds a figure. It remembers when each request arrived, on the
clock that all processes of a machine share, and hangs or fails where it is told to.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import orjson
import uvloop
from starlette.types import Receive, Scope, Send

from tests.bench.listening import serve
from tests.bench.processes import options

_JSON = [(b"content-type", b"application/json")]
HANG = 600.0


class FarEnd:
    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.arrivals: dict[str, float] = {}
        self.posts = 0
        self.size = 0
        self.hanging: frozenset[str] = frozenset()
        self.failing: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece = message.get("body", b"")
            size += len(piece)
            if size < 1 << 20:
                pieces.append(piece)
            more = message.get("more_body", False)
        now = time.monotonic()
        status, answer = await self._answer(scope, b"".join(pieces), size, now)
        content = orjson.dumps(answer)
        headers = [*_JSON, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(
        self, scope: Scope, body: bytes, size: int, now: float
    ) -> tuple[int, dict[str, Any]]:
        path: str = scope["path"]
        if path.startswith("/gru/"):
            insee = path.split("/")[2]
            if insee in self.hanging:
                await asyncio.sleep(HANG)
            if insee in self.failing:
                return 500, {"error": "down"}
            if scope["method"] == "GET":
                return 200, {"tickets": []}
            self.posts += 1
            self.size = max(self.size, size)
            if size < 1 << 20:
                self.arrivals[orjson.loads(body)["external_id"]] = now
            return 201, {"ticket": {"id": next(self.numbers)}}
        if path == "/control":
            told = orjson.loads(body)
            self.hanging = frozenset(told.get("hanging", ()))
            self.failing = frozenset(told.get("failing", ()))
            self.arrivals.clear()
            self.posts = self.size = 0
            return 200, {}
        if path == "/posts":
            return 200, {"posts": self.posts}
        if path == "/arrivals":
            return 200, {"arrivals": self.arrivals, "posts": self.posts, "size": self.size}
        self.posts += 1
        return 200, {"err": 0}


if __name__ == "__main__":
    options()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(FarEnd()))
