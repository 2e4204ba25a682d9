"""`erasure`: people's data being erased, what waits for an agreement or for a commune."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, shown_time, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_settings,
    open_database,
    taken,
)
from gateway.core.erasure import Phase
from gateway.core.errors import NotFound
from gateway.flow import operator
from gateway.store import erasures, trail
from gateway.store.erasures import Erasure, Target

app = typer.Typer(help="Erasures of people whose account is deleted.", no_args_is_help=True)

TAKEN = "a running daemon takes it within 2 s"

By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; kept in the trail.")]


@app.command("list")
def show_list(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Erasures that are not over: those held, and what communes still owe, with the deadline."""
    now = datetime.now(UTC)
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(database.read(erasures.listing, everything=everything, limit=limit))
        targets = {one.id: asyncio.run(database.read(erasures.targets, one.id)) for one in found}
    if as_json:
        emit([_as_json(one, targets[one.id], now) for one in found])
        return
    table(
        ("id", "run", "state", "found", "deadline", "requests", "waits for"),
        [
            (
                one.id,
                one.run,
                one.state,
                one.found_at,
                _deadline(one, now),
                one.requests,
                _waits(one, targets[one.id]),
            )
            for one in found
        ],
        "no erasure" if everything else "nothing is being erased, and nothing waits",
    )


@app.command()
def show(
    erasure: Annotated[str, typer.Argument(metavar="ID", help="ERA-...")],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """One erasure: its requests, what each commune acknowledged, and its part of the trail."""
    now = datetime.now(UTC)
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(database.read(erasures.get, erasure))
        if found is None:
            raise NotFound(f"no erasure {erasure}")
        targets = asyncio.run(database.read(erasures.targets, erasure))
        ledger = asyncio.run(database.read(trail.entries, erasures.STREAM))
        problems = asyncio.run(database.read(trail.verify, erasures.STREAM))
    names = {found.id, found.run}
    mine = [
        entry
        for entry in ledger
        if names & {entry.data.get(key) for key in ("erasure", "run", "target")}
    ]
    if as_json:
        emit(_as_json(found, targets, now) | {"trail": mine, "problems": problems})
        return
    typer.echo(
        f"{found.id}  {found.state.value}  found {shown_time(found.found_at)} by {found.source}"
    )
    typer.echo(
        f"deadline {_deadline(found, now)}; waits for: {_waits(found, targets) or 'nothing'}"
    )
    table(
        ("request", "commune", "gru", "delivery", "state", "acknowledged", "by"),
        [
            (
                one.request_id,
                one.commune,
                one.gru,
                one.delivery_id or "never sent",
                one.delivery_state,
                one.acknowledged_at,
                one.acknowledged_by,
            )
            for one in targets
        ],
        "no request yet",
    )
    table(
        ("n", "at", "kind", "what"),
        [(entry.n, entry.at, entry.kind, dict(entry.data)) for entry in mine],
        "nothing in the trail",
    )
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(Exit.NO)


@app.command()
def approve(
    target: Annotated[str, typer.Argument(metavar="ID", help="ERA-..., or RUN-... for all of it.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Agree to what is held. Two different people must, once they know it to be true from GLC."""
    name = _named(by)
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        agreed, opened = asyncio.run(
            operator.approve(database, settings.glc, target, name, datetime.now(UTC))
        )
        when = taken(database, TAKEN)
    if as_json:
        emit({"target": target, "agreed": agreed, "opened": opened})
    elif opened:
        typer.echo(f"{opened} to be erased; {when}")
    else:
        typer.echo(f"{agreed} agreed to by {name}; a second, different person must agree")


@app.command()
def done(
    erasure: Annotated[str, typer.Argument(metavar="ID", help="ERA-...")],
    commune: Annotated[str, typer.Option(metavar="INSEE", help="The commune that has erased.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say that a commune has erased by hand what its GRU cannot erase by itself."""
    name = _named(by)
    with open_database(load_settings(config, mappings).settings) as database:
        requests = asyncio.run(
            operator.done_by_hand(database, erasure, commune, name, datetime.now(UTC))
        )
    if as_json:
        emit({"erasure": erasure, "commune": commune, "requests": requests})
    else:
        typer.echo(f"{requests} requests of {commune} acknowledged by {name}")


def _named(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise typer.BadParameter("--by may not be empty")
    return name


def _deadline(one: Erasure, now: datetime) -> str:
    if one.due_at is None:
        return ""
    over = one.state not in (Phase.CLOSED, Phase.WITHDRAWN) and one.due_at < now
    return shown_time(one.due_at) + (" OVERDUE" if over else "")


def _waits(one: Erasure, targets: list[Target]) -> str:
    if one.state is Phase.HELD:
        agreed = f", {one.first_by} agreed" if one.first_by else ""
        return f"two people ({one.reason}{agreed}): erasure approve"
    if one.state in (Phase.OPEN, Phase.SCRUBBED):
        return "the daemon"
    owed: dict[str, set[str]] = {}
    for target in targets:
        if target.delivery_id is not None and target.acknowledged_at is None:
            word = target.delivery_reason or target.delivery_state or ""
            owed.setdefault(target.commune, set()).add(word)
    return "; ".join(
        f"commune {commune} ({', '.join(sorted(words))})" for commune, words in owed.items()
    )


def _as_json(one: Erasure, targets: list[Target], now: datetime) -> dict[str, object]:
    return {
        "erasure": one,
        "overdue": "OVERDUE" in _deadline(one, now),
        "waits_for": _waits(one, targets),
        "targets": targets,
    }
