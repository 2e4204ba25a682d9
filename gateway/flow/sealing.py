"""The keys of a configuration: opened, checked against the database, wrapped anew.

Without `sealing` in gateway.yaml the master key is a file of the data directory, made at the first
start. It protects a copy of the database, not the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.catalogue.catalogue import Settings
from gateway.core.errors import ConfigurationFault, Fault, GatewayError
from gateway.core.messages import Message
from gateway.core.sealing import MasterKey, read_masters
from gateway.core.system_errors import system_error
from gateway.flow.environment import Environment
from gateway.flow.key_file import make_key_file
from gateway.flow.masters import KeptSealer, MasterKeeper, keeper_of
from gateway.flow.texts import say
from gateway.store import accounts, installation, resealing, sealed
from gateway.store.engine import Store
from gateway.store.keys import DatabaseKeys
from gateway.store.sealer import Sealer
from gateway.wire.vault import VaultFailure

log = structlog.get_logger()

MASTER_FILE = "sealing.key"
KEYS_FILE = "keys.db"
#: Keys wrapped anew by one transaction; requests of before that one transaction seals; and seconds
#: between two of the latter.
_KEYS_AT_ONCE = 500
_AT_ONCE = 20
_ACCOUNTS_AT_ONCE = 500
_PAUSE = 0.05


def open_sealer(settings: Settings, *, strict: bool = True) -> Sealer:
    """Return the Sealer of a configuration; nothing is written. A key service is asked for its
    part, so that this must not be called where a loop runs. Not `strict`: what it does not give is
    missed once it is needed.

    Raises ConfigurationFault when a master key is missing or wrong, GatewayError where none is
    configured, VaultFailure when the key service will do it later.
    """
    keys = DatabaseKeys(keys_url(settings))
    try:
        sealer = _sealer(keys, settings)
        keeper = keeper_of(sealer)
        if keeper is not None and not _learned(keeper, settings, strict):
            return sealer
        unknown = sealer.unknown_masters()
        if unknown and not sealer.masters:
            place = str(settings.data_dir / MASTER_FILE)
            raise _fault(settings, say("master_missing", place=place))
        if unknown:
            said = say("masters_wrong", count=sum(unknown.values()), ids=tuple(unknown))
            raise _fault(settings, said)
    except BaseException:
        keys.close()
        raise
    return sealer


def _sealer(keys: DatabaseKeys, settings: Settings) -> Sealer:
    if settings.sealing is None:
        return Sealer(keys, _masters(settings))
    return KeptSealer(keys, settings.sealing, Environment())


def _learned(keeper: MasterKeeper, settings: Settings, strict: bool) -> bool:
    """Has the key service given its part?"""
    if keeper.sealing.vault is None:
        return True
    try:
        asyncio.run(keeper.refresh(make=False))
    except VaultFailure as error:
        if strict and error.passing:
            raise
        if strict:
            raise _fault(settings, error.said) from None
        return False
    return True


def has_keys(url: str) -> bool:
    """Did a daemon seal this database? Raises BadAddress, Unavailable."""
    return sealed.is_bound(url)


async def bind(store: Store, settings: Settings) -> None:
    """Check that the keys are those of the database, at a start; a new database gets its own.
    Raises as `open_sealer`, and writes nothing then."""
    sealer = store.sealer
    if sealer is None:
        return
    place = str(keys_path(settings) or "sealing.keys")
    said = await store.read(sealed.check_keys, place)
    if said is not None:
        raise _fault(settings, said)
    made = master_file(settings)
    if made is not None and not sealer.masters:
        make_key_file(made)
        sealer.masters = _masters(settings)
    if made is not None:
        log.warning("sealing.own_master", place=str(made))
    keeper = keeper_of(sealer)
    if keeper is not None:
        try:
            await keeper.refresh(make=True)
        except VaultFailure as error:
            raise _fault(settings, error.said) from None
    await store.write(sealed.bind_keys)
    await hash_accounts(store)


async def hash_accounts(store: Store) -> int:
    """Hash the accounts that were stored in clear before; return the number of requests. It may be
    stopped anywhere, and goes on at the next start: a start waits for it, since an account that is
    looked for has one name. Raises Unavailable."""
    done = 0
    while (count := await store.write(accounts.hash_some, _ACCOUNTS_AT_ONCE)) is not None:
        done += count
    if done:
        log.info("sealing.accounts_hashed", requests=done)
    return done


def keys_url(settings: Settings) -> str:
    """Return the address of the database of wrapped keys."""
    if settings.sealing is not None and settings.sealing.keys is not None:
        return settings.sealing.keys.get_secret_value()
    database = settings.database.get_secret_value()
    return f"sqlite:///{settings.data_dir / KEYS_FILE}" if _is_sqlite(database) else database


def keys_path(settings: Settings) -> Path | None:
    """Return the file of wrapped keys; None where they are in PostgreSQL."""
    url = keys_url(settings)
    return Path(url.removeprefix("sqlite:///")) if _is_sqlite(url) else None


def master_file(settings: Settings) -> Path | None:
    """Return the file of the master key that was made here; None where one is configured."""
    return None if settings.sealing is not None else settings.data_dir / MASTER_FILE


@dataclass(frozen=True, slots=True)
class MasterUse:
    """A master key, by its id: how many keys it wraps, and whether it is given, and the first."""

    id: str
    keys: int
    given: bool
    first: bool
    #: The name of the key that wraps it, where that is a key of a Vault.
    period: str = ""


def masters_in_use(store: Store) -> list[MasterUse]:
    """List the master keys that are given or needed, the given ones first. Raises Unavailable."""
    sealer = store.sealer
    if sealer is None:
        return []
    counts = sealer.keys.count_by_master()
    given = {master.id: master.period for master in sealer.masters}
    first = "" if sealer.missing is not None else next(iter(given), "")
    return [
        MasterUse(one, counts.get(one, 0), one in given, one == first, given.get(one, ""))
        for one in [*given, *sorted(counts.keys() - given.keys())]
    ]


@dataclass(frozen=True, slots=True)
class Rotation:
    """The number of keys that were wrapped anew, and of those that do not open and stay."""

    keys: int
    damaged: int


def rotate(store: Store, environment: Environment, progress: Callable[[int], None]) -> Rotation:
    """Wrap every key by the first master key, some at a time. It may be stopped anywhere and run
    again, while daemons work. `progress` is told how many are done. Raises Unavailable."""
    done, damaged, after, sealer = 0, 0, "", store.sealer
    while sealer is not None and (batch := sealer.rewrap(after, _KEYS_AT_ONCE)) is not None:
        done, damaged, after = done + batch.keys, damaged + batch.damaged, batch.last
        progress(done)
        environment.crash("keys.rewrapped")
    return Rotation(done, damaged)


async def seal_what_was_before(store: Store, environment: Environment) -> int:
    """Seal what was stored before the sealing; return the number of requests. It may be stopped
    anywhere, and goes on at the next start."""
    done = 0
    while count := await store.write(resealing.seal_some, _AT_ONCE, environment.now()):
        done += count
        await asyncio.sleep(_PAUSE)
        environment.crash("sealing.sealed")
    if store.sealer is not None and not await store.read(installation.is_wiped):
        while not await store.clean():
            await environment.sleep(1)
        await store.write(installation.note_wiped)
    if done:
        log.info("sealing.done", requests=done)
    return done


@dataclass(frozen=True, slots=True)
class SealedRequests:
    """The number of requests that are sealed, of those whose key is `lost`, and of those that are
    in clear yet."""

    sealed: int
    lost: int
    in_clear: int


async def inspect(store: Store) -> SealedRequests:
    """Open the key of every request. Raises Unavailable."""
    found = lost = 0
    after = ""
    while keys := await store.read(resealing.keys_after, after, _KEYS_AT_ONCE):
        after = keys[-1][0]
        found += len(keys)
        lost += await store.read(sealed.count_lost, [key_id for _, key_id in keys])
    return SealedRequests(found, lost, await store.read(resealing.count_in_clear))


def _masters(settings: Settings) -> tuple[MasterKey, ...]:
    path = settings.data_dir / MASTER_FILE
    try:
        return read_masters(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        why = system_error(error) if isinstance(error, OSError) else type(error).__name__
        raise GatewayError(say("master_unread", place=str(path), error=why)) from None


def _fault(settings: Settings, said: Message) -> GatewayError:
    if settings.sealing is None:
        return GatewayError(said)
    return ConfigurationFault([Fault(*settings.sealing.at, said)])


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")
