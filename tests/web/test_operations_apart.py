"""`/ops` on a port of its own, and behind a token."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import OpsSettings
from gateway.cli import health
from gateway.core.errors import ConfigurationFault
from gateway.web.application import operations
from gateway.web.serving import OpsConnection, listening, serving_http
from tests.web.harness import BASE, ENVIRON, Gateway, MemoAdapter, OtherAdapter, bundle, gateway

TOKEN = "jeton-de-supervision-de-32-signes"
NEXT = "jeton-suivant-de-supervision-32-s"
ASKED: tuple[str, ...] = ("/ops/health", "/ops/metrics", "/ops/incidents", "/ops/communes/69029")
ASKED += ("/ops/requests/TDG-0000000000000000/why",)
PROBES = ("/ops/live", "/ops/ready")


def configured(data_dir: Path, ops: str) -> dict[str, str]:
    files = bundle(data_dir)
    files["config/gateway.yaml"] += f"ops: {ops}\n"
    return files


@asynccontextmanager
async def apart(folder: Path, template: Path, ops: str) -> AsyncIterator[Gateway]:
    environ = {**ENVIRON, "OPS_TOKEN": TOKEN}
    files = configured(folder, ops)
    async with gateway(folder, template, files=files, environ=environ) as gw:
        yield gw


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_with_a_token_all_but_probes_ask_for_it(tmp_path: Path, template: Path) -> None:
    async with apart(tmp_path, template, "{token: env:OPS_TOKEN}") as gw:
        for path in PROBES:
            assert (await gw.client.get(path)).status_code == 200
        for path in ASKED:
            for wrong in ({}, bearer("faux"), bearer(TOKEN + "x"), {"Authorization": TOKEN}):
                refused = await gw.client.get(path, headers=wrong)
                assert refused.status_code == 401, path
                assert refused.headers["WWW-Authenticate"] == 'Bearer realm="ops"'
                assert TOKEN not in refused.text
            assert (await gw.client.get(path, headers=bearer(TOKEN))).status_code in (200, 404)
        # A scraper without a token is no attack; one that tries tokens is.
        assert gw.engine.refusals.counts == {"refused_sign_ins": 2 * len(ASKED)}
        scraped = (await gw.client.get("/ops/metrics", headers=bearer(TOKEN))).text
        counted = (
            'gru_gateway_http_answers_total{method="GET",route="/ops/health",status="401"} 4.0'
        )
        assert counted in scraped


async def test_a_token_is_replaced_while_it_runs(tmp_path: Path, template: Path) -> None:
    async with apart(tmp_path, template, "{token: env:OPS_TOKEN}") as gw:
        running = gw.engine.catalogue
        ops = OpsSettings(None, (SecretStr(NEXT), SecretStr(TOKEN)))
        settings = dataclasses.replace(running.settings, ops=ops)
        assert await gw.engine.prove(dataclasses.replace(running, settings=settings)) == ["ops"]
        for token in (TOKEN, NEXT):
            assert (await gw.client.get(ASKED[0], headers=bearer(token))).status_code == 200


async def test_on_its_own_port_the_other_has_none(tmp_path: Path, template: Path) -> None:
    ops = "{listen: {port: 9100}, token: env:OPS_TOKEN}"
    async with apart(tmp_path, template, ops) as gw:
        assert gw.engine.catalogue.settings.ops.listen == ("127.0.0.1", 9100)
        for path in (*PROBES, *ASKED):
            here = await gw.client.get(path, headers=bearer(TOKEN))
            assert here.status_code == 404, path
        assert "/ops/" not in (await gw.client.get("/contract/v1/openapi.json")).text
        own = operations(gw.engine, gw.condition, gw.app.state.web.metrics)
        transport = httpx.ASGITransport(own)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            for path in PROBES:
                assert (await client.get(path)).status_code == 200
            assert (await client.get("/ops/metrics")).status_code == 401
            assert (await client.get("/ops/metrics", headers=bearer(TOKEN))).status_code == 200
            for path in ("/contract/v1/openapi.json", "/console", "/portal/v1/x", "/openapi.json"):
                assert (await client.get(path, headers=bearer(TOKEN))).status_code == 404
            gw.condition.ready = False
            assert (await client.get("/ops/ready")).status_code == 503


async def test_health_finds_port_and_token_by_itself(tmp_path: Path, template: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n", "utf-8")
    ops = f"{{listen: {{port: PORT}}, token: file:{tmp_path}/token}}"
    async with apart(tmp_path, template, "{token: env:OPS_TOKEN}") as gw:
        own = operations(gw.engine, gw.condition, gw.app.state.web.metrics)
        with listening("127.0.0.1", 0) as listener:
            async with serving_http(own, listener, OpsConnection) as port:
                text = f"listen: {{port: 9}}\nops: {ops.replace('PORT', str(port))}\n"
                (tmp_path / "gateway.yaml").write_text(text, "utf-8")
                config = ["health", "--strict", "--config", str(tmp_path)]
                told = await asyncio.to_thread(CliRunner().invoke, health.app, config)
                assert "ready, " in told.stdout
                assert "token" not in told.stdout
                (tmp_path / "token").unlink()
                told = await asyncio.to_thread(CliRunner().invoke, health.app, config)
                assert told.exit_code == 1
                assert "its health wants a token" in told.stdout


@pytest.mark.parametrize(
    ("ops", "word"),
    [
        ("{listen: {host: 127.0.0.1, port: 8700}}", "that of `listen`"),
        ("{listen: {host: 0.0.0.0, port: 8700}}", "that of `listen`"),
        ("{token: env:SHORT}", "at least 32 characters"),
        ("{token: jeton-en-clair-de-plus-de-32-signes}", ""),
        ("{port: 9100}", ""),
    ],
)
def test_what_cannot_be_is_told_at_its_line(tmp_path: Path, ops: str, word: str) -> None:
    files = configured(tmp_path, ops)
    line = files["config/gateway.yaml"].count("\n")
    adapters = {"memo": MemoAdapter, "other": OtherAdapter}
    with pytest.raises(ConfigurationFault) as raised:
        build(files, environ={**ENVIRON, "SHORT": "court"}, adapters=adapters)
    assert [(one.file, one.line) for one in raised.value.faults] == [("config/gateway.yaml", line)]
    assert word in raised.value.faults[0].what
    assert "jeton-en-clair" not in str(raised.value.faults[0])
