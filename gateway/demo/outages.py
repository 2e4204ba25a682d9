"""Scenarios of a GRU that is down: its neighbours meanwhile, and its return."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.scenarios import STILL, at_work, scenario, settled
from gateway.demo.stage import Stage
from gateway.demo.story import Story
from gateway.demo.tally import tally
from gateway.demo.texts import say
from gateway.sim.faults import FaultCondition
from gateway.wire.clients import open_client

#: Requests of the healthy commune during its neighbour's outage; as many again, half before it and
#: half after, so that other load on the machine counts on both sides.
HEALTHY = 30
STUCK = 5
#: Longer than the gateway waits for an answer, in seconds.
HANG = 8.0
#: Requests that wait for the absent GRU.
BACKLOG = 80
#: The seconds that the GRU needs for a request.
SLOW = 0.25


@scenario(
    "dead-commune",
    say("dead_commune"),
)
async def dead_commune(stage: Stage, story: Story) -> dict[str, Any]:
    begun = time.monotonic()
    async with at_work(stage, story):
        story.title(say("to_bron", count=HEALTHY // 2))
        await _timed(stage, 3)  # warms up connections and code
        without = await _timed(stage, HEALTHY // 2)
        story.title(say("hangs_now", count=STUCK))
        stage.villeurbanne.faults.slow(HANG, FaultCondition(path="/api/"))
        try:
            for _ in range(STUCK):
                form = registration(sample(SCHOOL), stage.dice)
                await stage.push(stage.portal.submit_sample(form))
            while_hanging = await _timed(stage, HEALTHY)
        finally:
            stage.villeurbanne.faults.clear()
        story.title(say("answers_again"))
        await settled(stage)
        story.title(say("more_to_bron", count=HEALTHY // 2))
        without += await _timed(stage, HEALTHY // 2)
        await settled(stage)
    p99, p99_hanging = _ms(without, 0.99), _ms(while_hanging, 0.99)
    return {
        "scenario": "dead-commune",
        **asdict(tally(stage)),
        "p50_ms": _ms(without, 0.5),
        "p50_ms_with_a_dead_neighbour": _ms(while_hanging, 0.5),
        "p99_ms": p99,
        "p99_ms_with_a_dead_neighbour": p99_hanging,
        "ratio": round(p99_hanging / p99, 2),
        "seconds": round(time.monotonic() - begun, 1),
    }


@scenario(
    "catch-up",
    say("catch_up", count=BACKLOG),
)
async def catch_up(stage: Stage, story: Story) -> dict[str, Any]:
    begun = time.monotonic()
    stage.bron.faults.fail(503)
    async with at_work(stage, story):
        story.title(say("bron_down", count=BACKLOG))
        pushed: list[str] = []
        for _ in range(BACKLOG):
            form = anomaly(sample(ANOMALY), stage.dice, photo=False)
            item = stage.portal.submit_sample(form)
            await stage.push(item)
            pushed.append(item.id)
        stage.bron.faults.clear()
        stage.bron.faults.slow(SLOW, FaultCondition(method="POST", path="/requests"))
        back = datetime.now(UTC)
        story.title(say("bron_back"))
        guesses, reopened = await _watch(stage, story)
        ended = datetime.now(UTC)
        stage.bron.faults.clear()
        await settled(stage)
    first = guesses[0][0] if guesses else ended
    whole = max((ended - first).total_seconds(), 0.001)
    errors = [abs((guess - ended).total_seconds()) for _, guess in guesses]
    references = [stage.reference_of(ANOMALY, one) for one in pushed]
    places = {reference: n for n, reference in enumerate(references)}
    arrived = [places[t.param("attribute[toodego_ref]")] for t in stage.bron.tickets]
    counted, drained = tally(stage), len(arrived)
    return {
        "scenario": "catch-up",
        **asdict(counted),
        "drained": drained,
        "drain_seconds": round((ended - back).total_seconds(), 1),
        "second_outages": reopened,
        # Estimates of health after one tenth of the way, and the worst error: in seconds, and as a
        # share of the remaining time.
        "estimates": len(guesses),
        "estimate_error_seconds": round(max(errors, default=whole), 1),
        "estimate_error": round(max(errors, default=whole) / whole, 3),
        "displaced": max((abs(n - place) for n, place in enumerate(arrived)), default=0),
        "seconds": round(time.monotonic() - begun, 1),
        "ok": counted.whole and drained == BACKLOG and not reopened and bool(guesses),
    }


async def _timed(stage: Stage, requests: int) -> list[float]:
    """Return the seconds from push to ticket at Bron, for some requests."""
    seconds = []
    for _ in range(requests):
        item = stage.portal.submit_sample(anomaly(sample(ANOMALY), stage.dice, photo=False))
        have, begun = len(stage.bron.tickets), time.monotonic()
        await stage.push(item)
        while len(stage.bron.tickets) == have:
            await asyncio.sleep(0.001)
            if time.monotonic() - begun > HANG:
                break
        seconds.append(time.monotonic() - begun)
        await asyncio.sleep(0.02)
    return seconds


def _ms(seconds: list[float], share: float) -> float:
    """Return this quantile of the times, in milliseconds."""
    at = max(0, math.ceil(len(seconds) * share) - 1)
    return round(sorted(seconds)[at] * 1000, 1)


async def _watch(stage: Stage, story: Story) -> tuple[list[tuple[datetime, datetime]], int]:
    """Return the ends that health estimated after one tenth of the time, and how often the breaker
    opened again."""
    guesses: list[tuple[datetime, datetime]] = []
    reopened, was_open, last = 0, True, 0
    before, since = 0, time.monotonic()
    async with open_client(timeout=5, connections=1) as client:
        while (done := len(stage.bron.tickets)) < BACKLOG:
            if done != before:
                before, since = done, time.monotonic()
            if time.monotonic() - since >= STILL or stage.stop.is_set():
                break
            now = datetime.now(UTC)
            health = (await client.get(f"{stage.url}/ops/health")).json()
            part = health["lanes"]["gru:69029:voirie"]
            is_open = part["state"] == "open"
            reopened += is_open and not was_open
            was_open = is_open
            if part["estimated_end"] and done >= BACKLOG / 10:
                guesses.append((now, datetime.fromisoformat(part["estimated_end"])))
                if done >= last + BACKLOG / 5:
                    last = done
                    when = guesses[-1][1].strftime("%H:%M:%S")
                    story.say("gateway", say("delivered_of", done=done, count=BACKLOG, when=when))
            await asyncio.sleep(0.2)
    return guesses, reopened
