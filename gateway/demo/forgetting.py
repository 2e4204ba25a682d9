"""Scenarios of deleted accounts: one person is erased everywhere, and false providers erase
nobody."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import telemetry
from gateway.core.delivery import State
from gateway.core.erasure import Phase
from gateway.demo.files import CANARY
from gateway.demo.samples import ANOMALY, NEIGHBOURS, SCHOOL, ZOE, neighbour, sample
from gateway.demo.scenarios import scenario
from gateway.demo.stage import BRON, Stage, intake
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.flow.sealing import open_sealer
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.glc import Lie
from gateway.store import erasure_answers, erasures, trail
from gateway.store.engine import Database
from gateway.store.erasures import Erasure
from gateway.store.marker_search import search_files
from gateway.store.outbox import backlog

#: A text that is nowhere else: found after the erasure, it escaped.
MARKER = "MARQUEUR-ZOE-FICTIVE-7f3a91"
#: Seconds that anything may take.
PATIENCE = 25.0
#: Seconds for which a liar is heard, one poll each; three polls confirm an unknown person.
LISTENED = 6.0


@dataclass(slots=True)
class GatewayTables:
    """The gateway's tables, which the scenarios read directly."""

    stage: Stage
    database: Database

    async def all(self) -> list[Erasure]:
        return await self.database.read(erasures.listing, everything=True, limit=1000)

    async def erased(self) -> int:
        return sum(one.opened_at is not None for one in await self.all())

    async def held(self) -> int:
        return sum(one.state is Phase.HELD for one in await self.all())

    async def suspects(self) -> int:
        return (await self.database.read(erasures.counts, datetime.now(UTC))).suspects

    async def deliveries(self, state: State) -> int:
        return len(await self.database.read(backlog.listing, states=[state]))

    async def until(self, true: Callable[[], Awaitable[bool] | bool]) -> bool:
        """Wait until `true`. Return False when it takes too long, or the play is stopped."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit and not self.stage.stop.is_set():
            found = true()
            if found if isinstance(found, bool) else await found:
                return True
            await asyncio.sleep(0.05)
        return False


@contextmanager
def watching_tables(stage: Stage) -> Iterator[GatewayTables]:
    """Within the block, the gateway's tables can be read."""
    settings = stage.catalogue.settings
    database = Database(settings.database.get_secret_value(), open_sealer(settings))
    try:
        yield GatewayTables(stage, database)
    finally:
        database.close()


@scenario("all-unknown", say("all_unknown"))
async def all_unknown(stage: Stage, story: Story) -> dict[str, Any]:
    with watching_tables(stage) as watch:
        await _neighbours(stage, story, watch)
        story.title(say("glc_knows_nobody"))
        stage.glc.lie = Lie.ALL_UNKNOWN
        await asyncio.sleep(LISTENED / 2)
        story.say("gateway", say("not_believed", held=await watch.held()))
        story.title(say("witness_alone"))
        stage.glc.lie = Lie.NONE
        stage.glc.accounts.intersection_update({CANARY})
        return await _judged("all-unknown", NEIGHBOURS, watch, story)


@scenario("half-rights", say("half_rights"))
async def half_rights(stage: Stage, story: Story) -> dict[str, Any]:
    with watching_tables(stage) as watch:
        await _neighbours(stage, story, watch)
        story.title(say("half_covered"))
        stage.glc.lie = Lie.HALF_VISIBLE
        hidden = sum(neighbour(n) not in stage.glc.visible() for n in range(NEIGHBOURS))
        return await _judged("half-rights", hidden, watch, story)


async def _judged(name: str, expected: int, watch: GatewayTables, story: Story) -> dict[str, Any]:
    """Poll a lying provider for a time in which it could succeed."""
    await asyncio.sleep(LISTENED)
    erased, held = await watch.erased(), await watch.held()
    story.say("gateway", say("held_for_two", held=held))
    watch.stage.glc.lie = Lie.NONE
    ok = erased == 0 and held == expected > 0
    return {"scenario": name, "erased": erased, "held": held, "ok": ok}


@scenario("erasure", say("erasure"))
async def erasure(stage: Stage, story: Story) -> dict[str, Any]:
    with watching_tables(stage) as watch, logging_within(stage.folder):
        planted, items, met = await _planted(stage, story, watch)
        story.title(say("account_gone"))
        stage.glc.delete(ZOE)
        met &= await watch.until(lambda: any_of(watch.suspects))
        met &= await _one_in_flight(stage, story, watch)
        met &= await watch.until(lambda: any_of(watch.erased))
        story.say("gateway", say("confirmed"))
        met &= await _by_hand(stage, story, watch)

        async def closed() -> bool:
            return [one.state for one in await watch.all()] == [Phase.CLOSED]

        met &= await watch.until(closed)
        story.title(say("pushed_again"))
        revived = await _revived(stage, story, items)
        found = _places(stage)
        for place in found:
            story.say("fault", say("marker_in", place=place))
        acknowledged = {
            entry.data["commune"]
            for entry in await watch.database.read(trail.entries, erasures.STREAM)
            if entry.kind == "commune_acknowledged"
        }
        erased = sum(one.erased_at is not None for one in await watch.all())
        summary = {
            "scenario": "erasure",
            "erased": erased,
            "markers_found": len(found),
            "communes_acknowledged": len(acknowledged),
            "revived": revived,
        }
        untouched = len(stage.bron.tickets) == NEIGHBOURS
        right = (erased, len(found), len(acknowledged), revived) == (1, 0, 2, 0)
        return summary | {"ok": bool(met and planted and untouched and right)}


async def _neighbours(stage: Stage, story: Story, watch: GatewayTables) -> None:
    """Push requests of other people, and wait until each is at its commune."""
    story.title(say("neighbours"))
    already = len(stage.bron.tickets)
    for n in range(NEIGHBOURS):
        made = copy.deepcopy(sample(ANOMALY))
        made["user"] = {**made["user"], "NameID": [neighbour(n)], "name": f"Voisin Inventé {n}"}
        made["fields"]["photo"] = None
        await stage.push(stage.portal.submit_sample(made))
    await watch.until(lambda: len(stage.bron.tickets) >= already + NEIGHBOURS)
    story.say("bron", say("tickets", count=NEIGHBOURS))


async def _planted(
    stage: Stage, story: Story, watch: GatewayTables
) -> tuple[list[str], list[SimulatedFormdata], bool]:
    """Put Zoé's marker into fields, a file and a message. Deliver one request, park another."""
    await _neighbours(stage, story, watch)
    story.title(say("zoe_sends"))
    street = marked_sample(ANOMALY)
    first = stage.portal.submit_sample(street)
    await stage.push(first)
    met = await watch.until(lambda: len(stage.bron.tickets) == NEIGHBOURS + 1)
    met &= await watch.until(lambda: bool(stage.portal.events(first.form.slug, first.id)))
    await push_signed(stage, first, {"action": "message", "message": f"Toujours là ! {MARKER}"})
    met &= await watch.until(lambda: any_of(watch.deliveries, State.PARKED))
    stage.bron.faults.fail(400, when=FaultCondition(path="/requests", method="POST"))
    second = stage.portal.submit_sample(street)
    await stage.push(second)

    async def both_parked() -> bool:
        return await watch.deliveries(State.PARKED) == 2

    met &= await watch.until(both_parked)
    stage.bron.faults.clear()
    story.say("bron", say("one_delivered"))
    planted = _places(stage)
    story.say("gateway", say("marker_places", count=len(planted)))
    return planted, [first, second], met


async def _one_in_flight(stage: Stage, story: Story, watch: GatewayTables) -> bool:
    """Push a form of hers just before, so that its delivery runs when the erasure begins."""
    stage.villeurbanne.faults.slow(4.0, FaultCondition(path="/api/tickets", method="POST"))
    await stage.push(stage.portal.submit_sample(marked_sample(SCHOOL)))
    met = await watch.until(lambda: any_of(watch.deliveries, State.SENDING))
    story.say("villeurbanne", say("slow_to_answer"))
    return met


async def _by_hand(stage: Stage, story: Story, watch: GatewayTables) -> bool:
    """Erase by hand at Bron, whose GRU cannot erase, and record it."""

    async def asked() -> bool:
        parked = await watch.database.read(backlog.listing, states=[State.PARKED])
        return any(one.reason == "erase_by_hand" for one in parked)

    met = await watch.until(asked)
    story.say("villeurbanne", say("erases_itself"))
    hers = [one for one in stage.bron.tickets if MARKER in json.dumps(one.params)]
    for ticket in hers:
        stage.bron.tickets.remove(ticket)
        stage.bron.updates[:] = [u for u in stage.bron.updates if u.ticket_id != ticket.id]
    for one in await watch.all():
        await watch.database.write(
            erasure_answers.done_by_hand, one.id, BRON, "Agent Inventé", datetime.now(UTC)
        )
    story.say("bron", say("erased_by_hand", count=len(hers)))
    return met and bool(hers)


async def _revived(stage: Stage, story: Story, items: list[SimulatedFormdata]) -> int:
    """Count the late pushes that were accepted."""
    tickets = len(stage.bron.tickets), len(stage.villeurbanne.tickets)
    told = len(stage.portal.received)
    taken = 0
    for item in items:
        taken += await push_signed(stage, item, None) < 400
        taken += await push_signed(stage, item, {"action": "message", "message": MARKER}) < 400
    for slug in (ANOMALY, SCHOOL):
        late = stage.portal.submit_sample(marked_sample(slug))
        taken += await push_signed(stage, late, None) < 400
    for ticket in stage.villeurbanne.tickets:
        stage.villeurbanne.advance(ticket.id, "in_progress", MARKER)
    await stage.villeurbanne.notify()
    await asyncio.sleep(2.5)  # time for polls of both GRUs and GLC
    for ticket in stage.villeurbanne.tickets:
        ticket.comments.clear()  # the agent's latest words are the commune's own
    taken += (len(stage.bron.tickets), len(stage.villeurbanne.tickets)) != tickets
    taken += len(stage.portal.received) - told
    story.say("gateway", say("taken_in", count=taken))
    return taken


async def push_signed(stage: Stage, item: SimulatedFormdata, extra: dict[str, Any] | None) -> int:
    """Make one signed push as the portal; return the HTTP status of the answer."""
    insee, slug = str(item.fields["commune_raw"]), item.form.slug
    verdict = await stage.portal.push(
        item.id,
        intake(stage.url, insee, slug),
        stage.caller_key,
        slug=slug,
        orig="toodego",
        extra=extra,
    )
    return verdict.status or 0


def marked_sample(slug: str) -> dict[str, Any]:
    """Make a form of Zoé's with the marker in a field, in a file's name and in its content."""
    made = copy.deepcopy(sample(slug))
    made["user"] = {**made["user"], "NameID": [ZOE], "name": f"Zoé {MARKER}"}
    fields = made["fields"]
    text = "description" if slug == ANOMALY else "adresse_voie"
    fields[text] = f"{fields[text]} {MARKER}"
    for value in fields.values():
        if isinstance(value, dict) and "content" in value:
            content = base64.b64decode(value["content"]) + MARKER.encode()
            value["content"] = base64.b64encode(content).decode()
            value["filename"] = f"{MARKER}-{value['filename']}"
    return made


def files_with_marker(stage: Stage) -> list[str]:
    """Return the gateway's files that hold the marker: its data, logs and temporary files."""
    files = [path for path in sorted(stage.folder.rglob("*")) if path.is_file()]
    found = search_files(files, [form.decode() for form in _forms()])
    return [Path(one).relative_to(stage.folder).as_posix() for one in found]


def _places(stage: Stage) -> list[str]:
    """Return the places that hold the marker: the gateway's files, and the GRUs. The portal is not
    searched."""
    found = files_with_marker(stage)
    bron, gru = stage.bron, stage.villeurbanne
    for ticket in bron.tickets:
        held = [json.dumps(ticket.params, ensure_ascii=False).encode(), ticket.note.encode()]
        held += [
            part for media in ticket.media for part in (media.content, media.filename.encode())
        ]
        held += [u.description.encode() for u in bron.updates if u.ticket_id == ticket.id]
        if any(map(_in, held)):
            found.append(f"Bron, ticket {ticket.id}")
    for one in gru.tickets:
        held = [json.dumps(one.as_json(), ensure_ascii=False).encode()]
        held += [document.content for document in one.documents]
        if any(map(_in, held)):
            found.append(f"Villeurbanne, ticket {one.id}")
    found += [f"Villeurbanne, upload {t}" for t, d in gru.uploads.items() if _in(d.content)]
    return found


def _in(content: bytes) -> bool:
    """Does the value contain the marker?"""
    return any(form in content for form in _forms())


def _forms() -> list[bytes]:
    """The marker, plain and in Base64 at each of its three alignments."""
    forms = [MARKER.encode()]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + MARKER.encode())
        forms.append(coded[4 if shift else 0 : -4])
    return forms


@contextmanager
def logging_within(folder: Path) -> Iterator[None]:
    """Write the daemon's logs and its temporary files into the stage's folder."""
    temporary = folder / "tmp"
    temporary.mkdir()
    former, tempfile.tempdir = tempfile.tempdir, str(temporary)
    try:
        with (folder / "daemon.log").open("w", buffering=1) as log:
            with contextlib.redirect_stderr(log):
                telemetry.configure("json", "debug")
            try:
                yield
            finally:
                telemetry.configure("console", "error")
    finally:
        tempfile.tempdir = former


async def any_of(count: Callable[..., Awaitable[int]], *args: Any) -> bool:
    """Is there any?"""
    return bool(await count(*args))
