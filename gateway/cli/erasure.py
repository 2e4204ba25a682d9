"""`erasure`: erasures under way, those that wait for an agreement, and those that wait for a
commune."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.cli.faults import Exit
from gateway.cli.glc_texts import say
from gateway.cli.language import language
from gateway.cli.output import (
    AsJson,
    emit,
    print_message,
    print_text,
    print_value,
    shown_time,
    table,
    writing,
)
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_settings,
    open_database,
)
from gateway.cli.states import erasure_results, phases, state_word
from gateway.contracts.erasure_page import certificate
from gateway.core.erasure import Phase
from gateway.core.errors import NotFound
from gateway.core.messages import Message
from gateway.store import erasures, trail
from gateway.store.erasures import Erasure, Target
from gateway.store.trail import TrailEntry

app = typer.Typer(help="Erasures of people whose account is deleted.", no_args_is_help=True)

PARIS = ZoneInfo("Europe/Paris")


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
                phases(one.state),
                one.found_at,
                _deadline(one, now),
                one.requests,
                _waits(one, targets[one.id]),
            )
            for one in found
        ],
        say("no_erasure_at_all" if everything else "no_erasure_open"),
    )


@app.command()
def show(
    erasure: Annotated[str, typer.Argument(metavar="ID", help="ERA-...")],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the certificate, a French page (A4)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """One erasure: its requests, what each commune answered, and its part of the trail."""
    now = datetime.now(UTC)
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(database.read(erasures.get, erasure))
        if found is None:
            raise NotFound(say("no_erasure", id=erasure))
        targets = asyncio.run(database.read(erasures.targets, erasure))
        ledger = asyncio.run(database.read(trail.entries, erasures.STREAM))
        problems = asyncio.run(database.read(trail.verify, erasures.STREAM))
    names = {found.id, found.run}
    mine = [
        entry
        for entry in ledger
        if names & {entry.data.get(key) for key in ("erasure", "run", "target")}
    ]
    if html is not None:
        with writing(html):
            html.write_text(certificate(found, targets, now, broken=bool(problems)), "utf-8")
    if as_json:
        emit(_as_json(found, targets, now) | {"trail": mine, "problems": problems})
        return
    _print(found, targets, mine, now)
    for problem in problems:
        print_message(say("error_in_trail", fault=problem.message), err=True)
    if problems:
        raise typer.Exit(Exit.NO)


def _print(
    found: Erasure, targets: Sequence[Target], mine: Sequence[TrailEntry], now: datetime
) -> None:
    for name, value in (
        ("id", found.id),
        ("run", found.run),
        ("state", phases(found.state)),
        ("found", found.found_at),
        ("source", found.source),
        ("because", found.because),
        ("deadline", _deadline(found, now)),
        ("waits for", _waits(found, targets)),
    ):
        print_value(name, value)
    print_text("")
    table(
        ("request", "commune", "gru", "delivery", "state", "acknowledged", "by", "answer"),
        [
            (
                one.request_id,
                one.commune,
                one.gru,
                one.delivery_id or say("never_sent"),
                one.delivery_state,
                one.acknowledged_at,
                one.acknowledged_by,
                _answer(one),
            )
            for one in targets
        ],
        say("no_request_yet"),
    )
    print_text("")
    table(
        ("n", "at", "kind", "what"),
        [(entry.n, entry.at, entry.kind, dict(entry.data)) for entry in mine],
        say("nothing_in_trail"),
    )


def _answer(one: Target) -> Message | None:
    """Return what a commune answered, with the ground and the end of what it keeps."""
    if one.answer is None:
        return None
    if one.ground is None:
        return erasure_results(one.answer)
    until = one.until.astimezone(PARIS).date().isoformat() if one.until else say("no_end")
    return say("kept_because", ground=one.ground, until=until, by=one.decided_by or one.commune)


def _overdue(one: Erasure, now: datetime) -> bool:
    over = (Phase.CLOSED, Phase.WITHDRAWN)
    return one.due_at is not None and one.state not in over and one.due_at < now


def _deadline(one: Erasure, now: datetime) -> str | Message:
    over = one.state in (Phase.CLOSED, Phase.WITHDRAWN)
    return shown_time(one.due_at) if over and one.due_at else shown_deadline(one.due_at, now)


def shown_deadline(due_at: datetime | None, now: datetime) -> str | Message:
    """Return a deadline for people: one that is past says so."""
    if due_at is None:
        return ""
    told = shown_time(due_at)
    return say("overdue", due=told) if due_at < now else told


def _waits(one: Erasure, targets: Sequence[Target]) -> Message | None:
    """Return the message that says what an erasure waits for; None if for nothing."""
    if one.state is Phase.HELD:
        ground = state_word(one.reason or "")
        if one.first_by:
            return say("waits_for_second", reason=ground, by=one.first_by, id=one.id)
        return say("waits_for_two", reason=ground, id=one.id)
    if one.state in (Phase.OPEN, Phase.SCRUBBED):
        return say("waits_for_daemon")
    owed: dict[str, set[str]] = {}
    for target in targets:
        if target.delivery_id is not None and target.acknowledged_at is None:
            word = target.delivery_reason or target.delivery_state or ""
            owed.setdefault(target.commune, set()).add(word)
    if not owed:
        return None
    whom = tuple(f"{commune} ({', '.join(sorted(words))})" for commune, words in owed.items())
    return say("waits_for_communes", communes=whom)


def _as_json(one: Erasure, targets: list[Target], now: datetime) -> dict[str, object]:
    return {
        "erasure": one,
        "overdue": _overdue(one, now),
        "waits_for": waits.what(language()) if (waits := _waits(one, targets)) else "",
        "targets": targets,
    }
