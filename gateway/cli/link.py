"""`link`: the accounts at GLC that are linked with accounts of communes' portals."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Settings
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.faults import Exit
from gateway.cli.link_texts import say
from gateway.cli.output import AsJson, ask_person, emit, print_message, print_text, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_settings,
    open_database,
)
from gateway.cli.usage import Misuse
from gateway.contracts.spreadsheet import BEGIN, sheet_row
from gateway.core.errors import NotFound
from gateway.core.linking import AccountLink
from gateway.flow.links import LinkRegister, open_register
from gateway.store.engine import Database

app = typer.Typer(help="Accounts linked with those of communes' own portals.", no_args_is_help=True)

Whose = Annotated[str | None, typer.Option("--commune", metavar="INSEE", help="Of this commune.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; kept in the trail.")]
OfOne = Annotated[str, typer.Option("--commune", metavar="INSEE", help="The commune.")]


class ExportFormat(StrEnum):
    """The form of an export."""

    JSON = "json"
    CSV = "csv"


InFormat = Annotated[ExportFormat, typer.Option(help="json, or csv for a spreadsheet.")]


@app.command("list")
def show_list(
    commune: Whose = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Links that count, without the accounts' names: `link export` has these."""
    found = _read(_load(config, mappings), commune)
    rows = [(one.commune, one.identity, one.linked_at, one.acr) for one in found]
    if as_json:
        names = ("commune", "identity", "linked_at", "acr")
        emit([dict(zip(names, row, strict=True)) for row in rows])
        return
    table(("commune", "identity", "since", "level"), rows, say("no_links"))


@app.command()
def export(
    commune: OfOne,
    format: Annotated[
        ExportFormat, typer.Option(help="json, or csv for a spreadsheet.")
    ] = ExportFormat.JSON,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
) -> None:
    """All that is held of a commune's links, for that commune: personal data, on the standard
    output."""
    found = _read(_load(config, mappings), commune)
    if format is ExportFormat.JSON:
        emit([one.document() for one in found])
        return
    rows = [sheet_row(("identity", "account", "acr", "claims", "linked_at"))]
    for one in found:
        told, claims = one.document(), json.dumps(dict(one.claims), ensure_ascii=False)
        cells = (told["identity"], told["account"], told["acr"], claims, told["linked_at"])
        rows.append(sheet_row(cells))
    print_text((BEGIN + "".join(rows)).rstrip("\r\n"))


@app.command()
def unlink(
    commune: OfOne,
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Who says so; kept in the trail.")
    ],
    identity: Annotated[
        str | None, typer.Option(metavar="IDENTITY", help="The link, as `link list` names it.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="All links of this account of the commune's portal."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """End links, as a commune or a citizen asks. Exit code 1: there is none."""
    name = " ".join(by.split())
    if not name:
        raise Misuse(say("empty_by"))
    if (identity is None) == (account is None):
        raise Misuse(say("one_way"))
    settings = _load(config, mappings)
    ask_person(say("unlink_asked", commune=commune), yes=yes)
    with open_database(settings) as database:
        now = datetime.now(UTC)
        count = asyncio.run(
            _register(settings, database).unlink_by_hand(commune, identity, account, name, now)
        )
    if as_json:
        emit({"commune": commune, "unlinked": count})
    elif count:
        print_message(say("unlinked", commune=commune, by=name, count=count))
    else:
        print_message(say("none_unlinked", commune=commune))
    if not count:
        raise typer.Exit(Exit.NO)


def _load(config: Path, mappings: Path) -> Settings:
    """Return the settings, with the key of links."""
    return load_settings(config, mappings, secrets=NeededSecrets.ALL).settings


def _register(settings: Settings, database: Database) -> LinkRegister:
    register = open_register(settings, database)
    if register is None:
        raise NotFound(say("no_openid"))
    return register


def _read(settings: Settings, commune: str | None) -> list[AccountLink]:
    async def read(register: LinkRegister) -> list[AccountLink]:
        return [one async for one in register.every(commune)]

    with open_database(settings) as database:
        return asyncio.run(read(_register(settings, database)))
