"""Several processes on one PostgreSQL: nothing lost, nothing twice, whatever is done to them."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from gateway.core.lane_name import GruLane
from gateway.demo.samples import ANOMALY, anomaly, sample
from gateway.demo.stage import BRON, intake
from gateway.sim.faults import FaultCondition
from tests.acceptance.town import until
from tests.replicas.crowd import LEASE, Crowd, open_crowd
from tests.replicas.havoc import BURST, play
from tests.store.postgres import Server

LANE = str(GruLane(BRON, "voirie"))


async def start_all(crowd: Crowd) -> None:
    await asyncio.gather(*(one.start() for one in crowd.replicas))


async def test_replicas_that_start_at_once_make_the_schema_once_and_share_the_timers(
    dsn: str, tmp_path: Path
) -> None:
    async with open_crowd(tmp_path, dsn, roles=("all", "all", "dispatch")) as crowd:
        gru = crowd.town.stage.villeurbanne.faults
        await start_all(crowd)
        assert crowd.ask("SELECT count(*) FROM alembic_version") == [(1,)]
        crowd.town.send(2, 1)
        await crowd.town.settle()
        # Polled each second by whichever of the three wins the second. A poll asks for a page, and
        # whether there is another.
        gru.slow(0.001, FaultCondition(method="GET", path="/api/tickets", every=2))
        begun = time.monotonic()
        await until(lambda: len(gru.injected) >= 6, "six polls")
        assert len(gru.injected) <= time.monotonic() - begun + 2
        owners = crowd.ask("SELECT count(*) FROM replica")
        assert owners == [(3,)]


async def test_killed_and_stopped_at_random_none_is_lost_and_none_is_twice(
    dsn: str, tmp_path: Path
) -> None:
    dice = random.Random(20)
    async with open_crowd(tmp_path, dsn, seed=20) as crowd:
        await start_all(crowd)
        crowd.town.send(16, 8)
        # One sleeps for longer than its leases, and wakes in the belief that they are its own.
        crowd.town.stage.villeurbanne.faults.slow(0.2)
        crowd.town.stage.bron.faults.slow(0.2)
        sleeper, other = dice.sample(crowd.dispatch, 2)
        await asyncio.sleep(0.5)
        sleeper.signal(signal.SIGSTOP)
        slept = time.monotonic()
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.3, 1.5))
            crowd.town.send(3, 2)
            await other.kill()
            await asyncio.sleep(dice.uniform(0.0, 0.5))
            await other.start(until_ready=False)
        await asyncio.sleep(max(0.0, LEASE + 2 - (time.monotonic() - slept)))
        crowd.town.send(3, 1)
        sleeper.signal(signal.SIGCONT)
        await crowd.town.settle()


async def test_four_replicas_in_a_short_havoc_lose_nothing_and_double_nothing(
    dsn: str, tmp_path: Path
) -> None:
    havoc = await play(tmp_path, dsn, replicas=4, seconds=8, seed=4)
    assert not havoc.wrong, havoc.wrong
    assert havoc.done["kills"]
    assert havoc.done["slept_past_lease"]
    assert havoc.found["requests"] >= BURST
    assert [havoc.found[name] for name in ("lost", "doubled", "disordered")] == [0, 0, 0]


async def test_a_database_that_goes_and_comes_back_costs_nothing(
    postgres: Server, dsn: str, tmp_path: Path
) -> None:
    answers: list[tuple[int, str | None]] = []

    async def keep(response: httpx.Response) -> None:
        answers.append((response.status_code, response.headers.get("retry-after")))

    async with open_crowd(tmp_path, dsn, seed=3) as crowd:
        stage = crowd.town.stage
        await start_all(crowd)
        crowd.town.send(6, 3)
        await asyncio.sleep(0.3)
        postgres.stop(signal.SIGQUIT)
        try:
            item = stage.portal.submit_sample(anomaly(sample(ANOMALY), stage.dice, photo=False))
            async with httpx.AsyncClient(
                verify=False, timeout=28, event_hooks={"response": [keep]}
            ) as client:
                for _ in range(3):
                    await stage.portal.push(
                        item.id,
                        intake(stage.url, BRON, ANOMALY),
                        stage.caller_key,
                        slug=ANOMALY,
                        orig="toodego",
                        client=client,
                    )
            assert [status for status, _ in answers] == [503] * 3
            assert all(after and int(after) > 0 for _, after in answers)
            # 0 is a busy machine's answer that came too late to be seen.
            assert {await one.readiness() for one in crowd.replicas} <= {503, 0}
            crowd.town.send(2, 1)  # pushed again and again until it is taken
        finally:
            postgres.start()
        await until(ready(crowd), "all are ready again")
        crowd.town.sent[ANOMALY, item.id] = item
        await stage.push(item)
        await crowd.town.settle()


async def test_what_one_replica_takes_another_sends_at_once(dsn: str, tmp_path: Path) -> None:
    async with open_crowd(tmp_path, dsn, roles=("intake", "dispatch")) as crowd:
        stage = crowd.town.stage
        await start_all(crowd)
        took = []
        for _ in range(5):
            await asyncio.sleep(0.3)
            have = len(stage.bron.tickets)
            item = stage.portal.submit_sample(anomaly(sample(ANOMALY), stage.dice, photo=False))
            crowd.town.sent[ANOMALY, item.id] = item
            await stage.push(item)
            begun = time.monotonic()
            while len(stage.bron.tickets) == have:
                assert time.monotonic() - begun < 5
                await asyncio.sleep(0.005)
            took.append(time.monotonic() - begun)
        assert max(took) < 0.5, took
        await crowd.town.settle()


async def test_a_pause_is_seen_by_every_replica_and_an_open_breaker_is_taken_over(
    dsn: str, tmp_path: Path
) -> None:
    async with open_crowd(tmp_path, dsn) as crowd:
        stage = crowd.town.stage
        await start_all(crowd)
        await crowd.intake.command("commune", "pause", BRON)
        await asyncio.sleep(1)
        crowd.town.send(3, 0)
        await asyncio.sleep(2)
        assert stage.bron.tickets == []
        await crowd.intake.command("commune", "resume", BRON)
        await crowd.town.settle()
        # Broken by one replica, its breaker is what the next one begins with.
        have = len(stage.bron.tickets)
        stage.bron.faults.fail(500)
        crowd.town.send(8, 0)

        async def opened() -> bool:
            rows = crowd.ask(f"SELECT breaker FROM lane WHERE name = '{LANE}'")
            return rows == [("open",)]

        await until(opened, "the breaker opens")
        for one in list(crowd.dispatch):
            await one.kill()
        await crowd.dispatch[0].start()

        async def taken_over() -> bool:
            health = await crowd.dispatch[0].health()
            return health["lanes"][LANE]["state"] in ("open", "half_open")

        await until(taken_over, "the breaker is taken over")
        stage.bron.faults.clear()
        await crowd.town.settle()
        assert len(stage.bron.tickets) == have + 8


def ready(crowd: Crowd) -> Callable[[], Awaitable[bool]]:
    async def all_ready() -> bool:
        return all([await one.readiness() == 200 for one in crowd.replicas])

    return all_ready
