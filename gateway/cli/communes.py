"""`commune`: the communes that are connected, and a person's stop or go for one of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Catalogue
from gateway.cli.output import AsJson, emit, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_catalogue, open_database
from gateway.core.breaker import BreakerPolicy
from gateway.core.errors import NotFound
from gateway.flow.engine import lane_policy, lanes_of
from gateway.store import lanes as memory
from gateway.store import outbox
from gateway.store.engine import Database

app = typer.Typer(help="The connected communes.", no_args_is_help=True)

#: Of the daemons: at once with PostgreSQL, at their next look with SQLite.
TAKEN = "running daemons take it within 5 s"

Insee = Annotated[str, typer.Argument(metavar="INSEE", help="The commune's INSEE code.")]


@app.command("list")
def show(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """The communes, whether they are paused, and what waits for them."""
    catalogue = load_catalogue(config, mappings)

    async def read(
        database: Database,
    ) -> tuple[dict[str, memory.LaneMemory], dict[str, int]]:
        waiting = await database.read(outbox.waiting_by_lane, datetime.now(UTC))
        return await database.read(memory.recall), {k: v[0] for k, v in waiting.items()}

    with open_database(catalogue.settings) as database:
        known, waiting = asyncio.run(read(database))
    rows = []
    for insee, commune in sorted(catalogue.communes.items()):
        lanes = lanes_of(catalogue, insee)
        by_hand = [lane for lane in lanes if lane in known and known[lane].paused]
        state = "paused in its file" if commune.paused else "paused" if by_hand else "running"
        now = datetime.now(UTC)
        held = [n for n in lanes if n in known and (known[n].hold_until or now) > now]
        broken = [lane for lane in lanes if lane in known and known[lane].breaker != "closed"]
        rows.append(
            {
                "commune": insee,
                "name": commune.name,
                "portal": commune.portal,
                "state": state,
                "broken": broken,
                "held": held,
                "waiting": sum(waiting.get(lane, 0) for lane in lanes),
            }
        )
    if as_json:
        emit(rows)
        return
    headers = ("commune", "name", "portal", "state", "broken", "held", "waiting")
    table(headers, [[row[key] for key in headers] for row in rows], "no commune is connected")


@app.command()
def pause(
    insee: Insee, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """Send nothing to a commune's GRUs, nor its news to the portal; requests are still taken."""
    _turn(insee, True, config, mappings, as_json=as_json)


@app.command()
def resume(
    insee: Insee, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """Send again, beginning with what waited; breaks that far ends asked for are over, too."""
    _turn(insee, False, config, mappings, as_json=as_json)


def _turn(insee: str, paused: bool, config: Config, mappings: Mappings, *, as_json: bool) -> None:
    catalogue = load_catalogue(config, mappings)
    lanes = lanes_of(catalogue, insee)
    if not lanes:
        raise NotFound(f"no commune {insee} is connected; there is: {_known(catalogue)}")

    async def write(database: Database) -> None:
        now = datetime.now(UTC)
        for lane in lanes:
            if paused:
                await database.write(memory.pause, lane, True)
                continue
            timeout = lane_policy(catalogue, lane, BreakerPolicy()).timeout
            await database.write(memory.resume, lane, now)
            await database.write(outbox.hurry, lane, now - timedelta(seconds=timeout))

    with open_database(catalogue.settings) as database:
        asyncio.run(write(database))
    in_file = catalogue.communes[insee].paused
    if as_json:
        emit({"commune": insee, "paused": paused or in_file, "lanes": lanes})
        return
    typer.echo(f"{insee}: {'paused' if paused else 'resumed'}, {len(lanes)} lanes; {TAKEN}")
    if in_file and not paused:
        typer.echo("warning: its file says `paused: true`, so nothing is sent yet", err=True)


def _known(catalogue: Catalogue) -> str:
    return ", ".join(sorted(catalogue.communes)[:10]) or "none"
