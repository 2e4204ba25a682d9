"""`commune`: the communes that are connected, and a person's stop or go for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from gateway.catalogue.config_faults import nearest
from gateway.cli.noted import Because, By, noting
from gateway.cli.output import (
    AsJson,
    CommuneRow,
    Each,
    cell,
    communes,
    emit,
    print_message,
    print_text,
    print_value,
    table,
)
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    last_heard,
    load_parts,
    open_database,
    read_connected,
    taken,
    tell_daemon,
)
from gateway.cli.states import state_word
from gateway.cli.texts import counted, say
from gateway.contracts.connected import ConnectedCommune, ConnectedCommunes
from gateway.core.breaker import BreakerPolicy
from gateway.core.errors import NotFound
from gateway.core.lane_name import GruLane, parse_lane
from gateway.core.messages import Message
from gateway.flow import operator
from gateway.flow.lanes.configured import lane_policy
from gateway.store.engine import Database

app = typer.Typer(help="The connected communes.", no_args_is_help=True)

#: Of the daemons: at once with PostgreSQL, at their next look with SQLite.
TAKEN = say("taken_in", seconds=5)

Insee = Annotated[str, typer.Argument(metavar="INSEE", help="The commune's INSEE code.")]


@app.command("list")
def show_all(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    each: Each = False,
    as_json: AsJson = False,
) -> None:
    """The communes, whether they run or are paused, and what waits for them; those first that need
    somebody.

    `waiting` goes by itself; `person` waits for a person. One whose file is broken or gone is there
    while it runs; `ready` would run, but no daemon does; of `refused` the daemon does not run what
    is active: `release list` says why.
    """
    known, heard_at = _everybody(config, mappings)
    rows = [_row(known, one, heard_at) for one in known.communes.values()]
    if as_json:
        emit(rows)
        return
    headers = (
        *("commune", "name", "portal", "state", "file"),
        *("broken", "held", "open", "waiting", "person"),
    )
    communes(
        headers,
        [CommuneRow(row["commune"], row["name"], _need(row), _cells(row, headers)) for row in rows],
        say("calm_running" if heard_at else "calm_ready"),
        say("none_connected"),
        each=each,
    )
    if rows:
        tell_daemon(heard_at)
    if rows and not known.released:
        print_message(say("nothing_released"), err=True)


def _cells(row: Mapping[str, Any], keys: Sequence[str]) -> list[object]:
    """Return the cells of a row."""
    shown = {**row, "state": state_word(row["state"]), "file": state_word(row["file"])}
    return [shown[key] for key in keys]


def _need(row: Mapping[str, Any]) -> int:
    """Return how urgently somebody must look at a commune."""
    if row["person"]:
        return 3
    if row["broken"] or row["state"] in ("not released", "refused") or row["file"] != "ok":
        return 2
    return int(row["state"] not in ("running", "ready") or bool(row["held"]))


def _everybody(config: Config, mappings: Mappings) -> tuple[ConnectedCommunes, datetime | None]:
    """Return the connected communes, and the last sign of life of a daemon."""
    parts = load_parts(config, mappings)
    with open_database(parts.catalogue.settings) as database:
        known = asyncio.run(read_connected(database, parts, config, mappings))
        return known, last_heard(database)


def _row(
    known: ConnectedCommunes, one: ConnectedCommune, heard_at: datetime | None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    lanes = [known.lanes[lane] for lane in one.lanes if lane in known.lanes]
    return {
        "commune": one.insee,
        "name": one.name,
        "portal": one.portal,
        "state": _state(known, one, heard_at),
        "file": one.file,
        "broken": [lane.name for lane in lanes if lane.breaker != "closed"],
        "held": [lane.name for lane in lanes if (lane.hold_until or now) > now],
        "open": one.left.open,
        "waiting": one.left.waiting,
        "person": one.left.person,
    }


def _state(known: ConnectedCommunes, one: ConnectedCommune, heard_at: datetime | None) -> str:
    if one.departure is not None:
        return one.departure.value
    if known.released and one.active is None:
        return "not released"
    if one.refused and heard_at:
        return "refused"
    if one.paused:
        return "paused in its file"
    paused = any(known.lanes[lane].paused for lane in one.lanes if lane in known.lanes)
    return "paused" if paused else "running" if heard_at else "ready"


@app.command()
def show(
    insee: Insee, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """One commune: whom to call, what runs, and how each of its lanes is."""
    known, heard_at = _everybody(config, mappings)
    one = known.get(insee)
    lanes = [_lane(known, name) for name in one.lanes]
    row = _row(known, one, heard_at)
    if as_json:
        shown = {**row, "contacts": dict(one.contacts), "left": asdict(one.left)}
        digest = None if one.active is None else one.active.digest
        emit({**shown, "release": digest, "faults": one.faults, "lanes": lanes})
        return
    release = None
    if one.active is not None:
        release = (one.active.digest[:12], state_word(one.active.how))
    for name, value in (
        ("commune", f"{one.insee} {one.name}"),
        ("portal", one.portal),
        ("state", state_word(row["state"])),
        ("file", state_word(one.file)),
        ("release", release),
        ("open requests", one.left.open),
        ("waiting", one.left.waiting),
        ("for a person", one.left.person),
    ):
        print_value(name, value)
    for line in calling(one.contacts):
        print_message(line)
    print_text("")
    table(
        ("lane", "breaker", "reason", "waiting", "person"),
        [
            [
                *(one["lane"], state_word(one["breaker"]), one["reason"]),
                *(one["waiting"], one["person"]),
            ]
            for one in lanes
        ],
        say("no_lane"),
    )


def _lane(known: ConnectedCommunes, name: str) -> dict[str, Any]:
    lane = known.lane(name)
    count, person, oldest = known.waiting.get(name, (0, 0, None))
    return {
        "lane": name,
        "paused": lane.paused,
        "breaker": lane.breaker,
        "reason": lane.reason,
        "waiting": count - person,
        "person": person,
        "oldest": oldest,
    }


def calling(contacts: Mapping[str, str]) -> list[Message]:
    """Return the contacts of a commune, one per line."""
    return [say("call", who=cell(who), role=role) for role, who in contacts.items()]


@app.command()
def pause(
    insee: Insee,
    because: Because = "",
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Send nothing to a commune's GRUs, nor its news to the portal; requests are still taken."""
    _turn("commune.pause", insee, because, by, config, mappings, as_json=as_json)


@app.command()
def resume(
    insee: Insee,
    because: Because = "",
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Send again, beginning with what waited; breaks that far ends asked for are over, too."""
    _turn("commune.resume", insee, because, by, config, mappings, as_json=as_json)


@app.command()
def probe(
    insee: Insee,
    gru: Annotated[
        str | None, typer.Option("--gru", metavar="NAME", help="One GRU of it alone.")
    ] = None,
    because: Because = "",
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Try now whether its far ends do well again: no break and no open breaker is waited for. What
    is paused stays so."""
    parts = load_parts(config, mappings)
    policy = partial(lane_policy, parts.catalogue, breaker=BreakerPolicy())

    async def tried(database: Database) -> list[str]:
        one = (await read_connected(database, parts, config, mappings)).get(insee)
        lanes = list(one.lanes)
        if gru is not None:
            lanes = [lane for lane in lanes if parse_lane(lane) == GruLane(insee, gru)]
        if not lanes:
            names = (parse_lane(lane) for lane in one.lanes)
            there = [name.gru for name in names if isinstance(name, GruLane)]
            cure = nearest(gru or "", there)
            raise NotFound(say("no_gru", insee=insee, gru=gru or "", cure=cure))
        why = because.strip()
        store = noting(database, "commune.probe", by, because=why, target=insee, commune=insee)
        await operator.try_now(store, policy, lanes, datetime.now(UTC))
        return lanes

    with open_database(parts.catalogue.settings) as database:
        lanes = asyncio.run(tried(database))
        when = taken(database, TAKEN)
    if as_json:
        emit({"commune": insee, "lanes": lanes})
    else:
        print_message(say("to_be_tried", insee=insee, lanes=tuple(lanes), when=when))


def _turn(
    kind: str,
    insee: str,
    because: str,
    by: str | None,
    config: Config,
    mappings: Mappings,
    *,
    as_json: bool,
) -> None:
    parts, paused = load_parts(config, mappings), kind == "commune.pause"
    policy = partial(lane_policy, parts.catalogue, breaker=BreakerPolicy())

    async def turn(database: Database) -> ConnectedCommune:
        one = (await read_connected(database, parts, config, mappings)).get(insee)
        store = noting(database, kind, by, because=because.strip(), target=insee, commune=insee)
        if paused:
            await operator.pause(store, one.lanes)
        else:
            now = datetime.now(UTC)
            await operator.try_now(store, policy, one.lanes, now, resume=True)
        return one

    with open_database(parts.catalogue.settings) as database:
        one = asyncio.run(turn(database))
        when = taken(database, TAKEN)
    in_file = one.paused
    if as_json:
        emit({"commune": insee, "paused": paused or in_file, "lanes": one.lanes})
        return
    word = "now_paused" if paused else "now_resumed"
    lanes = counted("lanes", len(one.lanes))
    print_message(say(word, insee=insee, lanes=lanes, when=when))
    if in_file and not paused:
        print_message(say("warning", told=say("paused_in_its_file")), err=True)
