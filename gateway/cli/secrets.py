"""`secrets`: have the running daemons read secrets and certificates again."""

from __future__ import annotations

import asyncio

import typer

from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message, print_text
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
from gateway.cli.texts import say
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
        {"daemon": name, "read": read, "refused": one.refused and one.refused.told(language())}
        for name, (one, read) in sorted(known.items())
    ]
    well = bool(told) and all(one["read"] and one["refused"] is None for one in told)
    if as_json:
        emit(told)
    elif not told:
        print_message(UNFOLLOWING if runs else say("secrets_at_start"))
    else:
        for one in told:
            word = "secrets_read" if one["read"] else "secrets_unread"
            print_message(say(word, daemon=str(one["daemon"])))
            if one["read"] and one["refused"] is not None:
                print_message(say("goes_on"))
                for line in str(one["refused"]).splitlines():
                    print_text(f"  {line}")
    if not well:
        raise typer.Exit(Exit.NO)
