"""Replicas that are killed, sent to sleep past their leases and restarted at random, under load.

    python -m tests.replicas.havoc --replicas 4 --seconds 60 --seed 1

One process takes requests, the others deliver; all are real and share one PostgreSQL. Prints one
JSON line. `lost`, `doubled` and `disordered` are counted in the far ends; what is still `owed` (and
then not lost, but counted as such), `late` settlements, `asked` deliveries and claims made in
`vain` in our tables. Exit status 1 when anything is wrong, which the standard error then tells.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.demo.tally import tally
from tests.replicas.crowd import LEASE, Crowd, Replica, open_crowd
from tests.store.postgres import server

#: What is done to a replica, and how often of ten times.
FATES = {"kills": 5, "stops": 3, "restarts": 2}
#: Requests that are sent at once when it begins, and then each second.
BURST, RATE = 20, 2
#: How long each call to a GRU takes, seconds: long enough to be cut.
SLOW = 0.1


@dataclass(slots=True)
class Havoc:
    """The acts of one run, and their results."""

    replicas: int
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    found: dict[str, int] = field(default_factory=dict)
    wrong: str = ""

    def told(self) -> dict[str, Any]:
        """Return the content of the JSON line."""
        fates = {name: self.done[name] for name in (*FATES, "slept_past_lease")}
        told = {"replicas": self.replicas, "seed": self.seed, **fates, **self.found}
        return {**told, "ok": not self.wrong}


async def play(folder: Path, dsn: str, *, replicas: int, seconds: float, seed: int) -> Havoc:
    """Send requests for so long while each replica meets its fate; then let all settle."""
    havoc = Havoc(replicas, seed)
    roles = ("intake", *["dispatch"] * replicas)
    async with open_crowd(folder, dsn, seed=seed, roles=roles) as crowd:
        await asyncio.gather(*(one.start() for one in crowd.replicas))
        for far_end in (crowd.town.stage.bron, crowd.town.stage.villeurbanne):
            far_end.faults.slow(SLOW)
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(_send(crowd, end))
            for one in crowd.dispatch:
                dice = random.Random(f"{seed} {one.name}")
                group.create_task(_fate(one, dice, end, havoc.done))
        wrong = await crowd.town.wrongs()
        havoc.wrong = wrong and "\n".join([*_owed(crowd), wrong])
        havoc.found = _found(crowd)
    return havoc


async def _send(crowd: Crowd, end: float) -> None:
    crowd.town.send(BURST // 2, BURST // 2)
    while time.monotonic() < end:
        await asyncio.sleep(1)
        crowd.town.send(RATE // 2, RATE // 2)


async def _fate(one: Replica, dice: random.Random, end: float, done: Counter[str]) -> None:
    while True:
        await asyncio.sleep(dice.uniform(0.5, 5))
        if time.monotonic() > end:
            return
        (fate,) = dice.choices([*FATES], [*FATES.values()])
        done[fate] += 1
        match fate:
            case "kills":
                await one.kill()
                await asyncio.sleep(dice.uniform(0, 2))
                await one.start(until_ready=False)
            case "stops":
                long = dice.random() < 0.5
                done["slept_past_lease"] += long
                one.signal(signal.SIGSTOP)
                await asyncio.sleep(LEASE + dice.uniform(1, 3) if long else dice.uniform(0.2, 6))
                one.signal(signal.SIGCONT)
            case "restarts":
                one.signal(signal.SIGTERM)
                await one.dies()
                await one.start(until_ready=False)


def _owed(crowd: Crowd) -> list[str]:
    """Return the open deliveries, and the state of their lanes."""
    rows = crowd.ask(
        "SELECT d.lane, d.state, d.reason, count(*), min(l.breaker), min(l.trips)"
        " FROM delivery d LEFT JOIN lane l ON l.name = d.lane"
        " WHERE d.state <> 'done' GROUP BY d.lane, d.state, d.reason"
    )
    return ["still owed: " + " ".join(map(str, row)) for row in rows]


def _found(crowd: Crowd) -> dict[str, int]:
    counted = tally(crowd.town.stage)
    ((delivered, owed, vain),) = crowd.ask(
        "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state <> 'done'),"
        " sum(fence) - (SELECT count(*) FROM attempt) FROM delivery"
    )
    ((late, asked),) = crowd.ask(
        "SELECT count(*) FILTER (WHERE state = 'late'),"
        " count(DISTINCT delivery_id) FILTER (WHERE action = 'find') FROM attempt"
    )
    return {
        "requests": counted.requests,
        "deliveries": _int(delivered),
        "owed": _int(owed),
        "lost": counted.lost,
        "doubled": counted.duplicates,
        "disordered": crowd.town.disordered(),
        "asked": _int(asked),
        "late": _int(late),
        "vain": _int(vain),
    }


def _int(value: object) -> int:
    return int(str(value))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tdg-havoc-") as name, server() as postgres:
        havoc = asyncio.run(
            play(
                Path(name),
                postgres.empty(),
                replicas=given.replicas,
                seconds=given.seconds,
                seed=given.seed,
            )
        )
    print(json.dumps(havoc.told()))
    if havoc.wrong:
        print(havoc.wrong, file=sys.stderr)
    return 1 if havoc.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
