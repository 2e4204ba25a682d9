"""The daily sign of life of a commune that is pushed to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.ops.why import causes_of
from tests.web.harness import Gateway
from tests.web.pivot_town import SIGNING, URL, filed, pivot_town

LANE = "gru:69029:desk"


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with pivot_town(tmp_path, template) as found:
        yield found


async def timer(gw: Gateway) -> dict[str, object]:
    await gw.engine.heartbeats.ask()
    timers = (await gw.client.get("/ops/health")).json()["timers"]
    assert "heartbeat:gru:69266:desk" not in timers, "who fetches is not called"
    found: dict[str, object] = timers[f"heartbeat:{LANE}"]
    return found


async def test_each_day_a_signed_ping_and_after_a_failure_each_hour(gw: Gateway) -> None:
    calls: list[httpx.Request] = []
    answers = [httpx.Response(204), httpx.Response(500), httpx.Response(200)]

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return answers[len(calls) - 1]

    gw.portal.get(URL).mock(side_effect=answer)
    assert (await timer(gw))["failure"] is None
    (ping,) = calls
    assert ping.headers["webhook-id"].startswith("ping-")
    assert ping.headers["webhook-signature"].startswith("v1,")
    assert (ping.content, SIGNING in str(ping.headers)) == (b"", False)
    gw.advance(hours=23)
    assert (await timer(gw))["state"] == "ok"
    assert len(calls) == 1
    gw.advance(hours=1)
    told = await timer(gw)
    assert (told["state"], told["failure"], len(calls)) == ("degraded", "far_end_error", 2)
    gw.advance(minutes=59)
    await timer(gw)
    assert len(calls) == 2
    gw.advance(minutes=1)
    assert ((await timer(gw))["state"], len(calls)) == ("ok", 3)


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "access_denied"), (404, "not_there"), (302, "redirected")]
)
async def test_a_ping_without_a_good_answer_is_told_to_who_asks_why(
    gw: Gateway, status: int, reason: str
) -> None:
    reference = await filed(gw)
    gw.portal.get(URL).mock(return_value=httpx.Response(status))
    assert (await timer(gw))["failure"] == reason
    causes = await causes_of(gw.database, gw.engine.catalogue, reference, gw.clock[0])
    (cause,) = [one for one in causes if one.code == "no_heartbeat"]
    assert cause.since == gw.clock[0]
    assert "daily ping" in cause.text
    gw.portal.get(URL).mock(return_value=httpx.Response(200))
    gw.advance(hours=1)
    await gw.engine.heartbeats.ask()
    causes = await causes_of(gw.database, gw.engine.catalogue, reference, gw.clock[0])
    assert [one.code for one in causes if one.code == "no_heartbeat"] == []


async def test_an_adapter_that_raises_stops_no_other(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("Zoé")

    monkeypatch.setattr(gw.engine.adapters[LANE], "ping", broken)
    assert (await timer(gw))["failure"] == "bug"
