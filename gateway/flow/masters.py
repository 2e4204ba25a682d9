"""The master keys of a process: those that are given, and those of periods.

A remote master (a key of a Vault) wraps one key a month, the key of a period, which is opened at
the start and held in memory: it wraps the keys of requests. So no request waits for the network,
and a Vault that is away later stops nothing. A new one wraps only once the other processes have had
the time to learn it.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.catalogue.catalogue import SealingKeys
from gateway.core.sealing import KEY, MasterKey, RemoteMaster, master_of
from gateway.flow.environment import Environment
from gateway.flow.texts import say
from gateway.store.keys import PERIOD, KeyStore, WrappedKey
from gateway.store.sealer import Sealer
from gateway.telemetry import sparingly
from gateway.wire.vault import (
    KeyFacts,
    TokenFacts,
    VaultClient,
    VaultFailure,
    VaultFault,
    version_of,
)

log = structlog.get_logger()

#: Seconds between two looks at the keys and at the key service.
REFRESH: Final = 30.0
LASTS: Final = timedelta(days=30)
#: The time that other processes have to learn a new one before it wraps: some looks.
GRACE: Final = timedelta(minutes=2)
_MADE: Final = "%Y%m%dT%H%M%SZ"


@dataclass(slots=True)
class RemoteState:
    """The key service, as this process last saw it. `failure` None: it did all that was asked."""

    failure: VaultFailure | None = None
    failing_since: datetime | None = None
    token: TokenFacts | None = None


class MasterKeeper:
    """Gives a Sealer its master keys, and keeps them up to date."""

    def __init__(self, sealer: Sealer, sealing: SealingKeys, environment: Environment) -> None:
        self.sealer = sealer
        self.sealing = sealing
        self.environment = environment
        self.state = RemoteState()
        #: By their names: the id of the remote master, and the key.
        self._known: dict[str, tuple[str, MasterKey]] = {}
        self._client = _client_of(sealing, environment)
        self._turn = asyncio.Lock()

    async def refresh(self, *, make: bool) -> None:
        """Learn the keys of periods; `make` one where none is, or when the last one's time is over.
        Raises VaultFailure; what was known stays in use. Raises Unavailable."""
        try:
            async with self._turn:
                await self._refresh(make)
        except VaultFailure as error:
            self.state.failure = error
            self.state.failing_since = self.state.failing_since or self.environment.now()
            self._give()
            raise
        self.state.failure = self.state.failing_since = None

    async def refresh_or_log(self) -> None:
        """Refresh, for a process that runs: a failure is logged, and shown by `state`."""
        try:
            await self.refresh(make=True)
        except VaultFailure as error:
            sparingly(log.warning, "sealing.vault", fault=error.fault.value, why=str(error))

    async def follow(self, sealing: SealingKeys) -> bool:
        """Use other master keys. Those in use stay where the new first one cannot be had. Have they
        changed?"""
        before, former = self.sealer.masters, self.sealing
        async with self._turn:
            self.sealing, self._client = sealing, _client_of(sealing, self.environment)
        await self.refresh_or_log()
        if self.sealer.missing is not None and former.masters != sealing.masters:
            log.error("sealing.refused", why=str(self.sealer.missing))
            self.sealing = former
            self._give()
        return self.sealer.masters != before

    async def renew(self) -> MasterKey:
        """Make a new key of a period now. Raises VaultFailure, Unavailable."""
        first = self.sealing.masters[0]
        if not isinstance(first, RemoteMaster) or self._client is None:
            raise VaultFailure(VaultFault.NO_KEY, mount="", key="")
        async with self._turn, self._client.opened():
            made = await self._make(first, self._client)
        self._give()
        return made

    async def tidy(self) -> int:
        """After a rotation: have the newest version of each remote key wrap what is in use, and
        destroy the keys of periods that wrap nothing. Return the number of the latter. Raises
        VaultFailure, Unavailable."""
        keys, dropped = self.sealer.keys, 0
        first = self.sealer.masters[0].period if self.sealer.masters else ""
        for row in await asyncio.to_thread(keys.periods):
            if row.id == first or self._is_fresh(row.id):
                continue
            dropped += await asyncio.to_thread(keys.drop_period, row.id, _master_id(row.id))
        await self._wrap_by_newest()
        if dropped:
            await asyncio.to_thread(keys.clean)
        return dropped

    async def inspect(self) -> list[tuple[RemoteMaster, KeyFacts]]:
        """Ask the key service all that is needed of it; nothing is stored. Raises VaultFailure."""
        found: list[tuple[RemoteMaster, KeyFacts]] = []
        if self._client is not None:
            async with self._turn, self._client.opened():
                for remote in self.sealing.remote:
                    await self._client.wrap(remote, secrets.token_bytes(KEY))
                    found.append((remote, await self._client.facts(remote)))
                self.state.token = await self._client.token()
        return found

    async def _refresh(self, make: bool) -> None:
        client = self._client
        if client is None:
            self._give()
            return
        async with client.opened():
            rows = await self._learn(client)
            first = self.sealing.masters[0]
            if make and isinstance(first, RemoteMaster) and self._is_due(first, rows):
                await self._make(first, client)
                rows = await self._learn(client)  # another process may have made one
            if rows or isinstance(first, RemoteMaster):
                self.state.token = await client.token()
        self._give()

    async def _learn(self, client: VaultClient) -> list[WrappedKey]:
        """Open the keys of periods that are not known yet, and forget those that are gone."""
        names = {remote.id: remote for remote in self.sealing.remote}
        rows = await asyncio.to_thread(self.sealer.keys.periods)
        rows = [row for row in rows if row.master in names]
        self._known = {row.id: self._known[row.id] for row in rows if row.id in self._known}
        used, failures = await asyncio.to_thread(self.sealer.keys.count_by_master), []
        for row in rows:
            if row.id in self._known:
                continue
            try:
                opened = await self._open(client, names[row.master], row)
            except VaultFailure as error:
                if error.passing or _master_id(row.id) in used:
                    failures.append(error)
                continue
            self._known[row.id] = row.master, opened
        if failures:
            raise failures[0]
        return rows

    async def _open(self, client: VaultClient, remote: RemoteMaster, row: WrappedKey) -> MasterKey:
        master = master_of(await client.unwrap(remote, row.wrapped), row.id)
        if len(master.secret) != KEY or master.id != _master_id(row.id):
            # Nothing is opened by a key that is not the one that was wrapped, and nothing sealed.
            raise VaultFailure(VaultFault.BAD_ANSWER, what=row.id)
        return master

    async def _make(self, remote: RemoteMaster, client: VaultClient) -> MasterKey:
        secret, now = secrets.token_bytes(KEY), self.environment.now().astimezone(UTC)
        period = f"{PERIOD}{now.strftime(_MADE)}:{master_of(secret).id}"
        row = WrappedKey(period, remote.id, await client.wrap(remote, secret))
        await asyncio.to_thread(self.sealer.keys.add, [row])
        log.info("sealing.period", master=remote.id, period=period)
        made = master_of(secret, period)
        self._known[period] = remote.id, made
        return made

    async def _wrap_by_newest(self) -> None:
        client, keys = self._client, self.sealer.keys
        if client is None:
            return
        rows = [row for row in await asyncio.to_thread(keys.periods) if row.id in self._known]
        async with self._turn, client.opened():
            for remote in self.sealing.remote:
                mine = [row for row in rows if row.master == remote.id]
                newest = (await client.facts(remote)).newest if mine else 0
                for row in mine:
                    if (version_of(row.wrapped) or 0) < newest:
                        anew = await client.wrap(remote, self._known[row.id][1].secret)
                        await asyncio.to_thread(keys.rewrap, [row], [row._replace(wrapped=anew)])

    def _give(self) -> None:
        """Give the Sealer its masters in their order."""
        masters: list[MasterKey] = []
        for one in self.sealing.masters:
            masters += [one] if isinstance(one, MasterKey) else self._periods(one)
        first, missing = self.sealing.masters[0], None
        if isinstance(first, RemoteMaster) and not self._periods(first):
            failure = self.state.failure
            missing = say("no_period", id=first.id) if failure is None else failure.said
        # Two values that threads read: wrapping is stopped first, and let go on last.
        self.sealer.missing = missing or self.sealer.missing
        self.sealer.masters = tuple(masters)
        self.sealer.missing = missing

    def _periods(self, remote: RemoteMaster) -> list[MasterKey]:
        """Return the known keys of periods of a remote master: the one that wraps, then others."""
        known = sorted(name for name, (whose, _) in self._known.items() if whose == remote.id)
        old = [name for name in known if not self._is_fresh(name)]
        fresh = [name for name in known if self._is_fresh(name)]
        return [self._known[name][1] for name in (*reversed(old), *fresh)]

    def _is_fresh(self, period: str) -> bool:
        return self.environment.now() < _made(period) + GRACE

    def _is_due(self, remote: RemoteMaster, rows: list[WrappedKey]) -> bool:
        made = [_made(row.id) for row in rows if row.master == remote.id]
        return not made or self.environment.now() >= max(made) + LASTS


class KeptSealer(Sealer):
    """A Sealer with the keeper of its masters."""

    def __init__(self, keys: KeyStore, sealing: SealingKeys, environment: Environment) -> None:
        super().__init__(keys, [one for one in sealing.masters if isinstance(one, MasterKey)])
        self.keeper = MasterKeeper(self, sealing, environment)


def keeper_of(sealer: Sealer | None) -> MasterKeeper | None:
    """Return who keeps the masters of a Sealer; None where they are made here."""
    return sealer.keeper if isinstance(sealer, KeptSealer) else None


def _client_of(sealing: SealingKeys, environment: Environment) -> VaultClient | None:
    return None if sealing.vault is None else VaultClient(sealing.vault, environment.now)


def _made(period: str) -> datetime:
    """Return the time at which the key of a period was made, from its name."""
    return datetime.strptime(period.split(":")[1], _MADE).replace(tzinfo=UTC)


def _master_id(period: str) -> str:
    return period.rpartition(":")[2]
