"""Runs everything, and counts: in the simulators, in the portal's answers and in the system."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gateway.demo.figures import read_metrics
from gateway.demo.metropole.acts import Act, Operator
from gateway.demo.metropole.load import Load, TimedPush, percentiles
from gateway.demo.metropole.stage import Town, open_town
from gateway.demo.story import Story
from gateway.demo.texts import say

#: Seconds after the last push within which every accepted request is delivered and reported.
PATIENCE = 90.0
_SERIES = re.compile(r"^(gru_gateway_\S*?(?:\{.*?\})?) \S+$", re.MULTILINE)


async def run_town(count: int, *, seed: int, port: int, once: bool, story: Story) -> dict[str, Any]:
    """Run with this many communes, and return the summary. Unless `once`, stay up until Ctrl-C.

    Raises GatewayError when a command fails unexpectedly, or somebody interrupts.
    """
    async with open_town(seed, port, count, story) as town:
        begun = time.monotonic()
        summary = {"scenario": "metropole", "communes": count} | await _play(town)
        summary["seconds"] = round(time.monotonic() - begun, 1)
        _print_summary(story, summary)
        if not once:
            story.title(say("stays_up"))
            story.plain(f"  curl -s {town.url}/ops/health")
            here = f"--config {town.config} --mappings {town.mappings}"
            for command in ("commune list", "release list", "release plan"):
                story.plain(f"  gru-gateway {command} {here}")
            await town.stop.wait()
    return summary


async def _play(town: Town) -> dict[str, Any]:
    load = Load(town)
    operator = Operator(town, load)
    pilots = town.members[: max(1, len(town.members) // 8)]
    await operator.connect(pilots, "pilots")
    before = await _series(town)
    citizens = asyncio.create_task(load.run(), name="citizens")
    try:
        await operator.quiet()
        await operator.connect(town.members[len(pilots) :], "connect")
        await operator.quiet()
        await operator.shared_change()
        await operator.quiet()
        await operator.rollback()
        await operator.quiet()
        await operator.key_changed()
        await operator.quiet()
        await operator.failing()
    finally:
        citizens.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await citizens
    await _settled(town, load)
    lost, twice = missing(town, load)
    refused = Counter(str(one.status) for one in load.sent if one.refused)
    quiet = [one for act in operator.acts if act.name == "quiet" for one in _others(act, load)]
    wrong = [w for act in operator.acts for w in act.told.get("why_wrong", ())]
    gaps = _gaps(town, operator.acts)
    return {
        "quiet": percentiles(quiet) | {"pushes": len(quiet)},
        "acts": {
            act.name: _figures(act, load, percentiles(quiet)["p95"])
            for act in operator.acts
            if act.name != "quiet"
        },
        "memory_mb": [operator.acts[0].memory[0], operator.acts[-1].memory[1]],
        "peak_mb": round(town.daemon.memory("VmHWM") / 2**20, 1),
        **gaps,
        "series_gone": sorted(before - await _series(town)),
        "pushes": len(load.sent),
        "refused": refused.total(),
        "refused_by_status": dict(refused),
        "lost": lost,
        "duplicates": twice,
        "ok": not (refused or lost or twice or wrong),
    }


def _others(act: Act, load: Load) -> list[TimedPush]:
    return [one for one in load.between(act.begin, act.end) if one.insee not in act.concerned]


def _figures(act: Act, load: Load, quiet: float | None) -> dict[str, Any]:
    others = _others(act, load)
    told = percentiles(others)
    during = load.between(act.begin, act.end)
    ratio = None if not quiet or told["p95"] is None else round(told["p95"] / quiet, 2)
    return {
        "seconds": act.seconds,
        "commands_cpu_s": round(sum(done.cpu for done in act.commands), 1),
        "daemon_cpu_s": act.daemon_cpu,
        **act.told,
        "memory_mb": act.memory,
        "others": told | {"pushes": len(others), "p95_to_quiet": ratio},
        "concerned": percentiles(one for one in during if one.insee in act.concerned),
        "refused": sum(one.refused for one in during),
    }


def missing(town: Town, load: Load) -> tuple[int, int]:
    """Return the number of accepted requests that were not delivered or reported, and of those that
    were twice."""
    held = town.held()
    events = Counter((call.slug, call.id, _event(call.payload)) for call in town.portal.received)
    told = {(slug, id) for slug, id, event in events if event}
    lost = sum(
        not one.refused and not (held[one.reference or ""] and (one.slug, one.id) in told)
        for one in load.sent
    )
    again = sum(n - 1 for (_, _, event), n in events.items() if event)
    return lost, again + sum(n - 1 for n in held.values() if n > 1)


def _event(payload: Any) -> str | None:
    return payload.get("evenement") if isinstance(payload, dict) else None


async def _settled(town: Town, load: Load) -> None:
    until = time.monotonic() + PATIENCE
    while missing(town, load)[0] and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await town.stop.wait()
                return


def _gaps(town: Town, acts: Sequence[Act]) -> dict[str, float]:
    """Return the longest time without a poll of a healthy GRU, and of GLC."""
    ends = [act for act in acts if act.name == "failing"]
    until, failed = ends[0].begin, ends[0].concerned
    grus = [
        longest_gap(gru.watched.reads, until)
        for insee, own in town.grus.items()
        if insee not in failed
        for gru in own.values()
    ]
    return {
        "longest_without_poll_s": max(grus, default=0.0),
        "longest_without_glc_s": longest_gap(town.glc.reads, until),
    }


def longest_gap(reads: Sequence[float], until: float) -> float:
    inside = [*(at for at in reads if at < until), until]
    return round(max((b - a for a, b in pairwise(inside)), default=0.0), 1)


async def _series(town: Town) -> set[str]:
    """Return the names of all the daemon's metric series, with their labels."""
    return set(_SERIES.findall(await read_metrics(town.url)))


def _print_summary(story: Story, summary: dict[str, Any]) -> None:
    story.title(say("measured"))
    for name, value in summary.items():
        if name == "acts":
            for act, figures in value.items():
                story.plain(f"  {act}")
                for key, one in figures.items():
                    story.plain(f"{key:>24}  {one}")
        else:
            story.plain(f"{name:>24}  {value}")
