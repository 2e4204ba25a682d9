"""`retention`: what is deleted when its time is over, and doing so now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Catalogue
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message, table
from gateway.cli.rights_texts import say
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    known_commune,
    load_parts,
    open_database,
)
from gateway.core.messages import Message
from gateway.flow.environment import Environment
from gateway.flow.retention import (
    PlannedContent,
    RetentionPlan,
    apply_retention,
    plan_retention,
)

app = typer.Typer(help="What is deleted when its time is over.", no_args_is_help=True)

#: Kept for a time that no configuration changes; see docs/operators.md.
_FIXED = ("nonces", "ticks", "passed_over", "early_calls", "rows", "releases", "log")


@app.command("plan")
def show_plan(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    commune: Annotated[str | None, typer.Option(metavar="INSEE", help="Only of this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what is kept, what of it goes at the next run, and when the next part goes. Changes
    nothing."""
    parts = load_parts(config, mappings)
    with open_database(parts.catalogue.settings) as database:
        found = asyncio.run(plan_retention(database, parts.catalogue, datetime.now(UTC)))
        shown = [one for one in found.contents if commune in (None, one.commune)]
        if commune is not None:
            asyncio.run(known_commune(database, commune, config, mappings, shown))
    _print_plan(parts.catalogue, found, shown, as_json=as_json)


@app.command("run")
def run_now(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    after_pause: Annotated[
        bool,
        typer.Option("--after-pause", help="The clock is right: the gateway did not run so long."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete now what is due, beside a running daemon or without one. It also runs by itself, every
    hour. Exit code 1: nothing was deleted, since the last run is more than a week ago."""
    parts = load_parts(config, mappings)
    catalogue = parts.catalogue
    with open_database(catalogue.settings) as database:
        if dry_run:
            found = asyncio.run(plan_retention(database, catalogue, datetime.now(UTC)))
            _print_plan(catalogue, found, found.contents, as_json=as_json)
            return
        done = asyncio.run(apply_retention(database, catalogue, Environment(), looked=after_pause))
    if as_json:
        emit(done)
    elif done.doubted_since is not None:
        _print_doubt(done.doubted_since)
    if done.doubted_since is not None:
        raise typer.Exit(Exit.NO)
    if as_json:
        return
    purged = done.purged
    print_message(
        say(
            "retention_done",
            requests=purged.requests,
            events=purged.events,
            files=purged.files,
            attempts=done.attempts,
            trail=done.trail,
        )
    )


def _print_plan(
    catalogue: Catalogue,
    found: RetentionPlan,
    shown: Sequence[PlannedContent],
    *,
    as_json: bool,
) -> None:
    settings = catalogue.settings
    if as_json:
        emit(
            {
                "ended": settings.retention.ended,
                "silent": settings.retention.silent,
                "attempts_kept": settings.attempts_kept,
                "contents": list(shown),
                "attempts": found.attempts,
                "attempts_oldest": found.attempts_oldest,
                "trail_kept": settings.trail_kept,
                "trail": found.trail,
                "doubted_since": found.doubted_since,
            }
        )
        return
    if found.doubted_since is not None:
        _print_doubt(found.doubted_since)
    table(
        ("commune", "teleservice", "table", "kept", "due", "owed", "oldest", "next"),
        [
            (
                one.commune,
                one.teleservice,
                say(one.kind),
                one.count,
                one.due,
                one.owed,
                one.oldest,
                say("kept_for_ever") if one.next_at is None else one.next_at,
            )
            for one in shown
        ],
        say("nothing_kept"),
    )
    print_message(
        say(
            "retention_delays",
            ended=_days(settings.retention.ended),
            silent=_days(settings.retention.silent),
        )
    )
    print_message(say("attempts_due", count=found.attempts, delay=_days(settings.attempts_kept)))
    print_message(say("trail_due", count=found.trail, delay=_days(settings.trail_kept)))
    for word in _FIXED:
        print_message(say(f"fixed_{word}"))


def _print_doubt(since: datetime) -> None:
    days = (datetime.now(UTC) - since).days
    print_message(
        say("clock_doubted", since=since.astimezone(UTC).isoformat()[:16] + "Z", days=days),
        err=True,
    )


def _days(seconds: float | None) -> Message:
    if seconds is None:
        return say("for_ever")
    days = seconds / 86400
    return say("days", count=f"{days:.0f}" if days == round(days) else f"{days:.2f}")
