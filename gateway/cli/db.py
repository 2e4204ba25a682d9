"""`db`: the tables of the database and their version."""

from __future__ import annotations

import typer

from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings
from gateway.store.schema import status as read_status
from gateway.store.schema import upgrade as run_upgrade

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command()
def upgrade(config: Config = CONFIG, mappings: Mappings = MAPPINGS) -> None:
    """Create the tables, or bring them to this version; `serve` does it too."""
    url = load_settings(config, mappings).settings.database.get_secret_value()
    run_upgrade(url)
    print_message(read_status(url).said)


@app.command()
def status(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """The version of the tables. Exit code 1 when it is not the one that this gateway needs."""
    url = load_settings(config, mappings).settings.database.get_secret_value()
    found = read_status(url)
    if as_json:
        emit({"current": found.current, "needed": found.head, "ok": found.fits})
    else:
        print_message(found.said)
    if not found.fits:
        raise typer.Exit(Exit.NO)
