"""`outbox`: the deliveries that wait for a person, and a person's decisions about them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.noted import By, noting
from gateway.cli.output import AsJson, emit, print_message, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    known_commune,
    load_settings,
    open_database,
    taken,
)
from gateway.cli.texts import say
from gateway.cli.usage import Misuse
from gateway.core import reasons
from gateway.core.delivery import State
from gateway.core.errors import Conflict, NotFound
from gateway.core.messages import Message
from gateway.flow import operator
from gateway.ops.why import who_acts
from gateway.store import untold
from gateway.store.engine import Database
from gateway.store.outbox import backlog
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Untold

app = typer.Typer(help="Deliveries that wait for a person.", no_args_is_help=True)

#: A running daemon looks at its queue this often when nothing wakes it.
TAKEN = say("taken_in", seconds=30)

DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id.")]


@app.command("list")
def show(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    state: Annotated[
        list[State] | None, typer.Option(help="May be repeated; else those for a person.")
    ] = None,
    commune: Annotated[str | None, typer.Option(help="INSEE code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Deliveries that are parked, dead or a question, oldest first; and those that fail again and
    again by themselves, for more than a quarter of an hour, while they go on being tried. After
    them, what GRUs have told and the citizens cannot be told yet (`change`)."""

    async def read(database: Database) -> tuple[list[Delivery], tuple[Untold, ...]]:
        found = await database.read(
            backlog.listing, states=state or None, commune=commune, limit=limit, now=_now()
        )
        changes: tuple[Untold, ...] = ()
        if not state:
            changes = await database.read(untold.listing, commune=commune, limit=limit)
        if commune is not None:
            await known_commune(database, commune, config, mappings, [*found, *changes])
        return found, changes

    with open_database(load_settings(config, mappings).settings) as database:
        found, changes = asyncio.run(read(database))
    if as_json:
        emit([*map(_as_data, found), *map(_untold, changes)])
        return
    table(
        ("id", "request", "kind", "lane", "state", "reason", "since", "who", "do", "detail"),
        [
            (
                *(d.id, d.request_id, d.kind, d.lane, d.state, d.reason, d.created_at),
                *(who_acts(d.reason, d.lane), _cure(d.reason), d.detail),
            )
            for d in found
        ]
        + [
            (
                *(u.id, u.request_id, "change", u.lane, "waiting", u.reason, u.received_at),
                *(who_acts(u.reason, u.lane), _cure(u.reason), u.detail),
            )
            for u in changes
        ],
        say("no_delivery" if state else "nothing_for_a_person"),
    )


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that are parked or dead and fit the options.")
    ] = False,
    commune: Annotated[str | None, typer.Option(help="With --all: this INSEE code only.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --all: this reason only.")] = None,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Send parked or dead deliveries again; the far end is asked first whether it has them.

    With --all, those of a commune or a reason. A `change` is judged again, as if it had just come.
    """
    if bool(ids) == everything:
        raise Misuse(say("name_or_all"))
    if (commune or reason) and not everything:
        raise Misuse(say("go_with_all"))

    async def run(database: Database) -> list[str]:
        chosen = ids or await operator.replayable(database, commune, reason)
        if commune is not None:
            await known_commune(database, commune, config, mappings, chosen)
        moved = []
        for one in chosen:
            try:
                store = noting(database, "delivery.replay", by, target=one)
                moved.append(await operator.replay(store, one, _now()))
            except (Conflict, NotFound) as error:
                failures.append(error.said)
        return moved

    failures: list[Message] = []
    with open_database(load_settings(config, mappings).settings) as database:
        moved = asyncio.run(run(database))
        when = taken(database, TAKEN)
    for failure in failures:
        print_message(say("error", said=failure.told(language())), err=True)
    if as_json:
        emit({"replayed": moved, "failed": failures})
    else:
        print_message(say("replayed" if moved else "replayed_none", count=len(moved), when=when))
    if failures:
        raise typer.Exit(Exit.NO)


@app.command()
def resolve(
    delivery: DeliveryId,
    there: Annotated[
        bool | None, typer.Option("--yes/--no", help="Does the far end have it?")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="With --yes: the number the GRU gave to the request."),
    ] = None,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Answer a question: yes, the far end has it (done); no, it has not (send it again)."""
    if there is None:
        raise Misuse(say("yes_or_no_due"))
    answer = there
    if reference is not None and not answer:
        raise Misuse(say("reference_with_yes"))

    def act(database: Database) -> Delivery:
        kind = "delivery.yes" if answer else "delivery.no"
        store = noting(database, kind, by, target=delivery)
        return asyncio.run(operator.resolve(store, delivery, answer, _now(), reference=reference))

    _act(config, mappings, act, "delivery_done" if answer else "delivery_again", as_json=as_json)


@app.command()
def discard(
    delivery: DeliveryId,
    because: Annotated[
        str,
        typer.Option("--because", metavar="TEXT", help="Why; kept with it. No personal data."),
    ],
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Owe a delivery no more: what waited behind it goes on. A `change` is not told any more."""
    if not because.strip():
        raise Misuse(say("empty_option", name="--because"))

    def act(database: Database) -> Delivery | Untold:
        why = because.strip()
        store = noting(database, "delivery.discard", by, because=why, target=delivery)
        return asyncio.run(operator.discard(store, delivery, why, _now()))

    _act(config, mappings, act, "discarded", as_json=as_json)


def _cure(reason: str) -> str:
    """Return the remedy of a reason."""
    return reasons.of(reason).said.remedy(language())


def _untold(change: Untold) -> dict[str, Any]:
    """Return a change of a GRU in the form of a delivery."""
    told = {one.name: getattr(change, one.name) for one in dataclasses.fields(change)}
    reason = reasons.of(change.reason)
    return told | {
        "kind": "change",
        "lane": change.lane,
        "state": "waiting",
        "created_at": change.received_at,
        "says": reason.en,
        "who": who_acts(change.reason, change.lane),
        "do": reason.do,
    }


def _as_data(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery for scripts, with the meaning of its reason and the people who can act."""
    told = {one.name: getattr(delivery, one.name) for one in dataclasses.fields(delivery)}
    reason = reasons.of(delivery.reason)
    who = who_acts(delivery.reason, delivery.lane)
    return told | {"says": reason.en, "who": who, "do": reason.do}


def _act(
    config: Config,
    mappings: Mappings,
    act: Callable[[Database], Delivery | Untold],
    word: str,
    *,
    as_json: bool,
) -> None:
    """Run `act`, and print the message of `word`; its `when` says when a daemon takes it up."""
    with open_database(load_settings(config, mappings).settings) as database:
        moved = act(database)
        when = taken(database, TAKEN)
    if as_json:
        emit(moved)
    else:
        kind = moved.kind.value if isinstance(moved, Delivery) else "change"
        request = moved.request_id or "-"
        print_message(say(word, id=moved.id, kind=kind, request=request, when=when))


def _now() -> datetime:
    return datetime.now(UTC)
