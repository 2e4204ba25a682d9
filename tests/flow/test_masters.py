"""Keys of periods: made once, learned by all, and no request waits for the key service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.catalogue.catalogue import SealingKeys
from gateway.core.errors import Unavailable
from gateway.core.sealing import MasterKey, Place, RemoteMaster
from gateway.flow.environment import Environment
from gateway.flow.masters import GRACE, LASTS, KeptSealer, keeper_of
from gateway.ops.keys_part import vault_part
from gateway.ops.shapes import Overall
from gateway.store.keys import DatabaseKeys
from gateway.wire.network import Network
from gateway.wire.vault import Vault, VaultFailure, VaultFault
from tests.sealing import master
from tests.vault import ROOT, SimulatedVault, Token, TransitKey, running

GRU = RemoteMaster("transit", "gru")
PLACE = Place("event", "body", "1", "1")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with running() as one:
        yield one


class Processes:
    """Processes over one file of keys, with one clock."""

    def __init__(self, folder: Path, vault: SimulatedVault) -> None:
        self.url = f"sqlite:///{folder / 'keys.db'}"
        self.vault, self.clock = vault, Clock()

    def sealing(self, *masters: MasterKey | RemoteMaster) -> SealingKeys:
        vault = Vault(self.vault.address, token=ROOT, timeout=2, network=Network(private=True))
        return SealingKeys(masters or (GRU,), None, ("gateway.yaml", 1), vault)

    def one(self, *masters: MasterKey | RemoteMaster) -> KeptSealer:
        environment = Environment(now=self.clock)
        return KeptSealer(DatabaseKeys(self.url), self.sealing(*masters), environment)


@pytest.fixture
def processes(tmp_path: Path, vault: SimulatedVault) -> Processes:
    return Processes(tmp_path, vault)


async def test_requests_need_no_call_and_a_restart_one(
    processes: Processes, vault: SimulatedVault
) -> None:
    first = processes.one()
    await first.keeper.refresh(make=True)
    calls = len(vault.calls)
    key = first.new_key()
    sealed = first.seal(key, PLACE, "Bonjour")
    vault.sealed = True
    for _ in range(200):
        first.new_key()
    assert first.unseal(PLACE, sealed) == "Bonjour"
    assert len(vault.calls) == calls
    with pytest.raises(VaultFailure) as failed:
        await first.keeper.refresh(make=True)
    assert failed.value.fault is VaultFault.SEALED
    assert first.keeper.state.failing_since == processes.clock()
    first.new_key()

    again = processes.one()
    with pytest.raises(VaultFailure):
        await again.keeper.refresh(make=False)
    with pytest.raises(Unavailable, match="sealed"):
        again.new_key()
    with pytest.raises(Unavailable, match="sealed"):
        again.unseal(PLACE, sealed)
    vault.sealed = False
    await again.keeper.refresh(make=False)
    assert again.unseal(PLACE, sealed) == "Bonjour"
    assert again.new_key()


async def test_a_new_period_wraps_once_others_had_the_time_to_learn_it(
    processes: Processes,
) -> None:
    one, other = processes.one(), processes.one()
    await one.keeper.refresh(make=True)
    await other.keeper.refresh(make=True)
    assert one.masters == other.masters
    (old,) = one.masters
    processes.clock.now += LASTS
    await one.keeper.refresh(make=True)
    assert one.masters[0] == old, "the other does not know the new one yet"
    await other.keeper.refresh(make=True)
    assert len(other.masters) == 2, "one new key is enough"
    processes.clock.now += GRACE
    await one.keeper.refresh(make=True)
    sealed = one.seal(one.new_key(), PLACE, "Bonjour")
    assert one.masters[1] == old
    assert other.unseal(PLACE, sealed) == "Bonjour"


async def test_health_tells_of_it_and_warns_before_our_token_ends(
    processes: Processes, vault: SimulatedVault
) -> None:
    keeper = processes.one().keeper

    async def seen() -> tuple[Overall, str | None]:
        await keeper.refresh_or_log()
        part = vault_part(keeper, processes.clock())
        assert part is not None
        return part.state, part.failure

    assert await seen() == (Overall.OK, None)
    vault.sealed = True
    assert await seen() == (Overall.DEGRADED, "sealed")
    vault.sealed = False
    vault.tokens[ROOT] = Token(6 * 86400, renewable=True, key="*")
    assert await seen() == (Overall.OK, None)
    vault.tokens[ROOT] = Token(6 * 86400, key="*")
    assert await seen() == (Overall.DEGRADED, None)
    assert vault_part(processes.one(master()).keeper, processes.clock()) is None


async def test_a_wrong_answer_opens_and_wraps_nothing(
    processes: Processes, vault: SimulatedVault
) -> None:
    one = processes.one()
    await one.keeper.refresh(make=True)
    sealed = one.seal(one.new_key(), PLACE, "Bonjour")
    vault.lies = True
    again = processes.one()
    with pytest.raises(VaultFailure) as failed:
        await again.keeper.refresh(make=True)
    assert failed.value.fault is VaultFault.BAD_ANSWER
    with pytest.raises(Unavailable):
        again.seal(again.new_key(), PLACE, "Bonsoir")
    with pytest.raises(Unavailable):
        again.unseal(PLACE, sealed)
    assert len(again.keys.periods()) == 1


async def test_a_local_master_behind_a_remote_one_does_not_wrap_in_its_place(
    processes: Processes, vault: SimulatedVault
) -> None:
    vault.sealed = True
    one = processes.one(GRU, master())
    with pytest.raises(VaultFailure):
        await one.keeper.refresh(make=True)
    with pytest.raises(Unavailable):
        one.new_key()
    assert not one.keys.exists


async def test_secrets_that_are_read_anew_keep_what_works_where_the_new_does_not(
    processes: Processes, vault: SimulatedVault
) -> None:
    one = processes.one(master())
    keeper = keeper_of(one)
    assert keeper is not None
    vault.sealed = True
    assert not await keeper.follow(processes.sealing(GRU, master()))
    assert one.masters == (master(),)
    assert one.new_key()
    vault.sealed = False
    assert await keeper.follow(processes.sealing(GRU, master()))
    assert [m.period != "" for m in one.masters] == [True, False]
    # A token that is refused: what is held goes on, and is told.
    former = keeper.sealing
    assert former.vault is not None
    await keeper.follow(replace(former, vault=replace(former.vault, token="bad")))
    assert keeper.state.failure is not None
    assert keeper.state.failure.fault is VaultFault.TOKEN
    assert one.new_key()


async def test_a_period_is_dropped_once_it_wraps_nothing_and_never_before(
    processes: Processes, vault: SimulatedVault
) -> None:
    one = processes.one()
    await one.keeper.refresh(make=True)
    sealed = one.seal(one.new_key(), PLACE, "Bonjour")
    old = one.masters[0]
    processes.clock.now += timedelta(seconds=1)
    await one.keeper.renew()
    processes.clock.now += timedelta(hours=1)
    await one.keeper.refresh(make=True)
    assert await one.keeper.tidy() == 0, "keys are under the old one"
    after = ""
    while (done := one.rewrap(after, 50)) is not None:
        after = done.last
    late = processes.one()  # a process that still wraps by the old one
    late.masters = (old,)
    vault.keys["gru"].versions[2] = bytes(range(32))
    assert await one.keeper.tidy() == 1
    with pytest.raises(Unavailable):
        late.new_key()
    (row,) = one.keys.periods()
    assert row.wrapped.startswith(b"vault:v2:")
    # The version that wrapped the old one may go: no copy of the keys of before opens any more.
    vault.keys["gru"].oldest = 2
    again = processes.one()
    await again.keeper.refresh(make=False)
    assert again.unseal(PLACE, sealed) == "Bonjour"


async def test_a_period_that_nobody_needs_stops_nothing(
    processes: Processes, vault: SimulatedVault
) -> None:
    one = processes.one()
    await one.keeper.refresh(make=True)
    vault.keys["gru"] = TransitKey()
    again = processes.one()
    await again.keeper.refresh(make=False)  # nothing is under what does not open any more
    one.new_key()
    with pytest.raises(VaultFailure) as failed:
        await processes.one().keeper.refresh(make=False)
    assert failed.value.fault is VaultFault.NOT_OPENED
