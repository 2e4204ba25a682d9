"""Worker: claim and settle through the store, with no far end at all. Says units per second."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import uvloop

from gateway.core.delivery import Settlement, State
from gateway.core.status import Status
from gateway.store import claiming, settling
from gateway.store.engine import Database
from gateway.store.rows import Claimed, Report, Settled, Tried
from tests.bench.bundle import insee, lane
from tests.bench.processes import options, say

COMMUNES = 8


def _settled(claimed: Claimed, now: datetime, commune: int) -> Settled:
    request = claimed.request
    report = Report(
        event_id=secrets.token_hex(10),
        delivery_id=secrets.token_hex(10),
        request_id=request.id,
        lane=f"portal:toodego:{insee(commune)}",
        origin="gateway",
        key="transmitted",
        at=now,
        body={"status": Status.TRANSMITTED.value, "message": None},
        status=Status.TRANSMITTED,
    )
    return Settled(
        delivery_id=claimed.delivery.id,
        request_id=request.id,
        lane=claimed.delivery.lane,
        fence=claimed.delivery.fence,
        settlement=Settlement(State.DONE, "accepted", reference=request.id[-8:]),
        tried=Tried("send", now, 20, "accepted"),
        now=now,
        reports=(report,),
        status=Status.TRANSMITTED,
    )


async def _main(told: dict[str, Any]) -> None:
    database = Database(told["url"])
    done = 0

    async def work(commune: int, n: int) -> None:
        nonlocal done
        while n > 0:
            now = datetime.now(UTC)
            wish = claiming.Wish(lane(commune), 4, "bench", now, 60.0)
            claims = (await database.write(claiming.claim, wish)).claims
            if not claims:
                return
            kept = await asyncio.gather(
                *(database.write(settling.settle, _settled(c, now, commune)) for c in claims)
            )
            assert all(kept)
            done += len(claims)
            n -= len(claims)

    await asyncio.gather(*(work(commune, 8) for commune in range(COMMUNES)))  # warm
    done = 0
    clock = time.perf_counter()
    await asyncio.gather(*(work(commune, told["n"] // COMMUNES) for commune in range(COMMUNES)))
    seconds = time.perf_counter() - clock
    database.close()
    say(done / seconds)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(options()))
