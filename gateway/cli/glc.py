"""`glc`: poll GLC for deleted accounts once, and show the state of that poll."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime

import typer

from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue, Glc, Settings
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.texts import say as say_files
from gateway.cli.faults import Exit
from gateway.cli.glc_texts import say, what_is
from gateway.cli.output import AsJson, emit, print_message, print_text, shown_time
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    in_place,
    load_settings,
    open_database,
)
from gateway.core.erasure import BRAKED
from gateway.core.errors import ConfigurationFault, Fault
from gateway.flow.engine import open_engine
from gateway.flow.erase import EVERY
from gateway.flow.identity import ENTRIES_SKIPPED, PollResult, watch_state
from gateway.store.engine import Database

#: Of a poll.
_COUNTED = ("known", "gone", "opened", "held", "suspects", "cleared")

app = typer.Typer(help="Accounts deleted at GrandLyon Connect.", no_args_is_help=True)


@app.command()
def poll(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Ask GLC now. Exit code 1: two people must decide; 4: GLC's answer was not believed."""
    settings = load_settings(config, mappings, secrets=NeededSecrets.ALL).settings
    with in_place(config, mappings):
        _configured(settings)
        with open_database(settings) as database:
            found = asyncio.run(_poll(settings, database))
    if as_json:
        emit(found)
    elif found.failure is not None:
        why = what_is(found.failure)
        if not found.detail:
            print_message(say("not_believed_bare", why=why, word=found.failure))
        else:
            given = {"word": found.failure, "detail": found.detail}
            print_message(say("not_believed", why=why, **given))
    else:
        counts = {name: getattr(found, name) for name in _COUNTED}
        print_message(say("polled", **counts))
        if found.reason == BRAKED:
            print_message(say("braked", gone=found.gone, known=found.known))
            for run in found.waiting:
                print_text(f"  erasure approve {run} --by ...")
        elif found.reason and found.reason != ENTRIES_SKIPPED:
            print_message(say("contradiction", cleared=found.cleared))
        if found.skipped:
            print_message(say("entries_skipped", count=found.skipped))
        if found.opened:
            print_message(say("communes_told", seconds=f"{EVERY:.0f}"))
    if found.failure is not None:
        raise typer.Exit(Exit.FAR_END)
    if found.held:
        raise typer.Exit(Exit.NO)


@app.command()
def status(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """When GLC was last asked, what came of it, and what waits. Exit code 1: somebody must act."""
    settings = load_settings(config, mappings).settings
    with in_place(config, mappings):
        glc = _configured(settings)
    with open_database(settings) as database:
        state = asyncio.run(watch_state(database, datetime.now(UTC)))
    last, counts = state.last, state.counts
    failure = None if last is None else last.failure
    if as_json:
        told = {
            "source": glc.source,
            "last_run": None if last is None else last.updated_at,
            "failure": failure,
        }
        emit(told | asdict(counts))
    else:
        when = say("never") if last is None else shown_time(last.updated_at)
        how = say("well_done") if failure is None else what_is(failure)
        print_message(say("glc_status", source=glc.source, when=when, how=how))
        print_message(say("glc_counts", **asdict(counts)))
    if failure is not None or counts.held or counts.overdue:
        raise typer.Exit(Exit.NO)


async def _poll(settings: Settings, database: Database) -> PollResult:
    # No commune is served meanwhile, so that a daemon may run on the same database.
    alone = Catalogue(settings, portals={}, communes={}, mappings={}, adapters={})
    async with open_engine(alone, database) as engine:
        await engine.eraser.check_key()
        if engine.identity is None:
            raise _not_configured()
        found = await engine.identity.poll()
        await engine.eraser.advance()
    return found


def _configured(settings: Settings) -> Glc:
    if settings.glc is None:
        raise _not_configured()
    return settings.glc


def _not_configured() -> ConfigurationFault:
    return ConfigurationFault([Fault(SETTINGS, 0, say_files("no_glc"))])
