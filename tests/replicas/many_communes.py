"""The needs of a process with N configured communes: start, memory, and idle work.

    python -m tests.replicas.many_communes --communes 35000

The catalogue is built from files as at every start, the engine opened, its lanes run for a while
with nothing to do, then every hundredth commune has a request. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

import httpx
import orjson
import structlog

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.flow.engine import open_engine
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.wire.formdata import parse_formdata
from tests.bench.bundle import SLUG, catalogue, formdata, insee
from tests.intake import take_in


def _mb() -> float:
    """Resident memory now, MB."""
    with Path("/proc/self/status").open() as status:
        (line,) = [line for line in status if line.startswith("VmRSS")]
    return round(int(line.split()[1]) / 1024, 1)


async def _answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, json={"ticket": {"id": 1}, "err": 0})


async def measure(folder: Path, communes: int, idle: float) -> dict[str, object]:
    found: dict[str, object] = {"communes": communes, "mb_bare": _mb()}
    begun = time.monotonic()
    configured = catalogue(folder, "http://far.invalid", communes=communes)
    found |= {"catalogue_s": round(time.monotonic() - begun, 1), "mb_catalogue": _mb()}
    url = f"sqlite:///{folder / 'gateway.db'}"
    upgrade(url)
    database = Database(url)
    transport = httpx.MockTransport(_answer)
    try:
        begun = time.monotonic()
        async with open_engine(configured, database, transport=lambda _: transport) as engine:
            work = asyncio.create_task(engine.lanes.run())
            found |= {"engine_s": round(time.monotonic() - begun, 1), "mb_engine": _mb()}
            before = time.process_time()
            await asyncio.sleep(idle)
            found["idle_cpu_percent"] = round(100 * (time.process_time() - before) / idle, 2)
            for n in range(0, communes, 100):
                body = orjson.dumps(formdata(str(n), n, "http://portail.invalid"))
                parsed = parse_formdata(body, "application/json", limits=DEFAULT_LIMITS)
                await take_in(engine, "toodego", insee(n), SLUG, parsed)
            await asyncio.sleep(idle)
            lanes = len(list(engine.lanes.views()))
            found |= {"lanes_worked": lanes, "mb_worked": _mb()}
            await engine.lanes.stop(2)
            await work
    finally:
        database.close()
    found["mb_peak"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communes", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=10.0)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asyncio.run(measure(Path(name), given.communes, given.idle))))


if __name__ == "__main__":
    main()
