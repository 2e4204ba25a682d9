"""Timers at their end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway import timers


async def test_a_timer_that_comes_due_at_the_stop_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Seen on a busy machine: a job cut before its first step was logged as one that failed."""
    begun = False

    async def job() -> None:
        nonlocal begun
        begun = True

    scheduler = AsyncIOScheduler()
    scheduler.start(paused=True)
    scheduler.add_job(job, next_run_time=datetime.now(UTC))
    scheduler.resume()  # it looks for what is due as soon as the loop lets it
    timers.end(scheduler)
    await asyncio.sleep(0.01)
    assert not begun
    assert not scheduler.running
    assert not caplog.records
