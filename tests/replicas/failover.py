"""A PostgreSQL that dies under load, and a standby that takes over, again and again.

    python -m tests.replicas.failover --standby synchronous --failovers 10
    python -m tests.replicas.failover --standby lagging --failovers 10

Two replicas of the gateway take requests and deliver them. Each round kills the primary, promotes
the standby and makes a new one; a lagging standby has got nothing for some seconds before. Prints
one JSON line. `lost`, `doubled` and `disordered` are counted in the far ends; `vanished` are
requests that were acknowledged and that the new primary did not have: reconcile brings them back,
under their references. Exit status 1 when anything is wrong, which the standard error then tells.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gateway.demo.tally import tally
from tests.acceptance.town import Town, free_port, until
from tests.files import edit
from tests.replicas.crowd import Crowd, open_crowd
from tests.replicas.standby import Pair, newest_installed, pair

#: Requests sent each second, for so many seconds before a failover and after it.
RATE, BEFORE, AFTER = 2, 4.0, 3.0
#: For so many of these the standby gets nothing any more, where it lags.
LAG = 3.0
#: What a call may take, in seconds: no wait of a busy machine is a lost reply.
TIMEOUT = 5.0
#: How long each call to a GRU takes, in seconds: long enough to be cut.
SLOW = 0.1

Standby = Literal["synchronous", "lagging"]


@dataclass(slots=True)
class Failovers:
    """The acts of one run, and their results."""

    standby: Standby
    seed: int
    vanished: list[int] = field(default_factory=list)
    #: From the primary's death until both replicas were ready again, in seconds.
    away: list[float] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)
    wrong: str = ""

    def told(self) -> dict[str, Any]:
        """Return the content of the JSON line."""
        return {
            "standby": self.standby,
            "seed": self.seed,
            "failovers": len(self.vanished),
            "vanished": sum(self.vanished),
            "away": [round(one, 1) for one in self.away],
            **self.found,
            "ok": not self.wrong,
        }


async def play(folder: Path, *, standby: Standby, failovers: int, seed: int) -> Failovers:
    """Send requests all the while; then let all settle, reconcile included."""
    played = Failovers(standby, seed)
    ports = (free_port(), free_port())
    with pair(ports, synchronous=standby == "synchronous") as servers:
        async with open_crowd(
            folder, servers.url, seed=seed, roles=("all", "all"), timeout=TIMEOUT
        ) as crowd:
            for one in crowd.replicas:
                edit(
                    one.config / "gateway.yaml",
                    "{commune: fields.commune_raw}",
                    "{commune: fields.commune_raw, reconcile: 5}",
                )
            await asyncio.gather(*(one.start() for one in crowd.replicas))
            for far_end in (crowd.town.stage.bron, crowd.town.stage.villeurbanne):
                far_end.faults.slow(SLOW)
            sending = asyncio.create_task(keep_sending(crowd.town))
            try:
                for _ in range(failovers):
                    await _round(crowd, servers, played)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
            played.wrong = await crowd.town.wrongs()
            counted = tally(crowd.town.stage)
            played.found = {
                "requests": counted.requests,
                "lost": counted.lost,
                "doubled": counted.duplicates,
                "disordered": crowd.town.disordered(),
                "restarts": sum(not one.lives for one in crowd.replicas),
            }
    return played


async def keep_sending(town: Town) -> None:
    """New requests each second, with no end."""
    while True:
        before = set(town.sent)
        town.send(RATE // 2, RATE - RATE // 2)
        # What the workflow writes just before its call: by it the list tells what is ours.
        now = datetime.now(UTC)
        for key, item in town.sent.items():
            if key not in before:
                item.set_fields({"bo_a_transmettre": now.isoformat()}, now)
        await asyncio.sleep(1)


async def _round(crowd: Crowd, servers: Pair, played: Failovers) -> None:
    await asyncio.sleep(BEFORE)
    if played.standby == "lagging":
        await asyncio.to_thread(servers.lag)
        await asyncio.sleep(LAG)
    told = acknowledged(crowd.town)
    begun = time.monotonic()
    await asyncio.to_thread(servers.fail_over)
    kept = {(row[0], row[1]) for row in crowd.ask("SELECT teleservice, ref FROM request")}
    played.vanished.append(len(told - kept))
    await until(_all_ready(crowd), "all are ready again")
    played.away.append(time.monotonic() - begun)
    await asyncio.to_thread(servers.follow)
    await asyncio.sleep(AFTER)


def acknowledged(town: Town) -> set[tuple[str, str]]:
    """Return the formdata whose push got a 2xx."""
    pushes = town.stage.portal.pushes
    return {(p.slug, p.id) for p in pushes if 200 <= (p.verdict.status or 0) < 300}


def _all_ready(crowd: Crowd) -> Any:
    async def ready() -> bool:
        return {await one.readiness() for one in crowd.replicas} == {200}

    return ready


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standby", choices=["synchronous", "lagging"], default="synchronous")
    parser.add_argument("--failovers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"PostgreSQL of {newest_installed()}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="tdg-failover-") as name:
        played = asyncio.run(
            play(Path(name), standby=given.standby, failovers=given.failovers, seed=given.seed)
        )
    print(json.dumps(played.told()))
    if played.wrong:
        print(played.wrong, file=sys.stderr)
    return 1 if played.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
