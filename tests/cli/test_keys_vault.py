"""`keys`, `check` and the start with a master key that never leaves a Vault."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway import app
from gateway.cli.check_own import check_sealing
from gateway.cli.setting import load_settings
from gateway.store import requests
from tests.cli.conftest import MAPPINGS, Home
from tests.cli.test_keys import files, kept, opened
from tests.cli.test_keys_killed import killed
from tests.sealing import master
from tests.store.acts import accept
from tests.vault import ROOT, SimulatedVault, Token, TransitKey, running

__all__ = ["kept"]


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with running() as one:
        yield one


def use(home: Home, vault: SimulatedVault, *masters: str) -> None:
    """Have gateway.yaml name these master keys, and the Vault."""
    (home.folder / "token").write_text(ROOT)
    named = [one if ":" in one else f"file:{home.folder}/{one}" for one in masters]
    for one in masters:
        if ":" not in one:
            (home.folder / one).write_text(master(one).secret.hex())
    listed = ", ".join(f'"{one}"' for one in named)
    block = f"sealing: {{masters: [{listed}]"
    if any(one.startswith("vault:") for one in named):
        block += f', vault: {{url: "{vault.address}", token: "file:{home.folder}/token"}}'
    text = (home.config / "gateway.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("sealing:")]
    at = next(n for n, line in enumerate(lines) if line.startswith("data_dir:"))
    (home.config / "gateway.yaml").write_text("\n".join([*lines[:at], f"{block}}}", *lines[at:]]))


def masters_of(home: Home) -> dict[str, int]:
    told = home.run("keys", "list", "--json")
    assert told.exit_code == 0, told.output
    return {one["id"]: one["keys"] for one in json.loads(told.stdout)}


def test_keys_go_into_a_vault_and_out_of_it_and_a_killed_rotation_goes_on(
    home: Home, kept: Path, vault: SimulatedVault
) -> None:
    use(home, vault, "old")
    with opened(home) as database:
        first = asyncio.run(accept(database, ref="1"))
        assert database.sealer is not None
        database.sealer._made(600)  # noqa: SLF001 - as of so many requests
    use(home, vault, "vault:transit/gru", "old")
    told = home.run("keys", "rotate")
    assert told.exit_code != 0
    assert "secrets reload" in told.stderr
    with opened(home) as database:  # a daemon that starts makes the first key of a period
        second = asyncio.run(accept(database, ref="2"))
    killed(home, "keys", "rotate", at="keys.rewrapped")
    assert masters_of(home)[master("old").id], "it was not over"
    assert home.run("keys", "rotate").exit_code == 0
    use(home, vault, "vault:transit/gru")
    assert home.run("keys", "check").exit_code == 0
    (only,) = masters_of(home)
    assert only != master("old").id

    use(home, vault, "new", "vault:transit/gru")
    killed(home, "keys", "rotate", at="keys.rewrapped")
    assert home.run("keys", "rotate").exit_code == 0
    use(home, vault, "new")
    vault.sealed = True
    with opened(home) as database:
        for one in (first, second):
            assert asyncio.run(database.read(requests.event_body, one.event_id or ""))
    assert masters_of(home).keys() == {master("new").id}


def test_a_new_version_in_the_vault_closes_old_copies_of_the_keys(
    home: Home, kept: Path, vault: SimulatedVault
) -> None:
    use(home, vault, "vault:transit/gru")
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    copy = (kept.parent / "keys.db").read_bytes()
    vault.keys["gru"].versions[2] = bytes(range(32))
    assert home.run("keys", "rotate").exit_code == 0
    vault.keys["gru"].oldest = 2
    assert home.run("keys", "check").exit_code == 0
    told = home.run("keys", "renew", "--json")
    assert (told.exit_code, len(masters_of(home))) == (0, 2), told.output
    (kept.parent / "keys.db").write_bytes(copy)
    told = home.run("keys", "check")
    assert told.exit_code != 0
    assert "min_decryption_version" in told.stderr


@pytest.mark.parametrize("amiss", ["token", "denied", "no_key", "lies"])
def test_what_an_operator_must_mend_stops_the_start_at_its_line_and_nothing_is_written(
    home: Home, kept: Path, vault: SimulatedVault, amiss: str
) -> None:
    use(home, vault, "vault:transit/gru")
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    match amiss:
        case "token":
            (home.folder / "token").write_text("s.another")
        case "denied":
            vault.tokens[ROOT] = Token(acts=("encrypt",))
        case "no_key":
            vault.keys.clear()
        case _:
            vault.lies = True
    before = files(kept.parent)
    started = home.spawn("serve")
    assert started.returncode == 3, started.stderr
    assert "gateway.yaml:" in started.stderr
    # A command that needs no key does its work, and says what is amiss.
    told = home.run("request", "list")
    assert told.exit_code == 0, told.output
    assert told.stderr
    assert home.run("keys", "rotate").exit_code != 0
    lock = files(kept.parent)["gateway.lock"]
    assert files(kept.parent) == before | {"gateway.lock": lock}
    assert "s.another" not in started.stderr + told.stderr


async def test_a_start_waits_for_a_sealed_vault_and_has_callers_come_again(
    home: Home, vault: SimulatedVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "WAIT", 0.05)
    use(home, vault, "vault:transit/gru")
    vault.sealed = True
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = replace(load_settings(home.config, MAPPINGS).settings, port=port)
    opening = asyncio.create_task(app._open_sealer(settings, asyncio.Event()))  # noqa: SLF001
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                answer = await client.post(f"http://127.0.0.1:{port}/portal/v1/requests")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
        live = await client.get(f"http://127.0.0.1:{port}/ops/live")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["err"] == "unavailable"
    assert live.status_code == 200
    assert not opening.done()
    vault.sealed = False
    sealer = await opening
    assert sealer is not None
    assert not sealer.keys.exists, "nothing is written before the keys are known to fit"
    sealer.close()


def test_check_asks_it_and_warns(home: Home, vault: SimulatedVault) -> None:
    use(home, vault, "vault:transit/gru")
    catalogue = load_settings(home.config, MAPPINGS)

    def lines() -> list[tuple[str, str]]:
        found = asyncio.run(check_sealing(catalogue))
        return [(one.level, one.said.text.word) for one in found]

    assert lines()[0] == ("ok", "vault_wraps")
    assert not (catalogue.settings.data_dir / "keys.db").exists(), "looking makes none"
    vault.keys["gru"] = TransitKey(exportable=True, deletion_allowed=True)
    vault.tokens[ROOT] = Token(3600, key="*")
    words = [word for level, word in lines() if level == "warning"]
    assert words == ["vault_gives_out", "vault_deletes", "vault_token_ends"]
    vault.sealed = True
    assert lines() == [("fault", "sealed")]
