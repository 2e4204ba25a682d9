"""Reference: the least that could keep the promise. Starlette, raw SQL, one commit for many.

The signature is checked, the body parsed, and nonce, request, event and delivery are written by
one thread that commits whatever waits together. No validation, no repeats, no log, no metrics.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import queue
import secrets
import sqlite3
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.bundle import KEY
from tests.bench.listening import serve
from tests.bench.processes import options

_TABLES = """
CREATE TABLE nonce (key TEXT PRIMARY KEY, expires_at INTEGER NOT NULL);
CREATE TABLE request (
    id TEXT PRIMARY KEY, slug TEXT NOT NULL, ref TEXT NOT NULL UNIQUE, commune TEXT NOT NULL,
    digest TEXT NOT NULL, received_at INTEGER NOT NULL
);
CREATE TABLE event (
    id TEXT PRIMARY KEY, request_id TEXT NOT NULL REFERENCES request (id), kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX ix_event_request ON event (request_id);
CREATE TABLE delivery (
    id TEXT PRIMARY KEY, request_id TEXT NOT NULL REFERENCES request (id), lane TEXT NOT NULL,
    state TEXT NOT NULL, next_at INTEGER NOT NULL
);
CREATE INDEX ix_delivery_due ON delivery (lane, next_at);
"""

Row = tuple[Any, ...]
Job = tuple[tuple[Row, Row, Row, Row], "asyncio.Future[None]"]


class Writer(threading.Thread):
    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.loop = loop
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def run(self) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_TABLES)
        while True:
            group = [self.jobs.get()]
            while not self.jobs.empty() and len(group) < 64:
                group.append(self.jobs.get())
            connection.execute("BEGIN IMMEDIATE")
            for rows, _ in group:
                connection.execute("INSERT INTO nonce VALUES (?, ?)", rows[0])
                connection.execute("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?)", rows[1])
                connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", rows[2])
                connection.execute("INSERT INTO delivery VALUES (?, ?, ?, ?, ?)", rows[3])
            connection.execute("COMMIT")
            self.loop.call_soon_threadsafe(_done, [future for _, future in group])


def _done(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def application(path: str) -> Starlette:
    loop = asyncio.get_running_loop()
    writer = Writer(path, loop)
    writer.start()

    async def push(request: Request) -> Response:
        query = request.scope["query_string"].decode()
        text, _, signature = query.partition("&signature=")
        made = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64decode(unquote(signature)), made):
            return Response(status_code=403)
        nonce = dict(parse_qsl(text))["nonce"]
        body = await request.body()
        document = orjson.loads(body)
        now = time.time_ns() // 1000
        request_id = secrets.token_hex(10)
        digest = hashlib.sha256(orjson.dumps(document["fields"])).hexdigest()
        insee, slug = request.path_params["insee"], request.path_params["slug"]
        rows = (
            (nonce, now),
            (request_id, slug, document["id"], insee, digest, now),
            (event_id := secrets.token_hex(10), request_id, "creation", body.decode()),
            (event_id, request_id, f"gru:{insee}", "waiting", now),
        )
        future: asyncio.Future[None] = loop.create_future()
        writer.jobs.put((rows, future))
        await future
        answer = orjson.dumps({"err": 0, "data": {"reference": request_id}})
        return Response(answer, 201, media_type="application/json")

    route = "/portal/v1/communes/{insee}/teleservices/{slug}/requests"
    return Starlette(routes=[Route(route, push, methods=["POST"])])


async def _main() -> None:
    await serve(application(options()["path"]))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
