"""The scenarios. Each one is a function that runs and returns a summary."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from gateway.core.messages import Message
from gateway.demo.agents import Agents
from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.stage import Stage
from gateway.demo.story import Story, Watcher
from gateway.demo.tally import Tally, tally
from gateway.demo.texts import say
from gateway.sim.faults import FaultCondition

#: Seconds without movement after which a scenario is judged as it is. Its whole length depends on
#: the machine.
STILL = 90.0
#: Seconds without movement before the count is final: a lost reply is asked about after two, so a
#: repeat would show by then.
QUIET = 3.0

Play = Callable[[Stage, Story], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`text` says in one sentence what the scenario shows. `apart`: the daemon is a separate
    process."""

    name: str
    text: Message
    play: Play
    apart: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, text: Message, *, apart: bool = False) -> Callable[[Play], Play]:
    """Register a function as a scenario."""

    def register(play: Play) -> Play:
        SCENARIOS[name] = Scenario(name, text, play, apart)
        return play

    return register


@scenario("pass", say("the_pass"))
async def the_pass(stage: Stage, story: Story) -> dict[str, Any]:
    street, school = sample(ANOMALY), sample(SCHOOL)
    requests = [
        street,
        anomaly(street, stage.dice, photo=False),
        registration(school, stage.dice),
    ]
    return await _play("pass", stage, story, requests)


@scenario("lost-replies", say("lost_replies"))
async def lost_replies(stage: Stage, story: Story) -> dict[str, Any]:
    street, school = sample(ANOMALY), sample(SCHOOL)
    requests = [anomaly(street, stage.dice, photo=n % 2 == 0) for n in range(20)]
    requests += [registration(school, stage.dice) for _ in range(10)]
    stage.dice.shuffle(requests)
    spared = stage.dice.randrange(3)
    story.title(say("third_lost"))

    def third(path: str) -> FaultCondition:
        return FaultCondition(path=path, method="POST", every=3, after=spared)

    stage.bron.faults.cut_after(third("/requests"))
    stage.villeurbanne.faults.cut_after(third("/api/tickets"))
    # For each commune's reports, which have their own lanes and breakers.
    for slug in (ANOMALY, SCHOOL):
        stage.portal.faults.cut_after(third(f"/api/forms/{slug}/"))
    try:
        summary = await _play("lost-replies", stage, story, requests)
    finally:
        for far_end in (stage.bron, stage.villeurbanne, stage.portal):
            far_end.faults.clear()
    cuts = [len(f.faults.injected) for f in (stage.bron, stage.villeurbanne, stage.portal)]
    return {**summary, "lost_replies": sum(cuts)}


async def _play(
    name: str, stage: Stage, story: Story, requests: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Let citizens send and agents work; wait for everything, then count."""
    begun = time.monotonic()
    async with at_work(stage, story):
        story.title(say("citizens_send"))
        for request in requests:
            item = stage.portal.submit_sample(request)
            commune = str(item.fields["commune"])
            story.say("citizen", say("sends", form=item.form.slug, id=item.id, commune=commune))
            await stage.push(item)
        await settled(stage)
    counted = tally(stage)
    return {"scenario": name, **asdict(counted), "seconds": round(time.monotonic() - begun, 1)}


@asynccontextmanager
async def at_work(stage: Stage, story: Story) -> AsyncIterator[None]:
    """Run the agents and the narrator during the block."""
    watcher = Watcher(stage, story)
    tasks = [
        asyncio.create_task(watcher.run(), name="story"),
        asyncio.create_task(Agents(stage, story).run(), name="agents"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        watcher.print_new()


async def settled(stage: Stage) -> None:
    """Wait until every request is back and nothing changes, or nothing changes at all."""
    last: tuple[Tally, int] | None = None
    since = time.monotonic()
    while not stage.stop.is_set():
        now = (tally(stage), len(stage.portal.received))
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since >= (STILL if now[0].lost else QUIET):
            return
        await asyncio.sleep(0.05)
