"""The meter sees whatever keeps the loop from its turns, and not what else the machine does."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import uvloop

from gateway.ops.stalls import StallMeter

HELD = 0.06


def _work(seconds: float) -> None:
    """Use the CPU for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_callback_that_holds_the_loop_is_seen(loop: object) -> None:
    async def play() -> StallMeter:
        with StallMeter() as meter:
            await asyncio.sleep(0)
            _work(HELD)
        return meter

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        meter = runner.run(play())
    assert meter.longest >= HELD


async def test_a_parser_in_a_thread_that_lets_nobody_else_run_is_seen() -> None:
    # Numbers alone: what makes lists starts the collector, whose callbacks let others run.
    text = json.dumps([0] * 1_500_000)
    begun = time.thread_time()
    json.loads(text)
    alone = time.thread_time() - begun
    with StallMeter() as meter:
        await asyncio.to_thread(json.loads, text)
    assert meter.longest > alone / 3


async def test_what_only_waits_is_the_wait_and_no_stall() -> None:
    with StallMeter() as meter:
        time.sleep(HELD)  # noqa: ASYNC251 - as if the machine were busy elsewhere
    assert meter.longest < HELD / 2
    assert meter.longest_wait >= HELD / 2


async def test_many_small_turns_are_no_stall() -> None:
    with StallMeter() as meter:
        for _ in range(30):
            _work(HELD / 15)
            await asyncio.sleep(0)
    assert meter.longest < HELD
