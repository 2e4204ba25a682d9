"""Workers that drain a queue of posts: ours, a bare loop, pgqueuer, procrastinate.

A delivery of ours is claimed, rendered by the mapping, posted, settled with its attempt, and half
of them make a report to the portal, which is one more delivery. The others post bodies that were
rendered beforehand.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import structlog
import uvloop

from gateway.app import spare_the_collector
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.render import Rendered, render
from gateway.core.request import EventKind
from gateway.flow.engine import Engine, open_engine
from gateway.flow.sealing import bind, open_sealer
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.wire.clients import open_client
from gateway.wire.formdata import parse_formdata
from tests.bench.bundle import SLUG, catalogue, formdata, insee
from tests.bench.processes import options, say
from tests.intake import take_in

COMMUNES = 8
CONNECTIONS = COMMUNES * 4
#: The best of 10, 32 and 100.
PGQUEUER_BATCH = 100


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))


async def ours(told: dict[str, Any]) -> float:
    """Deliveries per second: n submits and the n reports that follow from them."""
    n, far = int(told["n"]), told["far"]
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:
        url = told.get("url") or f"sqlite:///{folder}/gateway.db"
        upgrade(url)
        found = catalogue(Path(folder), far, database=url, communes=COMMUNES)
        database = Database(url, None if told.get("in_clear") else open_sealer(found.settings))
        try:
            await bind(database, found.settings)
            async with open_engine(found, database) as engine:
                await fill(engine, n, far, COMMUNES)
                done = 0
                finished = asyncio.Event()

                def count(claimed: object, outcome: str, seconds: float) -> None:
                    nonlocal done
                    if outcome != "accepted":
                        raise AssertionError(f"a delivery came to {outcome}")
                    done += 1
                    if done == 2 * n:
                        finished.set()

                engine.lanes.attempts.on_attempt = count
                clock = time.perf_counter()
                running = asyncio.create_task(engine.lanes.run(engine.lane_names()))
                async with asyncio.timeout(120):
                    await finished.wait()
                seconds = time.perf_counter() - clock
                await engine.lanes.stop(2)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        finally:
            database.close()
    return 2 * n / seconds


async def fill(engine: Engine, n: int, far: str, communes: int) -> None:
    """Take `n` requests in, in turn for each commune."""

    async def one(i: int) -> None:
        body = orjson.dumps(formdata(f"{i}", i % communes, far))
        parsed = parse_formdata(body, "application/json", limits=DEFAULT_LIMITS)
        await take_in(engine, "toodego", insee(i % communes), SLUG, parsed)

    for at in range(0, n, 256):
        await asyncio.gather(*(one(i) for i in range(at, min(n, at + 256))))


def _posts(n: int, far: str) -> list[tuple[str, bytes]]:
    """The bodies that our n submits and n reports post, each with its address."""
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:
        found = catalogue(Path(folder), far, communes=COMMUNES)
    posts: list[tuple[str, bytes]] = []
    for i in range(n):
        document = formdata(f"{i}", i % COMMUNES, far)
        route = found.route("toodego", insee(i % COMMUNES), SLUG)
        document |= {"submitted_at": "2026-03-12T07:41:07Z", "location": None, "attachments": []}
        document |= {"channel": "web", "id": f"TDG-{i:016}"}
        rendered = render(route.mapping, document, EventKind.CREATION)
        assert isinstance(rendered, Rendered), rendered
        posts.append(
            (f"{far}/gru/{insee(i % COMMUNES)}/api/tickets", orjson.dumps(rendered.payload))
        )
        report = {"evenement": f"{i:020}", "statut": "transmise", "message": None}
        report |= {"reference": f"{i}", "lien": None}
        address = f"{far}/api/forms/{SLUG}/{i}/hooks/retour_commune/"
        posts.append((address, orjson.dumps(report)))
    return posts


_HEADERS = {"Content-Type": "application/json"}


async def bare(told: dict[str, Any]) -> float:
    """Posts per second of a loop that does nothing else."""
    posts = _posts(told["n"], told["far"])
    async with open_client(timeout=20, connections=CONNECTIONS) as client:
        order = iter(posts)

        async def one() -> None:
            for url, body in order:
                response = await client.post(url, content=body, headers=_HEADERS)
                assert response.is_success

        clock = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
        return len(posts) / (time.perf_counter() - clock)


async def pgqueuer(told: dict[str, Any]) -> float:
    """Posts per second as jobs of pgqueuer, queued beforehand.

    Over asyncpg where it is installed: its driver for psycopg waits for news and for rows on the
    same connection, and is many times slower.
    """
    from pgqueuer.core.qm import QueueManager  # only this worker needs it
    from pgqueuer.queries import Queries
    from pgqueuer.types import QueueExecutionMode

    posts = _posts(told["n"], told["far"])
    done = 0
    async with (
        _pgqueuer_driver(told["url"]) as driver,
        open_client(timeout=20, connections=CONNECTIONS) as client,
    ):
        queries = Queries(driver)
        await queries.install()
        payloads: list[bytes | None] = [orjson.dumps([url, body.decode()]) for url, body in posts]
        await queries.enqueue(["post"] * len(posts), payloads, [0] * len(posts))
        manager = QueueManager(queries)

        @manager.entrypoint("post")
        async def post(job: Any) -> None:
            nonlocal done
            url, body = orjson.loads(job.payload)
            response = await client.post(url, content=body.encode(), headers=_HEADERS)
            assert response.is_success
            done += 1

        clock = time.perf_counter()
        await manager.run(
            dequeue_timeout=timedelta(seconds=1),
            batch_size=PGQUEUER_BATCH,
            mode=QueueExecutionMode.drain,
        )
        seconds = time.perf_counter() - clock
    assert done == len(posts), done
    return done / seconds


@asynccontextmanager
async def _pgqueuer_driver(url: str) -> AsyncIterator[Any]:
    from pgqueuer.db import AsyncpgDriver, PsycopgDriver  # only this worker needs it

    if importlib.util.find_spec("asyncpg") is None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            yield PsycopgDriver(connection)
        return
    asyncpg = importlib.import_module("asyncpg")
    fast = await asyncpg.connect(url)
    try:
        yield AsyncpgDriver(fast)
    finally:
        await fast.close()


async def procrastinate(told: dict[str, Any]) -> float:
    """Posts per second as jobs of procrastinate, queued beforehand."""
    from procrastinate import App, PsycopgConnector  # only this worker needs it

    posts = _posts(told["n"], told["far"])
    done = 0
    app = App(connector=PsycopgConnector(conninfo=told["url"], min_size=4, max_size=16))
    async with app.open_async(), open_client(timeout=20, connections=CONNECTIONS) as client:
        await app.schema_manager.apply_schema_async()

        @app.task(name="post")
        async def post(url: str, body: str) -> None:
            nonlocal done
            response = await client.post(url, content=body.encode(), headers=_HEADERS)
            assert response.is_success
            done += 1

        jobs: list[dict[str, Any]] = [{"url": url, "body": body.decode()} for url, body in posts]
        await post.batch_defer_async(*jobs)
        clock = time.perf_counter()
        await app.run_worker_async(
            concurrency=CONNECTIONS, wait=False, install_signal_handlers=False
        )
        seconds = time.perf_counter() - clock
    assert done == len(posts), done
    return done / seconds


WORKERS = {"ours": ours, "bare": bare, "pgqueuer": pgqueuer, "procrastinate": procrastinate}

if __name__ == "__main__":
    _quiet()
    spare_the_collector()  # as the daemon does; the references are better for it, too
    told = options()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        say(runner.run(WORKERS[told["worker"]](told)))
