"""Timers at their end, and when the clock was set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

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


@pytest.mark.parametrize("missed", [timedelta(days=400), timedelta(seconds=5), timedelta(0)])
async def test_a_clock_set_forward_makes_one_run(missed: timedelta) -> None:
    """Seen: one timer of a minute listed 576,000 runs, a millisecond or so each."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True})
    scheduler.start(paused=True)
    job = scheduler.add_job(lambda: None, timers.Every(seconds=5, jitter=0.5))
    due = job.next_run_time
    now = due + missed
    # What the scheduler asks each time it wakes.
    assert job._get_run_times(now) == [due]  # noqa: SLF001
    following = job.trigger.get_next_fire_time(due, now)
    assert timedelta(0) < following - now <= timedelta(seconds=5.5)
    assert following > due
    scheduler.shutdown(wait=False)
