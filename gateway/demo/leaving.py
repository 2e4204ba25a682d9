"""The scenario of a commune that leaves: its citizens are told, and nothing of it stays."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import State
from gateway.demo.forgetting import (
    GatewayTables,
    any_of,
    files_with_marker,
    logging_within,
    marked_sample,
    push_signed,
    watching_tables,
)
from gateway.demo.samples import ANOMALY, SCHOOL
from gateway.demo.scenarios import scenario
from gateway.demo.stage import BRON, Stage
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.flow import decommission
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store import decommissions, departed
from gateway.store.decommissions import Decommission

#: Seconds for what waits for the GRU.
_DRAIN = 5
_PORTAL = "toodego"


@scenario("decommission", say("commune_leaves"))
async def commune_leaves(stage: Stage, story: Story) -> dict[str, Any]:
    with watching_tables(stage) as watch, logging_within(stage.folder):
        items, met = await _citizens_ask(stage, story, watch)
        known = await watch.database.read(departed.markers, BRON)
        settings = stage.catalogue.settings
        before = await decommission.search(watch.database, settings, known)
        story.say("gateway", say("marker_places", count=len(before)))
        story.title(say("decided"))
        await decommission.announce(watch.database, _order())
        met &= await watch.until(lambda: _in_step(watch, DecommissionStep.DRAINING))
        # A daemon looks every other second.
        met &= await watch.until(lambda: _refuses(stage, items[0]))
        story.say("gateway", say("refused_as_left"))
        for step in (DecommissionStep.TELLING, DecommissionStep.ERASING, DecommissionStep.ENDED):
            met &= await watch.until(partial(_in_step, watch, step))
            story.say("gateway", say(f"step_{step.value}"))
        return await _judged(stage, story, watch, items, met and bool(before), known)


async def _citizens_ask(
    stage: Stage, story: Story, watch: GatewayTables
) -> tuple[list[SimulatedFormdata], bool]:
    """Send four requests to Bron: one is treated, one done, one refused by the GRU, one waits."""
    story.title(say("bron_asked"))
    items = [stage.portal.submit_sample(marked_sample(ANOMALY)) for _ in range(4)]
    for item in items[:2]:
        await stage.push(item)
    met = await watch.until(lambda: all(_events_of(stage, item) for item in items[:2]))
    stage.bron.advance(stage.bron.tickets[1].id, "closed")
    met &= await watch.until(lambda: len(_events_of(stage, items[1])) > 1)
    stage.bron.faults.fail(400, when=FaultCondition(path="/requests", method="POST"))
    await stage.push(items[2])
    met &= await watch.until(lambda: any_of(watch.deliveries, State.PARKED))
    stage.bron.faults.clear()
    stage.bron.faults.fail(503, when=FaultCondition(path="/requests"))
    await stage.push(items[3])
    story.say("bron", say("bron_treats"))
    return items, met


async def _judged(
    stage: Stage,
    story: Story,
    watch: GatewayTables,
    items: list[SimulatedFormdata],
    met: bool,
    known: list[str],
) -> dict[str, Any]:
    story.title(say("asked_afterwards"))
    late = [await push_signed(stage, item, None) for item in items]
    other = stage.portal.submit_sample(marked_sample(SCHOOL))
    served = await push_signed(stage, other, None)
    story.say("villeurbanne", say("goes_on_as_before"))
    database = watch.database
    rows = await database.read(departed.rows_left, BRON)
    one = await database.read(decommissions.current, BRON)
    objects = 0 if one is None else await database.read(departed.objects_left, one.id)
    found = files_with_marker(stage)
    found += await decommission.search(database, stage.catalogue.settings, known)
    for place in found:
        story.say("fault", say("marker_in", place=place))
    # The one that the GRU had closed is told nothing.
    told = sum(any(_is_last(one) for one in _events_of(stage, item)) for item in items)
    summary = {
        "scenario": "decommission",
        "rows": sum(rows.values()),
        "objects": objects,
        "markers_found": len(found),
        "told": told,
    }
    right = [*summary.values()][1:] == [0, 0, 0, 3]
    return summary | {"ok": bool(met and right and set(late) == {410} and served < 400)}


def _order() -> Decommission:
    now = datetime.now(UTC)
    return Decommission(
        id="DEC-DEMO",
        commune=BRON,
        name="Bron",
        portal=_PORTAL,
        step=DecommissionStep.ANNOUNCED,
        by="Agent Inventé",
        because="Fin de la convention",
        announced_at=now,
        stop_at=now,
        drain=_DRAIN,
        tell=60,
    )


async def _in_step(watch: GatewayTables, step: DecommissionStep) -> bool:
    one = await watch.database.read(decommissions.current, BRON)
    return one is not None and one.step is step


async def _refuses(stage: Stage, item: SimulatedFormdata) -> bool:
    return await push_signed(stage, item, None) == 410


def _events_of(stage: Stage, item: SimulatedFormdata) -> list[Any]:
    return stage.portal.events(item.form.slug, item.id)


def _is_last(told: Any) -> bool:
    return "ne passe plus par ce service" in (told.get("message") or "")
