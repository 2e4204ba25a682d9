"""Calls of a GRU that cannot sign: a secret in the address, and where the connection comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import respx
from pydantic import ValidationError

from adapters.rest import RestAdapter
from gateway.catalogue.build import build
from gateway.core.errors import ConfigurationFault
from gateway.sdk import Adapter, WebhookCall
from tests.adapters.rest_systems import adapter
from tests.adapters.test_rest_signing import BODY, SECRET, hooked
from tests.web.harness import ENVIRON, MemoAdapter, OtherAdapter, bundle

HERE = {"kind": "query", "name": "cle", "sources": ["192.0.2.0/28", "2001:db8::/48"]}
CALL = WebhookCall(
    "POST", {"content-type": "application/json"}, {"cle": SECRET}, BODY, peer="192.0.2.7"
)


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"peer": "2001:db8::7"}, True),
        ({"peer": "::ffff:192.0.2.7"}, True),
        ({"peer": "192.0.2.16"}, False),
        ({"peer": "127.0.0.1"}, False),
        ({"peer": None}, False),
        ({"peer": "/run/socket"}, False),
        ({"query": {}}, False),
        ({"headers": {"x-forwarded-for": "192.0.2.7"}}, False),
        ({"headers": {"Forwarded": "for=192.0.2.7"}}, False),
        ({"peer": "10.0.0.1", "headers": {"x-real-ip": "192.0.2.7"}}, False),
    ],
)
async def test_both_the_secret_and_the_connections_address_prove_a_call(
    router: respx.MockRouter, changes: dict[str, Any], taken: bool
) -> None:
    call = replace(CALL, **changes)
    async with adapter(hooked(HERE, items="[item]"), router) as rest:
        assert rest.proven(replace(call, body=b"")) is taken
        reason = getattr((await rest.webhook(call)).failure, "reason", None)
        assert (reason == "unproven") is not taken


@pytest.mark.parametrize(
    "network", ["127.0.0.1/32", "::1/128", "0.0.0.0/0", "10.0.0.0/7", "2001::/8", "192.0.2.7/24"]
)
def test_what_is_no_network_of_a_gru_is_refused(network: str) -> None:
    with pytest.raises(ValidationError):
        RestAdapter.Options.model_validate(hooked({**HERE, "sources": [network]}))


def test_behind_a_proxy_it_is_not_configured(tmp_path: Path) -> None:
    options = RestAdapter.Options.model_validate(hooked(HERE))
    assert options.misplaced("http://passerelle.interne.exemple.fr:8700") is None
    misplaced = options.misplaced("https://passerelle.exemple.fr")
    assert misplaced is not None
    assert misplaced.path == ("webhook", "verify", "sources")
    files = bundle(tmp_path)
    gru = {"adapter": "rest", "options": hooked({**HERE, "secret": "env:HOOK"})}
    bron = "config/communes/bron.yaml"
    files[bron] = files[bron].replace("gru:\n", f"gru:\n  autre: {json.dumps(gru)}\n", 1)
    adapters: dict[str, type[Adapter]] = {
        "memo": MemoAdapter,
        "other": OtherAdapter,
        "rest": RestAdapter,
    }
    with pytest.raises(ConfigurationFault) as raised:
        build(files, environ={**ENVIRON, "HOOK": SECRET}, adapters=adapters)
    (fault,) = raised.value.faults
    assert fault.file.endswith("bron.yaml")
    assert "derrière un relais" in fault.said.what("fr")
    without = RestAdapter.Options.model_validate(hooked({"kind": "query", "name": "cle"}))
    assert without.misplaced("https://passerelle.exemple.fr") is None
