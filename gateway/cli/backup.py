"""`backup` and `restore`: the database and the key of erased accounts, in a separate folder; the
keys with which it is sealed beside all backups, once."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Settings
from gateway.cli.output import AsJson, emit, print_message, writing
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings
from gateway.cli.texts import counted, say
from gateway.core.errors import Conflict, GatewayError, NotFound
from gateway.core.messages import Message
from gateway.core.system_errors import system_error
from gateway.flow.erased_accounts import KEY_FILE
from gateway.flow.erasure_ledger import LEDGER_FILE, ErasureLedger
from gateway.flow.sealing import KEYS_FILE, MASTER_FILE, keys_path, master_file
from gateway.store import backup as store
from gateway.store.opening import open_database_engine

DATABASE = "gateway.db"
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE",
        help="Of the keys: one file for all backups, written anew each time (default: keys.db"
        " beside FOLDER).",
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of this one backup.")]


def backup(
    folder: Folder,
    keys: Keys = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Copy the database into a new folder, while the daemon works. PostgreSQL has pg_dump.

    Everything that was acknowledged when it began is in it, and so is the key of erased accounts.
    The keys with which it is sealed are not: of them there is one copy, the newest, so that what is
    erased from now on cannot be read in this backup either. Configuration, mappings, secrets and an
    object store of attachments are not in it.
    """
    settings = load_settings(config, mappings).settings
    source = _sqlite(settings, say("postgres_dump"))
    if not source.is_file():
        raise NotFound(say("no_database_yet", place=str(source)))
    if folder.exists():
        raise Conflict(say("backup_there", place=str(folder)))
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
            ledger = settings.data_dir / LEDGER_FILE
            if ledger.is_file():
                _copied(ledger, draft / LEDGER_FILE)
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    kept = _backup_keys(settings, keys or folder.parent / KEYS_FILE)
    size = (folder / DATABASE).stat().st_size
    apart = None if settings.attachments is None else settings.attachments.url
    if as_json:
        emit({"folder": folder, "bytes": size, "attachments_apart": apart, "keys": kept})
        return
    print_message(say("backed_up", place=str(folder), size=size))
    for place in kept:
        print_message(say("keys_backed_up", place=str(place)))
    if apart is not None:
        print_message(say("files_apart", place=apart))


def restore(
    folder: Folder,
    keys: Keys = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put what lies there now aside, in a folder.")
    ] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Put a backup back, with the daemon stopped. Nothing that waits in it is sent unasked, and who
    was erased since is erased again when the daemon starts.

    Keys that are in place stay: they are the newest.
    """
    from gateway.app import only_process

    settings = load_settings(config, mappings).settings
    target = _sqlite(settings, say("postgres_restore"))
    if not (folder / DATABASE).is_file():
        raise NotFound(say("no_backup", place=str(folder), name=DATABASE))
    store.check(folder / DATABASE)
    now = datetime.now(UTC)
    with only_process(settings.data_dir):
        there = [Path(f"{target}{end}") for end in ("", "-wal", "-shm")]
        key = settings.data_dir / KEY_FILE
        # One that was made since the backup is that of the ledger.
        there += [key] if (folder / KEY_FILE).is_file() else []
        there = [one for one in there if one.exists()]
        if target.exists() and not replace:
            raise Conflict(say("database_there", place=str(target)))
        aside = _free(settings.data_dir / f"replaced-{now:%Y%m%dT%H%M%SZ}")
        # Before anything is copied: a ledger that cannot be read stops it, and leaves nothing.
        remembered = _remembered(settings, folder, target)
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
                _copied(folder / KEY_FILE, key)
            _restore_keys(settings, keys or folder.parent / KEYS_FILE)
        except OSError as error:
            why = system_error(error)
            raise GatewayError(say("not_replaced", place=str(target), error=why)) from None
        doubted = _doubt(f"sqlite:///{target}", now)
    if as_json:
        aside_now = aside if there else None
        told = {"database": target, "doubted": doubted, "remembered": remembered}
        emit(told | {"aside": aside_now})
        return
    print_message(say("restored", place=str(target), doubted=_doubted(doubted)))
    if remembered:
        print_message(say("remembered", count=remembered))
    if there:
        print_message(say("lies_aside", place=str(aside)))


def _free(folder: Path) -> Path:
    """Return a folder that is not there yet: somebody may restore twice in one second."""
    names = (folder.with_name(f"{folder.name}-{n}") for n in range(2, 1000))
    return next(one for one in (folder, *names) if not one.exists())


def _remembered(settings: Settings, folder: Path, target: Path) -> int:
    """Have the ledger hold what the present database and the backup's own ledger know of erasures;
    return how many marks it has. Raises BadLedger."""
    key, marks = store.marks(target) if target.exists() else (None, {})
    ledger = ErasureLedger(settings.data_dir / LEDGER_FILE, lambda: key)
    theirs = ErasureLedger(folder / LEDGER_FILE, lambda: key)
    key = key or ledger.made_with() or theirs.made_with()
    marks |= theirs.read()
    if marks:
        ledger.add(marks)
    return len(ledger.read())


def restored(config: Config = CONFIG, mappings: Mappings = MAPPINGS) -> None:
    """After a database was restored by its own means: far ends are asked before anything is sent.

    With every daemon stopped. `restore` does it for SQLite.
    """
    from gateway.store.schema import require

    settings = load_settings(config, mappings).settings
    url = settings.database.get_secret_value()
    require(url)
    print_message(_doubted(_doubt(url, datetime.now(UTC))))


def _backup_keys(settings: Settings, target: Path) -> list[Path]:
    """Copy the keys of requests, and the master key if it was made here; return the copies."""
    keys, own = keys_path(settings), master_file(settings)
    if keys is None or not keys.is_file():
        return []
    with writing(target):
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
        store.copy_keys(keys, target)
        if own is None or not own.is_file():
            return [target]
        copy = target.with_name(own.name)
        if not copy.exists():
            _copied(own, copy)
    return [target, copy]


def _restore_keys(settings: Settings, source: Path) -> None:
    keys, own = keys_path(settings), master_file(settings)
    for place in (keys, own):
        copy = source if place == keys else source.with_name(MASTER_FILE)
        if place is not None and copy.is_file() and not place.exists():
            _copied(copy, place)


def _doubted(count: int) -> Message:
    if not count:
        return say("doubted_none")
    return say("doubted", deliveries=counted("deliveries", count))


def _doubt(url: str, now: datetime) -> int:
    engine = open_database_engine(url)
    try:
        with engine.begin() as connection:
            return store.doubt(connection, now)
    finally:
        engine.dispose()


def _sqlite(settings: Settings, otherwise: Message) -> Path:
    """Return the path of the database. Raises GatewayError for a database that is not a file."""
    url = settings.database.get_secret_value()
    if not url.startswith("sqlite:///"):
        raise GatewayError(say("is_postgresql", otherwise=otherwise))
    return Path(url.removeprefix("sqlite:///"))


def _copied(source: Path, target: Path) -> None:
    """Copy a small file completely to the disk, readable by its owner only."""
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
