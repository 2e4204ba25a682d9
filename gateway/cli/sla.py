"""`sla`: the availability of a month against the convention, and its incidents."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, emit, print_message, print_text, table, writing
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    known_commune,
    load_parts,
    open_database,
)
from gateway.cli.sla_texts import say
from gateway.cli.usage import Misuse
from gateway.contracts.availability_page import month_json, month_page, month_rows
from gateway.core.availability import MinuteVerdict
from gateway.core.messages import Message
from gateway.core.working_time import PARIS
from gateway.flow.availability import MonthFigures, ScopeMonth, month_figures

app = typer.Typer(help="Availability, against the convention.", no_args_is_help=True)

_SHOWN = (
    MinuteVerdict.GATEWAY,
    MinuteVerdict.PORTAL,
    MinuteVerdict.GLC,
    MinuteVerdict.COMMUNE,
    MinuteVerdict.ANNOUNCED,
)


@app.callback()
def group() -> None:
    pass


@app.command()
def report(
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Of Paris; else the current one.")
    ] = None,
    commune: Annotated[
        str | None, typer.Option(metavar="INSEE", help="This commune, and the services.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a French page (A4).")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write rows for a French spreadsheet."),
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """The minutes of a month that were down, by whose they are, and the incidents solved in time:
    for each service and commune, against 99.9 % and 95 %."""
    now = datetime.now(UTC)
    chosen = _month(month, now)
    catalogue = load_parts(config, mappings).catalogue
    rules = catalogue.settings.incidents
    insee = None if commune is None else catalogue.insee(commune)
    with open_database(catalogue.settings) as database:
        found = asyncio.run(month_figures(database, chosen, now, rules, insee))
        if insee is not None:
            asyncio.run(known_commune(database, insee, config, mappings, found.communes))
    known = (*catalogue.unreleased.values(), *catalogue.communes.values())
    names = {one.insee: one.name for one in known}
    if html is not None:
        _write(html, month_page(found, names, now), told=not as_json)
    if sheet is not None:
        _write(sheet, "".join(month_rows(found, names)), told=not as_json)
    if as_json:
        emit(month_json(found, rules, now))
    elif html is None and sheet is None:
        _print(found, names)


def _write(place: Path, text: str, *, told: bool) -> None:
    with writing(place):
        place.write_text(text, "utf-8", newline="")
    if told:
        print_message(say("written", place=str(place)))


def _print(found: MonthFigures, names: dict[str, str]) -> None:
    downs = ("gateway", "portal", "glc", "commune", "announced")
    table(
        ("service", "availability", *downs, "promise"),
        [(one.scope.service, *_minutes(one)) for one in found.services],
        say("nothing"),
    )
    if not found.communes:
        return
    print_text("")
    table(
        ("commune", "name", "availability", *downs, "promise", "solved in time", "promise"),
        [
            (
                one.scope.commune,
                names.get(one.scope.commune),
                *_minutes(one),
                say("solved", solved=one.solved, judged=one.judged) if one.judged else None,
                _kept(one.solved_kept),
            )
            for one in found.communes
        ],
        say("nothing"),
    )


def _minutes(one: ScopeMonth) -> tuple[object, ...]:
    share = one.minutes.share
    # Cut, not rounded: 99.8999 % is not 99.9 %.
    shown = None if share is None else f"{int(share * 100_000 + 1e-6) / 1000:.3f} %"
    return shown, *map(one.minutes.of, _SHOWN), _kept(one.minutes.kept)


def _kept(kept: bool | None) -> Message | None:
    return None if kept is None else say("kept" if kept else "broken")


def _month(given: str | None, now: datetime) -> date:
    """Return the first day of a month. Raises Misuse."""
    if given is None:
        return now.astimezone(PARIS).date().replace(day=1)
    try:
        found = date.fromisoformat(f"{given.strip()}-01")
    except ValueError:
        raise Misuse(say("no_month", given=given[:40])) from None
    if not 2000 <= found.year <= 2200:
        raise Misuse(say("no_month", given=given[:40]))
    return found
