"""`keys`: the master keys, and the keys of requests, with which people's data are sealed."""

from __future__ import annotations

import asyncio

import typer

from gateway.cli.faults import Exit
from gateway.cli.keys_texts import places, say
from gateway.cli.output import AsJson, emit, print_message, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    UNFOLLOWING,
    Config,
    Mappings,
    last_heard,
    load_settings,
    open_database,
)
from gateway.core.errors import Conflict, Unavailable
from gateway.core.messages import Message
from gateway.core.sealing import RemoteMaster
from gateway.flow import operator, sealing
from gateway.flow.environment import Environment
from gateway.flow.masters import GRACE, MasterKeeper, keeper_of
from gateway.flow.sealing import MasterUse
from gateway.store.engine import Database

app = typer.Typer(help="The keys with which what is stored is sealed.", no_args_is_help=True)


@app.command("list")
def show_list(
    config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """The master keys that are given or needed, by id, and where the keys of requests lie."""
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        found = sealing.masters_in_use(database)
    if as_json:
        emit(found)
        return
    table(
        ("id", "keys", "state"),
        [(one.id, one.keys, _state(one)) for one in found],
        say("no_masters"),
    )
    for said in places(settings):
        print_message(said)


@app.command()
def rotate(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Wrap every key by the first of sealing.masters, while the gateway works.

    It may be stopped anywhere and run again. First have the daemons know the new master key:
    `secrets reload`.
    """
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        keeper = _asked(database)
        first = next((one.id for one in sealing.masters_in_use(database) if one.first), "")
        daemons = asyncio.run(operator.daemons(database))
        if not daemons and last_heard(database) is not None:
            raise Conflict(UNFOLLOWING)
        for name, one in daemons.items():
            if first not in one.masters:
                raise Conflict(say("daemon_without", daemon=name, id=first))
        done = sealing.rotate(database, Environment(), _print_progress)
        if keeper is not None:
            asyncio.run(keeper.tidy())
    if as_json:
        emit({"master": first, "keys": done.keys, "damaged": done.damaged})
    elif done.damaged:
        print_message(say("rotated_but", count=done.keys, id=first, damaged=done.damaged))
    else:
        print_message(say("rotated", count=done.keys, id=first))
    if done.damaged:
        raise typer.Exit(Exit.NO)


@app.command()
def renew(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Have the key service (vault:MOUNT/KEY) wrap a new key now, before its month is over.

    The daemons learn it within a minute, and use it after two. Then run `keys rotate`.
    """
    with open_database(load_settings(config, mappings).settings) as database:
        keeper = _asked(database)
        if keeper is None or not isinstance(keeper.sealing.masters[0], RemoteMaster):
            raise Conflict(say("not_remote"))
        made = asyncio.run(keeper.renew())
    if as_json:
        emit({"master": made.id})
    else:
        print_message(say("renewed", id=made.id, minutes=GRACE.total_seconds() / 60))


@app.command()
def seal(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Seal what was stored before the sealing; a running gateway does it by itself.

    It may be stopped anywhere and run again, while the gateway works.
    """
    with open_database(load_settings(config, mappings).settings) as database:
        count = asyncio.run(sealing.seal_what_was_before(database, Environment()))
    if as_json:
        emit({"requests": count})
    else:
        print_message(say("sealed", count=count))


@app.command()
def check(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Open the key of every request. Exit code 1 when one is missing, or a request is in clear."""
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        found = asyncio.run(sealing.inspect(database))
    if as_json:
        emit(found)
    else:
        print_message(say("all_open", count=found.sealed))
        if found.lost:
            print_message(say("keys_lost", count=found.lost))
        if found.in_clear:
            print_message(say("in_clear", count=found.in_clear))
        for said in places(settings):
            print_message(said)
    if found.lost or found.in_clear:
        raise typer.Exit(Exit.NO)


def _asked(database: Database) -> MasterKeeper | None:
    """Return the keeper of the master keys, none of which is missing. Raises Unavailable."""
    sealer = database.sealer
    if sealer is not None and sealer.missing is not None:
        raise Unavailable(sealer.missing)
    return keeper_of(sealer)


def _state(one: MasterUse) -> Message:
    if one.first:
        return say("wraps")
    if one.given:
        return say("opens" if one.keys else "unused")
    return say("missing")


def _print_progress(count: int) -> None:
    print_message(say("rotating", count=count), err=True)
