"""The hostile scenario: everybody who can reach the daemon attacks it while honest requests
pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.demo import bad_answers as bad
from gateway.demo.attacks import ATTACKS, MIB, NEVER, Attack, Ground, arm, file_of
from gateway.demo.calls import CallResult
from gateway.demo.figures import DaemonFigures, read_figures
from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.scenarios import at_work, scenario, settled
from gateway.demo.stage import Stage
from gateway.demo.story import Story
from gateway.demo.tally import tally
from gateway.demo.texts import say
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.server import run_server

#: Honest requests by default; with another number, attacks have a tenth of their size.
REQUESTS = 24
#: Seconds after which the scenario is judged as it stands.
TIMEOUT = 240.0
#: Bounds of the loop's longest stall and of the daemon's memory.
STALL_MS, PEAK_MB = 50, 300
#: The citizens' messages by formdata: the beginning of each, and the text to look for.
Written = dict[tuple[str, str], tuple[str, str]]
#: Texts that must arrive to the letter.
LETTERS = (
    "<![word",
    "<!--" * 2_000,
    "&#" * 4_000,
    "<" * 8_000,
    "<a " * 7_999 + "<a",
    "1 < 2 \N{RIGHT-TO-LEFT OVERRIDE}inversé",
)
#: Rich texts that must arrive in time: their words are compared.
RICH = ("<p>mot" + "<a " * 2_600, "<p>mot" + "<a " * 8_000, "<p>mot" + "<b>" * 8_000)


@scenario(
    "hostile",
    say("hostile"),
    apart=True,
)
async def hostile(stage: Stage, story: Story) -> dict[str, Any]:
    begun = time.monotonic()
    count = stage.size or REQUESTS
    async with _elsewhere() as (address, strays):
        victims = [stage.portal.submit_sample(_street(stage)) for _ in range(3)]
        ground = Ground(stage, 1.0 if stage.size is None else 0.1, victims, address)
        stage.portal.faults.say(bad.page(404, b"?"), FaultCondition("/api/users/", "POST"))
        async with at_work(stage, story):
            story.title(say("everybody_attacks"))
            before = await read_figures(stage)
            written = await _played(ground, story, count, begun + TIMEOUT)
            foreign = _foreign(stage, victims, strays)
            story.title(say("attacks_over"))
            stage.bron.faults.clear()
            stage.villeurbanne.faults.clear()
            stage.glc.faults.clear()
            for victim in victims:
                await stage.push(victim)
            await _arrived(stage, written, begun + TIMEOUT)
            await settled(stage)
            foreign += _usurped(stage, victims)
            after = await read_figures(stage)
    counted = tally(stage)
    missing, again = _messages(stage, written)
    wrongs = {
        "errors_5xx": _errors(after, ground.said),
        "lost": counted.lost + missing,
        "duplicates": counted.duplicates + again,
        "foreign_writes": foreign,
    }
    stall, peak = round(after.stall * 1000, 1), round(after.peak / MIB, 1)
    return {
        "scenario": "hostile",
        "attacks": ground.attacks,
        "longest_stall_ms": stall,
        "peak_mb": peak,
        **wrongs,
        "requests": counted.requests,
        "messages": len(written),
        "longest_wait_ms": round(after.wait * 1000, 1),
        "grown_mb": round((after.resident - before.resident) / MIB, 1),
        "seconds": round(time.monotonic() - begun, 1),
        "ok": not any(wrongs.values()) and stall < STALL_MS and peak < PEAK_MB,
    }


async def _arrived(stage: Stage, written: Written, until: float) -> None:
    """Wait until every message is at the GRU, or the time is over."""
    while time.monotonic() < until and _messages(stage, written)[0]:  # noqa: ASYNC110
        await asyncio.sleep(0.2)


async def _played(ground: Ground, story: Story, count: int, until: float) -> Written:
    """Run everything at once. Return the citizens' messages, and the values to look for."""
    written: Written = {}
    arm(ground)
    async with asyncio.TaskGroup() as group:
        group.create_task(_honest(ground, count, written, until))
        for attack in ATTACKS:
            group.create_task(_attacked(ground, story, attack))
    return written


async def _attacked(ground: Ground, story: Story, attack: Attack) -> None:
    said = list(await attack(ground))
    ground.said += said
    ground.attacks += len(said)
    story.say(
        "attack",
        say(
            "attacked",
            attack=say(attack.__name__.strip("_")),
            statuses=str(sorted({one.status for one in said})),
        ),
    )


# --- the honest ---------------------------------------------------------------------------------


async def _honest(ground: Ground, count: int, written: Written, until: float) -> None:
    """Push requests one after the other, and add odd messages to the families' ones."""
    stage, odd = ground.stage, [*((t, t) for t in LETTERS), *((t, "mot") for t in RICH)]
    for n in range(count):
        item = stage.portal.submit_sample(
            registration(sample(SCHOOL), stage.dice) if n % 2 else _street(stage)
        )
        await stage.push(item)
        if n % 2:
            text, sought = odd[n // 2 % len(odd)]
            key, name = (item.form.slug, item.id), f"Message {item.id} :"
            with suppress(KeyError):  # its commune has closed it meanwhile
                await stage.portal.write(*key, f"{name} {text}")
                written[key] = (name, sought)
                ground.attacks += 1
        await asyncio.sleep(0.2)


def _street(stage: Stage) -> dict[str, Any]:
    return anomaly(sample(ANOMALY), stage.dice, photo=True)


# --- the count ------------------------------------------------------------------------------------


@asynccontextmanager
async def _elsewhere() -> AsyncIterator[tuple[str, list[str]]]:
    """Run a server that is nobody's far end. Yield its address, and the calls that it got."""
    calls: list[str] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        calls.append(str(scope["path"]))
        await bad.page(200, b"{}")(scope, receive, send)

    async with run_server(note) as running:
        yield running.url, calls


def _errors(after: DaemonFigures, said: Iterable[CallResult]) -> int:
    """Count 5xx answers except a 503 with Retry-After, and heads that were never closed."""
    bare = sum(one.status == 503 and not one.retry_after for one in said)
    return after.errors + bare + sum(one.status == NEVER for one in said)


def _foreign(stage: Stage, victims: list[SimulatedFormdata], strays: list[str]) -> int:
    """Count foreign writes: on others' requests before the portal named them, calls to other
    servers, and documents of another's request."""
    named = {(victim.form.slug, victim.id) for victim in victims}
    told = sum((one.slug, one.id) in named for one in stage.portal.received)
    users = sum(one.path.startswith("/api/users/") for one in stage.portal.faults.injected)
    return told + users + len(strays) + _stolen(stage, victims)


def _usurped(stage: Stage, victims: list[SimulatedFormdata]) -> int:
    """Count the reports of another commune's ticket on requests that the portal pushed to Bron."""
    own = {ticket.id for ticket in stage.bron.tickets} | {None}
    return sum(
        isinstance(event, dict) and event.get("reference") not in own
        for victim in victims
        for event in stage.portal.events(victim.form.slug, victim.id)
    )


def _stolen(stage: Stage, victims: list[SimulatedFormdata]) -> int:
    """Count the documents at Villeurbanne that its key could only name by address."""
    names = {file_of(victim, "")["filename"] for victim in victims}
    tickets = stage.villeurbanne.tickets
    return sum(one.filename in names for ticket in tickets for one in ticket.documents)


def _messages(stage: Stage, written: Written) -> tuple[int, int]:
    """Count the messages that the GRU lacks, and those that it has twice."""
    comments = [one.text for ticket in stage.villeurbanne.tickets for one in ticket.comments]
    missing = again = 0
    for name, sought in written.values():
        found = sum(text.startswith(name) and sought in text for text in comments)
        missing += found == 0
        again += max(0, found - 1)
    return missing, again


__all__ = ["hostile"]
