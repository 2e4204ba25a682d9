"""Strangers' calls are counted, and logged once a minute for each kind; proven ones at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import EventDict

from gateway import telemetry
from gateway.web.connection import refused
from tests.web.harness import Gateway, small
from tests.web.test_connection import Patient, listening
from tests.web.test_events import HOOK, TOKEN
from tests.web.test_senders import BRON

MANY = 30


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def _called(gw: Gateway) -> None:
    """Each kind of a stranger's call, as often as the rest."""
    for _ in range(MANY):
        assert (await gw.client.post(HOOK, content=b"{}")).status_code == 401
        assert (await gw.client.post(BRON, json=small())).status_code == 401
        assert (await gw.client.post(gw.signed(BRON, key="x"), json=small())).status_code == 403
        assert (await gw.client.get("/wp-login.php")).status_code == 404


async def test_a_kind_is_told_once_and_then_by_its_count(
    gw: Gateway, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: 15,800 calls in 20 s wrote 31,600 lines."""
    monkeypatch.setattr(telemetry, "MINUTE", 3600.0)
    await _called(gw)
    told = Counter((line["event"], line.get("status"), line.get("code")) for line in logs)
    assert told == {
        ("webhook.refused", None, None): 1,
        ("http.answered", 401, "bad_signature"): 1,
        ("http.answered", 401, "no_credentials"): 1,
        ("http.answered", 403, "wrong_signature"): 1,
        ("http.answered", 404, "not_found"): 1,
    }
    metrics = (await gw.client.get("/ops/metrics")).text
    hook = 'method="POST",route="/gru/v1/communes/{insee}/webhooks/{adapter}",status="401"'
    assert f"gru_gateway_http_answers_total{{{hook}}} {float(MANY)}" in metrics


async def test_the_rest_are_told_when_the_minute_is_over(
    gw: Gateway, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MINUTE", 0.0)
    for _ in range(2):
        telemetry.sparingly(structlog.get_logger().info, "x.told", kind="a")
    telemetry.sparingly(structlog.get_logger().info, "x.told", kind="b")
    async with asyncio.timeout(60):
        while sum("more" in line for line in logs) < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [(line["kind"], line.get("more")) for line in logs] == [
        ("a", None),
        ("b", None),
        ("a", 1),
    ]


async def test_who_is_proven_is_told_of_each_time(gw: Gateway, logs: list[EventDict]) -> None:
    for ref in range(3):
        assert (await gw.push(small(str(ref)))).status_code == 201
        assert (await gw.client.post(HOOK, content=b"?", headers=TOKEN)).status_code == 400
    statuses = [line["status"] for line in logs if line["event"] == "http.answered"]
    assert statuses == [201, 400] * 3


async def test_connections_that_are_refused_are_counted_together(logs: list[EventDict]) -> None:
    before = refused["head_bytes"]
    async with listening(Patient) as port:
        for _ in range(MANY):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /" + b"x" * 5_000)
            assert (await reader.read()).startswith(b"HTTP/1.1 431")
            writer.close()
    assert refused["head_bytes"] == before + MANY
    assert [line["bound"] for line in logs] == ["head_bytes"]
