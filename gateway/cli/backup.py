"""`backup` and `restore`: the database and the key of erased accounts, in a folder of their own."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Settings
from gateway.cli.output import AsJson, emit, writing
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings
from gateway.core.errors import Conflict, GatewayError, NotFound
from gateway.flow.erased_accounts import KEY_FILE
from gateway.store import backup as store
from gateway.store.opening import open_database_engine

DATABASE = "gateway.db"
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of this one backup.")]


def backup(
    folder: Folder, config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """Copy the database into a new folder, while the daemon works. PostgreSQL has pg_dump.

    Everything that was acknowledged when it began is in it, and so is the key of erased accounts.
    Configuration, mappings, secrets and an object store of attachments are not.
    """
    settings = load_settings(config, mappings).settings
    source = _sqlite(settings, "pg_dump --format=custom, or an archive of its log, copies it")
    if not source.is_file():
        raise NotFound(f"there is no database at {source} yet")
    if folder.exists():
        raise Conflict(f"{folder} is there already: each backup has a folder of its own")
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with writing(folder):
            draft.mkdir(0o700, parents=True)
            store.copy(source, draft / DATABASE)
            # After the database: a key that it counts on was made before.
            key = settings.data_dir / KEY_FILE
            if key.is_file():
                _copied(key, draft / KEY_FILE)
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    size = (folder / DATABASE).stat().st_size
    apart = None if settings.attachments is None else settings.attachments.url
    if as_json:
        emit({"folder": folder, "bytes": size, "attachments_apart": apart})
        return
    typer.echo(f"{folder}: {size} bytes, whole; it holds personal data")
    if apart is not None:
        typer.echo(f"the files of requests lie at {apart}: back that up with it")


def restore(
    folder: Folder,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put what lies there now aside, in a folder.")
    ] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Put a backup back, with the daemon stopped. Nothing that waits in it is sent unasked."""
    from gateway.app import only_process

    settings = load_settings(config, mappings).settings
    target = _sqlite(settings, "pg_restore puts it back; then run `db restored`")
    if not (folder / DATABASE).is_file():
        raise NotFound(f"{folder} holds no {DATABASE}")
    store.check(folder / DATABASE)
    now = datetime.now(UTC)
    with only_process(settings.data_dir):
        there = [Path(f"{target}{end}") for end in ("", "-wal", "-shm")]
        there = [one for one in [*there, settings.data_dir / KEY_FILE] if one.exists()]
        if target.exists() and not replace:
            raise Conflict(f"there is a database at {target}: --replace puts it aside")
        aside = settings.data_dir / f"replaced-{now:%Y%m%dT%H%M%SZ}"
        draft = target.with_name(f".{target.name}.partial")
        draft.unlink(missing_ok=True)
        store.restore(folder / DATABASE, draft)
        try:
            if there:
                aside.mkdir(0o700)
            for one in there:
                one.rename(aside / one.name)
            draft.rename(target)
            if (folder / KEY_FILE).is_file():
                _copied(folder / KEY_FILE, settings.data_dir / KEY_FILE)
        except OSError as error:
            raise GatewayError(f"{target} cannot be replaced: {error.strerror}") from None
        doubted = _doubt(f"sqlite:///{target}", now)
    if as_json:
        emit({"database": target, "doubted": doubted, "aside": aside if there else None})
        return
    typer.echo(f"{target}: restored; {_doubted(doubted)}")
    if there:
        typer.echo(f"what was there lies in {aside}; it holds personal data, delete it in time")


def restored(config: Config = CONFIG, mappings: Mappings = MAPPINGS) -> None:
    """After a database was restored by its own means: far ends are asked before anything is sent.

    With every daemon stopped. `restore` does it for SQLite.
    """
    from gateway.store.schema import require

    settings = load_settings(config, mappings).settings
    url = settings.database.get_secret_value()
    require(url)
    typer.echo(_doubted(_doubt(url, datetime.now(UTC))))


def _doubted(count: int) -> str:
    return f"far ends will be asked about {count} deliveries before anything of them is sent"


def _doubt(url: str, now: datetime) -> int:
    engine = open_database_engine(url)
    try:
        with engine.begin() as connection:
            return store.doubt(connection, now)
    finally:
        engine.dispose()


def _sqlite(settings: Settings, otherwise: str) -> Path:
    """Return where the database lies. Raises GatewayError for one that is no file."""
    url = settings.database.get_secret_value()
    if not url.startswith("sqlite:///"):
        raise GatewayError(f"the database is PostgreSQL, which has means of its own: {otherwise}")
    return Path(url.removeprefix("sqlite:///"))


def _copied(source: Path, target: Path) -> None:
    """A small file, whole, on the disk, and for nobody else."""
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
