"""Worker: claim and settle through the store, with no far end at all.

Says units per second, and how many of its claims came back with less than they asked for. With
`databases`, as many work side by side on the same lanes.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import uvloop

from gateway.app import spare_the_collector
from gateway.core.delivery import Settlement, State
from gateway.core.lane_name import PortalLane
from gateway.core.status import Status
from gateway.flow.environment import Environment
from gateway.store.engine import Database
from gateway.store.outbox import claiming, settling
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import AttemptRecord, NewReport, SettlementWrite
from tests.bench.bundle import insee, lane
from tests.bench.processes import options, say

COMMUNES = 8
AT_ONCE = 4
WORLD = Environment()


def settled(claimed: Claimed, now: datetime, commune: int) -> SettlementWrite:
    request = claimed.request
    report = NewReport(
        event_id=WORLD.new_id(),
        delivery_id=WORLD.new_id(),
        request_id=request.id,
        lane=str(PortalLane("toodego", insee(commune))),
        origin="gateway",
        key="transmitted",
        at=now,
        body={"status": Status.TRANSMITTED.value, "message": None},
        status=Status.TRANSMITTED,
    )
    return SettlementWrite(
        delivery_id=claimed.delivery.id,
        request_id=request.id,
        lane=claimed.delivery.lane,
        fence=claimed.delivery.fence,
        settlement=Settlement(State.DONE, "accepted", reference=request.id[-8:]),
        tried=AttemptRecord("send", now, 20, "accepted"),
        now=now,
        reports=(report,),
        status=Status.TRANSMITTED,
    )


async def _main(told: dict[str, Any]) -> None:
    databases = [Database(told["url"]) for _ in range(told.get("databases", 1))]
    done = made = short = 0

    async def work(database: Database, commune: int, n: int) -> None:
        nonlocal done, made, short
        while n > 0:
            now = datetime.now(UTC)
            wish = claiming.ClaimRequest(lane(commune), AT_ONCE, "bench", now, 60.0)
            claims = (await database.write(claiming.claim, wish)).claims
            made += 1
            short += len(claims) < AT_ONCE
            if not claims:
                return
            kept = await asyncio.gather(
                *(database.write(settling.settle, settled(c, now, commune)) for c in claims)
            )
            assert all(kept)
            done += len(claims)
            n -= len(claims)

    async def work_all(n: int) -> None:
        every = [(database, commune) for database in databases for commune in range(COMMUNES)]
        await asyncio.gather(*(work(database, commune, n) for database, commune in every))

    await work_all(8)  # warm
    done = made = short = 0
    clock = time.perf_counter()
    await work_all(told["n"] // COMMUNES)
    seconds = time.perf_counter() - clock
    for database in databases:
        database.close()
    say({"per_second": done / seconds, "claims": made, "short": short})


if __name__ == "__main__":
    spare_the_collector()  # as the daemon does
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(options()))
