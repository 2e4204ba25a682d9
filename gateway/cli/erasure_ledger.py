"""`erasure export` and `import`: carry the marks of what was erased to, and from, another place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Settings
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.glc_texts import say
from gateway.cli.output import AsJson, emit, print_message
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_settings,
    open_database,
)
from gateway.core.errors import NotFound
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.erasure_ledger import LEDGER_FILE, ErasureLedger, write_elsewhere

Place = Annotated[Path, typer.Argument(metavar="FILE", help="A ledger of erasures.")]


def export_(
    file: Place, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """Write down elsewhere what was erased: the database's marks, and this machine's ledger's. A
    file that is there is added to. It names nobody; the key of erased accounts is not in it."""
    settings = load_settings(config, mappings, secrets=NeededSecrets.ALL).settings
    theirs = _ledger(settings, file)
    with open_database(settings) as database:
        new = asyncio.run(write_elsewhere(database, _ledger(settings), theirs))
    _print(as_json, file, new, len(theirs.read()), "ledger_exported")


def import_(
    file: Place, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """Take such a file into this machine's ledger. What of it the database holds is erased again
    at the daemon's next start."""
    settings = load_settings(config, mappings, secrets=NeededSecrets.ALL).settings
    if not file.is_file():
        raise NotFound(say("no_ledger", place=str(file)))
    marks = _ledger(settings, file).read()
    ours = _ledger(settings)
    new = ours.add(marks) if marks else 0
    _print(as_json, ours.path, new, len(ours.read()), "ledger_imported")


def _ledger(settings: Settings, place: Path | None = None) -> ErasureLedger:
    path = settings.data_dir / LEDGER_FILE if place is None else place
    return ErasureLedger(path, AccountHasher(settings).check_value)


def _print(as_json: bool, place: Path, new: int, count: int, word: str) -> None:
    if as_json:
        emit({"ledger": place, "new": new, "marks": count})
    else:
        print_message(say(word, new=new, count=count, place=str(place)))
