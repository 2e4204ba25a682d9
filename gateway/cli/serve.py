"""`serve`: the daemon."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Annotated

import structlog
import typer

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.output import print_message
from gateway.cli.release_texts import say as release_say
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_catalogue,
    load_settings,
    located,
)
from gateway.cli.texts import say
from gateway.cli.usage import Misuse
from gateway.contracts.running import CatalogueSource, ReleasedSource, UnsignedSource

log = structlog.get_logger()


def serve(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    dev: Annotated[
        bool, typer.Option("--dev", help="Run the files as they are, signed or not, and say so.")
    ] = False,
    role: Annotated[
        str, typer.Option(help="all, intake or dispatch; more than one process needs PostgreSQL.")
    ] = "all",
) -> None:
    """Run the active releases until SIGTERM or Ctrl-C; `release apply` makes them active."""
    import uvloop

    from gateway import app, telemetry

    def read() -> dict[str, str]:
        return read_bundle(config, mappings)

    if role not in list(app.Role):
        raise Misuse(say("odd_role", role=role))
    source: CatalogueSource
    if dev:
        catalogue = load_catalogue(config, mappings, secrets=NeededSecrets.ALL)
        source = UnsignedSource(read(), catalogue, _warn_of_unsigned, os.environ, config)
    else:
        catalogue = load_settings(config, mappings, secrets=NeededSecrets.ALL)
        locate = partial(located, config=config, mappings=mappings)
        source = ReleasedSource(read, os.environ, folder=config, locate=locate)
    telemetry.configure(catalogue.settings.log_format, catalogue.settings.log_level)
    for found in catalogue.warnings:
        warning = located(found, config, mappings)
        log.warning(
            "configuration.warned",
            file=warning.file,
            line=warning.line,
            what=warning.what,
            remedy=warning.remedy,
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.serve(catalogue, source=source, role=app.Role(role)))


def _warn_of_unsigned(communes: tuple[str, ...]) -> None:
    said = release_say("runs_unsigned", communes=communes)
    print_message(say("warning", told=said), err=True)
