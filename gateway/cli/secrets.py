"""`secrets`: secrets and certificates read anew by the daemons that run."""

from __future__ import annotations

import asyncio

import typer

from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit
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
from gateway.flow import operator

app = typer.Typer(help="Secrets and certificates.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def reload(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Have every running daemon read its secrets and certificates anew, without a stop.

    A secret that cannot be had stays as it was, and is told: exit code 1, as when no daemon
    answers. A value of the environment (env:NAME) is that of the daemon's start; what is to change
    meanwhile is given as file:PATH.
    """
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        runs = last_heard(database) is not None
        known = asyncio.run(operator.renew_secrets(database)) if runs else {}
    told = [
        {"daemon": name, "read": read, "refused": one.refused}
        for name, (one, read) in sorted(known.items())
    ]
    well = bool(told) and all(one["read"] and one["refused"] is None for one in told)
    if as_json:
        emit(told)
    elif not told:
        typer.echo(UNFOLLOWING if runs else "no daemon runs; they are read at its start")
    else:
        for one in told:
            refused = one["refused"]
            said = (
                "has not answered: it was killed, or its log says why"
                if not one["read"]
                else "has read them"
            )
            typer.echo(f"daemon {one['daemon']} {said}")
            if one["read"] and refused is not None:
                typer.echo("  goes on with what it had:")
                typer.echo("\n".join(f"  {line}" for line in str(refused).splitlines()))
    if not well:
        raise typer.Exit(Exit.NO)
