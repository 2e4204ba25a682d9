"""The key service: what is seen of the real one, and each failure told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.core.sealing import RemoteMaster
from gateway.wire.network import Network
from gateway.wire.vault import Vault, VaultClient, VaultFailure, VaultFault
from tests.vault import ROOT, SimulatedVault, Token, TransitKey, running
from tests.wire.vault_acts import SEEN, play, play_sealed

GRU = RemoteMaster("transit", "gru")
KEY = bytes(range(32))


def client(vault: SimulatedVault, **proof: str) -> VaultClient:
    given = Vault(vault.address, timeout=2, network=Network(private=True))
    proven = replace(given, **(proof or {"token": ROOT}))  # type: ignore[arg-type]
    return VaultClient(proven, lambda: datetime.now(UTC))


async def fault(one: VaultClient, master: RemoteMaster = GRU, wrapped: bytes = b"") -> VaultFault:
    async with one.opened():
        with pytest.raises(VaultFailure) as failed:
            await (one.unwrap(master, wrapped) if wrapped else one.wrap(master, KEY))
    return failed.value.fault


def test_the_simulated_one_answers_as_the_real_one_was_seen_to() -> None:
    ended = Token(3600, renewable=True)
    ended.since -= 3600
    tokens = {ROOT: Token(key="*"), "t": Token(3600, renewable=True), "ended": ended}
    with (
        running(SimulatedVault(tokens=tokens)) as vault,
        httpx.Client(base_url=f"{vault.address}/v1/", trust_env=False) as http,
    ):

        def call(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
            answer = http.request(method, path, json=body, headers={"X-Vault-Token": token})
            return answer.status_code, answer.json()

        seen = play(call, "t", "ended", ("role", vault.secret_id))
        vault.sealed = True
        seen |= play_sealed(call)
    assert seen == json.loads(SEEN.read_text())["seen"]


async def test_a_key_is_wrapped_by_approle_and_opens_again() -> None:
    with running() as vault:
        one = client(vault, role_id="role", secret_id=vault.secret_id)
        async with one.opened():
            wrapped = await one.wrap(GRU, KEY)
            assert await one.unwrap(GRU, wrapped) == KEY
        # Its token ends: another one is had.
        del vault.tokens[next(name for name in vault.tokens if name != ROOT)]
        async with one.opened():
            assert await one.unwrap(GRU, wrapped) == KEY
        assert vault.calls.count("auth/approle/login") == 2


def _away(vault: SimulatedVault) -> None:
    vault.address = "http://127.0.0.1:9"


def _sealed(vault: SimulatedVault) -> None:
    vault.sealed = True


def _busy(vault: SimulatedVault) -> None:
    vault.instead = 502, {}


def _ended(vault: SimulatedVault) -> None:
    del vault.tokens[ROOT]


def _denied(vault: SimulatedVault) -> None:
    vault.tokens[ROOT] = Token(acts=("decrypt", "keys"))


def _no_mount(vault: SimulatedVault) -> None:
    vault.mount = "elsewhere"


def _no_key(vault: SimulatedVault) -> None:
    vault.keys.clear()


def _signs(vault: SimulatedVault) -> None:
    vault.keys["gru"].signs = True


def _page(vault: SimulatedVault) -> None:
    vault.instead = 200, "<html>Bienvenue</html>"


def _other_json(vault: SimulatedVault) -> None:
    vault.instead = 200, {"data": {"ciphertext": 7}}


def _moved(vault: SimulatedVault) -> None:
    vault.instead = 307, {}


def _lies(vault: SimulatedVault) -> None:
    vault.lies = True


@pytest.mark.parametrize(
    ("amiss", "told", "passing"),
    [
        (_away, VaultFault.AWAY, True),
        (_sealed, VaultFault.SEALED, True),
        (_busy, VaultFault.AWAY, True),
        (_ended, VaultFault.TOKEN, False),
        (_denied, VaultFault.DENIED, False),
        (_no_mount, VaultFault.NO_MOUNT, False),
        (_no_key, VaultFault.NO_KEY, False),
        (_signs, VaultFault.NO_WRAPPER, False),
        (_page, VaultFault.BAD_ANSWER, False),
        (_other_json, VaultFault.BAD_ANSWER, False),
        (_moved, VaultFault.BAD_ANSWER, False),
        (_lies, VaultFault.BAD_ANSWER, False),
    ],
)
async def test_each_failure_is_told_apart_and_makes_no_key(
    amiss: Callable[[SimulatedVault], None], told: VaultFault, passing: bool
) -> None:
    with running() as vault:
        address = vault.address
        amiss(vault)
        one = client(vault)
        assert await fault(one) is told
        assert VaultFailure(told, **_ANY).passing is passing
        vault.address = address
    assert set(vault.keys) <= {"gru"}


_ANY = {"why": "", "what": "", "path": "", "mount": "", "key": "", "id": ""}


async def test_a_refused_login_an_old_version_and_another_key_of_the_name() -> None:
    with running() as vault:
        assert await fault(client(vault, role_id="r", secret_id="x")) is VaultFault.LOGIN
        one = client(vault)
        async with one.opened():
            wrapped = await one.wrap(GRU, KEY)
        vault.keys["gru"].versions[2] = bytes(range(32, 64))
        vault.keys["gru"].oldest = 2
        assert await fault(one, wrapped=wrapped) is VaultFault.TOO_OLD
        vault.keys["gru"] = TransitKey()
        assert await fault(one, wrapped=wrapped) is VaultFault.NOT_OPENED


@pytest.mark.parametrize(
    ("whole", "passed", "renewable", "lasting"),
    [(0, 0, False, True), (3600, 0, False, False), (3600, 3000, True, True), (3600, 9, True, True)],
)
async def test_a_token_is_renewed_or_its_end_is_told(
    whole: int, passed: int, renewable: bool, lasting: bool
) -> None:
    with running() as vault:
        token = vault.tokens["t"] = Token(whole, renewable)
        token.since -= passed
        one = client(vault, token="t")
        async with one.opened():
            facts = await one.token()
        assert (facts.lasting, facts.ends is None) == (lasting, not whole)
        assert ("auth/token/renew-self" in vault.calls) == (passed == 3000)
