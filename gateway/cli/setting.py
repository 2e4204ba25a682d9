"""The first steps of most commands: read the configuration, and open its database."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue, Settings
from gateway.catalogue.insee import unknown_communes
from gateway.catalogue.parts import CatalogueParts, build_parts
from gateway.catalogue.released import settings_of
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.texts import say
from gateway.cli.language import language
from gateway.cli.output import print_message
from gateway.cli.texts import say as say_cli
from gateway.cli.usage import Misuse
from gateway.contracts.connected import ConnectedCommunes, everybody
from gateway.contracts.running import ReleasedSource
from gateway.core.errors import ConfigurationFault, Fault, GatewayError
from gateway.core.ids import is_insee
from gateway.core.messages import Message
from gateway.flow import operator
from gateway.flow.sealing import has_keys, open_sealer
from gateway.store import releases
from gateway.store.engine import Database
from gateway.store.schema import require

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="DIR",
        envvar="GRU_GATEWAY_CONFIG",
        help="Folder of gateway.yaml and communes/.",
    ),
]
Mappings = Annotated[
    Path,
    typer.Option(
        "--mappings",
        metavar="DIR",
        envvar="GRU_GATEWAY_MAPPINGS",
        help="Folder of the mappings.",
    ),
]
#: Of `serve --dev`, which takes what concerns lanes alone.
UNFOLLOWING = say_cli("unfollowing")
CONFIG = Path("config")
MAPPINGS = Path("mappings")


def load_catalogue(
    config: Path, mappings: Path, *, secrets: NeededSecrets = NeededSecrets.DATABASE
) -> Catalogue:
    """Load the catalogue of two folders. A catalogue for calls to far ends needs all its secrets.

    Raises ConfigurationFault with every fault at its file.
    """
    with in_place(config, mappings):
        bundle = read_bundle(config, mappings)
        found = build(bundle, environ=os.environ, secrets=secrets, folder=config)
    _left_behind(found.settings, config)
    return _placed(found, config, mappings)


def load_parts(
    config: Path, mappings: Path, *, secrets: NeededSecrets = NeededSecrets.DATABASE
) -> CatalogueParts:
    """Return the parts of two folders without faults. The parts left out are printed on the
    standard error.

    Raises ConfigurationFault for a fault that concerns all communes.
    """
    with in_place(config, mappings):
        unread: list[Fault] = []
        bundle = read_bundle(config, mappings, unread)
        found = build_parts(
            bundle, environ=os.environ, secrets=secrets, folder=config, unread=tuple(unread)
        )
    _left_behind(found.catalogue.settings, config)
    tell_left_out(found.faults(), config, mappings)
    return replace(found, catalogue=_placed(found.catalogue, config, mappings))


def tell_left_out(faults: Iterable[Fault], config: Path, mappings: Path) -> None:
    """Print on the standard error, once each, why files are left out."""
    for fault in sorted(set(faults)):
        told = located(fault, config, mappings).placed(language())
        print_message(say_cli("left_out", told=told), err=True)


def last_heard(database: Database) -> datetime | None:
    """Return the time of a daemon's last sign of life; None when no daemon runs.

    For SQLite the daemon's lock decides, also where the daemon leaves no sign (`serve --dev`).
    Otherwise the end of a daemon is known at once, that of a killed one after three minutes.
    """
    held = _lock_held(database)
    if held is False:
        return None
    return _last_word(database) or (datetime.now(UTC) if held else None)


def _last_word(database: Database) -> datetime | None:
    there = asyncio.run(operator.daemons(database))
    return max((one.at for one in there.values()), default=None)


def _lock_held(database: Database) -> bool | None:
    """Does a daemon hold the lock of its SQLite database? The system frees it when the process
    dies. None where it cannot be tested."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    try:
        with (Path(url.database).parent / "gateway.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # There is none, or it is not ours to open.
        return None
    return False


def tell_daemon(heard_at: datetime | None) -> None:
    """Print on the standard error the age of the daemons' last sign of life, or that no daemon
    runs."""
    if heard_at is None:
        print_message(say_cli("no_daemon"), err=True)
        return
    age = max(0, round((datetime.now(UTC) - heard_at).total_seconds()))
    late = age > operator.SILENT
    print_message(say_cli("daemon_long_ago" if late else "daemon_runs", age=age), err=True)


def taken(database: Database, said: Message) -> Message:
    """Return the message `said` about the running daemons, or the message that none runs."""
    heard_at = last_heard(database)
    if heard_at is None:
        return say_cli("taken_at_start")
    age = round((datetime.now(UTC) - heard_at).total_seconds())
    return said if age <= operator.SILENT else say_cli("taken_if_it_runs", said=said, age=age)


def taken_with_releases(database: Database, said: Message) -> Message:
    """Return the message `said` about the daemons that follow releases, as `taken` does."""
    if last_heard(database) is not None and _last_word(database) is None:
        return UNFOLLOWING
    return taken(database, said)


def load_settings(
    config: Path, mappings: Path, *, secrets: NeededSecrets = NeededSecrets.DATABASE
) -> Catalogue:
    """Load settings and portals only, without communes. Raises ConfigurationFault as
    `load_catalogue`."""
    with in_place(config, mappings):
        bundle = read_bundle(config, mappings)
        found = settings_of(bundle, os.environ, folder=config, secrets=secrets)
    _left_behind(found.settings, config)
    return _placed(found, config, mappings)


async def read_connected(
    database: Database, parts: CatalogueParts, config: Path, mappings: Path
) -> ConnectedCommunes:
    """Return the connected communes, from the database and two folders. Faults name real paths."""
    whose = {insee: parts.broken[file] for file, insee in parts.communes.items()}
    return await everybody(database, parts, all_located(whose, config, mappings))


async def known_commune(
    database: Database, code: str, config: Path, mappings: Path, found: Sequence[object]
) -> None:
    """Check that there is such a commune, where nothing was `found` about it.

    A commune exists if it has a file or ever had a release. Raises NotFound, which names the
    nearest ones; Misuse for a text that is not an INSEE code.
    """
    if found:
        return
    catalogue = load_parts(config, mappings).catalogue
    ledger = await database.read(releases.ledger)
    names = dict.fromkeys(ledger.history, "")
    names |= {insee: one.name for insee, one in catalogue.communes.items()}
    if code in names or catalogue.insee(code) in names:
        return
    unknown = unknown_communes([code], names)
    raise unknown if is_insee(code) else Misuse(unknown.said)


@contextmanager
def in_place(config: Path, mappings: Path) -> Iterator[None]:
    """Within the block, faults with a bundle's names are raised with real paths."""
    try:
        yield
    except ConfigurationFault as error:
        raise ConfigurationFault(
            [located(fault, config, mappings) for fault in error.faults]
        ) from None


def _placed(found: Catalogue, config: Path, mappings: Path) -> Catalogue:
    """Return the catalogue with the real path of the file that names the master keys: what is wrong
    with these shows at the database only."""
    sealing = found.settings.sealing
    if sealing is None:
        return found
    file, line = sealing.at
    sealing = replace(sealing, at=(real_path(file, config, mappings), line))
    return replace(found, settings=replace(found.settings, sealing=sealing))


def _left_behind(settings: Settings, config: Path) -> None:
    """Check that no database was left in the folder of the current process: earlier versions read a
    relative data_dir from there.

    Raises ConfigurationFault instead of creating an empty database beside the intended one.
    """
    if not settings.data_dir.is_relative_to(config):
        return
    before = settings.data_dir.relative_to(config)
    here, there = before / "gateway.db", settings.data_dir / "gateway.db"
    if here.is_file() and not there.exists():
        names = {"config": str(config), "there": str(here.absolute())}
        said = say("old_data", **names, here=str(settings.data_dir))
        raise ConfigurationFault([Fault((config / "gateway.yaml").as_posix(), 0, said)])


def located(fault: Fault, config: Path, mappings: Path) -> Fault:
    """Return the fault with the real path of its file, which can be opened."""
    return Fault(real_path(fault.file, config, mappings), fault.line, fault.said, fault.column)


def real_path(file: str, config: Path, mappings: Path) -> str:
    """Return the real path of a bundle's file, also within its release. Other names stay."""
    release, comma, name = file.rpartition(", ")
    for prefix, folder in (("config/", config), ("mappings/", mappings)):
        if name.startswith(prefix):
            return release + comma + (folder / name.removeprefix(prefix)).as_posix()
    return file


def all_located(
    faults: Mapping[str, tuple[Fault, ...]], config: Path, mappings: Path
) -> dict[str, tuple[Fault, ...]]:
    """Return the faults by subject, each with the real path of its file."""
    return {key: tuple(located(f, config, mappings) for f in of) for key, of in faults.items()}


async def running_catalogue(
    database: Database, config: Path, mappings: Path, *, files: bool = False
) -> Catalogue:
    """Return the catalogue that a daemon serves: the active releases, or the files if nothing is
    released.

    Raises ConfigurationFault.
    """
    ledger = await database.read(releases.ledger)
    if files or not ledger.active:
        return load_catalogue(config, mappings, secrets=NeededSecrets.ALL)
    source = ReleasedSource(lambda: read_bundle(config, mappings), os.environ, folder=config)
    with in_place(config, mappings):
        return await source.catalogue(database)


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database of a configuration, beside a running daemon or without one. One that no
    daemon has sealed yet stays in clear: a command makes no keys.

    Raises GatewayError when there is no database yet, or when its tables have another version.
    """
    url = settings.database.get_secret_value()
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise GatewayError(say_cli("no_database_yet", place=path))
    require(url)
    sealer = open_sealer(settings, strict=False) if has_keys(url) else None
    if sealer is not None and sealer.missing is not None:
        print_message(sealer.missing, err=True)
    database = Database(url, sealer)
    try:
        yield database
    finally:
        database.close()
