"""`personal-data`: the register of the RGPD, and the notice of a violation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.insee import unknown_communes
from gateway.catalogue.mapping_files import load_mappings
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message, print_text, writing
from gateway.cli.private import private_file
from gateway.cli.rights_texts import say
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    in_place,
    known_commune,
    load_parts,
    open_database,
)
from gateway.cli.usage import Misuse
from gateway.contracts import register, violation
from gateway.contracts.register import RegisterEntry
from gateway.contracts.spreadsheet import BEGIN, sheet_row
from gateway.contracts.violation import ViolationNotice
from gateway.core.errors import ConfigurationFault
from gateway.store.engine import Database

PARIS = ZoneInfo("Europe/Paris")

app = typer.Typer(help="Registers of the RGPD: treatments, violations.", no_args_is_help=True)


class RegisterFormat(Enum):
    """The form of a register."""

    CSV = "csv"
    HTML = "html"
    JSON = "json"


Commune = Annotated[str | None, typer.Option(metavar="INSEE", help="Only of this one.")]


@app.command("register")
def show_register(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    commune: Commune = None,
    output: Annotated[
        RegisterFormat, typer.Option("--format", help="csv for a spreadsheet, html to print.")
    ] = RegisterFormat.CSV,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Else the standard output.")
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--mappings-only", help="Every mapping, whoever uses it; no configuration."),
    ] = False,
) -> None:
    """Make the register: which personal data go to which commune, and why.

    It has the CNIL's columns, in French, from the mappings (`personal_data`) and settings alone.
    Exit code 1 while something is not told.
    """
    entries = _mappings_alone(config, mappings) if alone else _of(config, mappings, commune)
    if output is RegisterFormat.JSON:
        emit(entries)
    else:
        made = register.as_csv if output is RegisterFormat.CSV else _page
        text = made(entries)
        if to is None:
            print_text(text.rstrip("\n"))
        else:
            with writing(to):
                to.write_text(text, "utf-8", newline="")
            print_message(say("register_written", to=str(to), count=len(entries)))
    lacking = sum(one.lacking for one in entries)
    if lacking:
        print_message(say("register_lacks", count=lacking), err=True)
        raise typer.Exit(Exit.NO)


def _page(entries: list[RegisterEntry]) -> str:
    return register.as_html(entries, datetime.now(UTC))


def _of(config: Path, mappings: Path, commune: str | None) -> list[RegisterEntry]:
    catalogue = load_parts(config, mappings).catalogue
    if commune is None:
        return register.register_entries(catalogue)
    insee = catalogue.insee(commune)
    if insee not in catalogue.communes:
        names = {code: one.name for code, one in catalogue.communes.items()}
        raise unknown_communes([commune], names)
    return register.register_entries(catalogue, [insee])


def _mappings_alone(config: Path, mappings: Path) -> list[RegisterEntry]:
    with in_place(config, mappings):
        found, broken = load_mappings(read_bundle(None, mappings))
        if broken:
            raise ConfigurationFault([fault for faults in broken.values() for fault in faults])
    return register.register_of_mappings(found.values())


@app.command("violation")
def show_violation(
    since: Annotated[str, typer.Option(metavar="TIME", help="2026-03-12, or with 08:41 (Paris).")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder that is not there.")],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Else now.")] = None,
    known: Annotated[
        str | None, typer.Option("--known", metavar="TIME", help="When it was learnt of; else now.")
    ] = None,
    commune: Commune = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Prepare the notice of a violation of personal data (RGPD, art. 33), from the tables, the
    trail and the mappings: notice.html, notice.txt, references.csv. It holds no personal data."""
    now = datetime.now(UTC)
    begin = _moment(since, "--since")
    end = now if until is None else _moment(until, "--until")
    known_at = now if known is None else _moment(known, "--known")
    if begin >= end:
        raise Misuse(say("no_time_between"))
    parts = load_parts(config, mappings)
    catalogue = parts.catalogue
    insee = None if commune is None else catalogue.insee(commune)
    with open_database(catalogue.settings) as database:
        notice = asyncio.run(
            violation.violation_notice(database, catalogue, begin, end, known_at, now, insee)
        )
        if insee is not None:
            asyncio.run(known_commune(database, insee, config, mappings, notice.exposed))
        with writing(to):
            to.mkdir(mode=0o700)
            with private_file(to / "notice.html") as file:
                file.write(violation.as_html(notice))
            with private_file(to / "notice.txt") as file:
                file.write(violation.as_plain_text(notice))
            asyncio.run(_write_references(database, notice, insee, to / "references.csv"))
    if as_json:
        emit(
            {
                "to": str(to),
                "people": notice.people,
                "requests": notice.requests,
                "files": notice.files,
                "communes": sorted({one.route.commune for one in notice.exposed}),
            }
        )
        return
    given = {"people": notice.people, "requests": notice.requests, "files": notice.files}
    print_message(say("notice_written", to=str(to), **given))


async def _write_references(
    database: Database, notice: ViolationNotice, commune: str | None, place: Path
) -> None:
    with private_file(place) as file:
        file.write(BEGIN + sheet_row(("référence", "commune", "démarche", "reçue")))
        async for page in violation.all_references(database, notice.since, notice.until, commune):
            file.write("".join(sheet_row((*row[:3], row[3].isoformat())) for row in page))


def _moment(text: str, option: str) -> datetime:
    """Read a time as people write it; without an offset it is Paris's. Raises Misuse."""
    try:
        found = datetime.fromisoformat(text.strip())
        return (
            found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=PARIS).astimezone(UTC)
        )
    except (ValueError, OverflowError):
        raise Misuse(say("no_moment", option=option, given=text)) from None
