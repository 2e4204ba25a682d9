"""Probes, health per part, why, metrics."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from datetime import timedelta

import pytest

from gateway.core.breaker import Breaking
from gateway.core.incident import Symptom, SymptomWord
from gateway.ops import health as parts
from gateway.store import cursors
from gateway.store.outbox import backlog, lanes
from tests.web.harness import Gateway, small
from tests.web.test_events import at_work, until
from tests.web.test_senders import BRON

LANE = "gru:69029:main"


async def test_live_and_ready(gw: Gateway) -> None:
    assert (await gw.client.get("/ops/live")).json() == {"live": True}
    ready = await gw.client.get("/ops/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "database": True})
    gw.condition.ready = False
    stopping = await gw.client.get("/ops/ready")
    assert (stopping.status_code, stopping.json()["database"]) == (503, True)
    assert (await gw.client.get("/ops/health")).status_code == 503
    gw.condition.ready = True
    gw.database.close()
    gone = await gw.client.get("/ops/ready")
    assert (gone.status_code, gone.json()) == (503, {"ready": False, "database": False})
    assert (await gw.client.get("/ops/live")).status_code == 200
    health = await gw.client.get("/ops/health")
    assert health.status_code == 503
    assert health.json()["status"] == "down"
    assert health.json()["database"]["state"] == "down"
    assert health.json()["requests"] is None
    assert (await gw.client.get("/ops/communes/69029")).status_code == 503
    metrics = await gw.client.get("/ops/metrics")
    assert (metrics.status_code, metrics.json()["code"]) == (503, "unavailable")


async def test_a_database_that_is_only_read_is_not_ready(gw: Gateway) -> None:
    """A full disk, or one that does not sync, still answers what is asked."""
    url = gw.database.engine.url.database
    assert url is not None
    other = sqlite3.connect(url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # nobody else may write
    assert (await gw.client.get("/ops/ready")).status_code == 200  # nothing has failed so far
    gw.database.writable = False
    assert (await gw.client.get("/ops/ready")).status_code == 503
    other.execute("ROLLBACK")
    other.close()
    # A transaction that changes nothing writes nothing either: it proves nothing of the disk.
    await gw.database.write(lanes.recall)
    assert not gw.database.writable
    assert (await gw.client.get("/ops/ready")).status_code == 200
    assert gw.database.writable


async def test_a_database_in_trouble_is_not_ready(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the connections may still be kept: that is no reason to send us more."""
    monkeypatch.setattr(type(gw.database), "trouble", "refused")
    answer = await gw.client.get("/ops/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "database": False})
    assert (await gw.push(small())).status_code == 201
    monkeypatch.setattr(type(gw.database), "trouble", "hanging")
    hung = await gw.push(small())
    assert (hung.status_code, hung.headers["Retry-After"] > "") == (503, True)


async def test_without_room_for_a_request_it_is_not_ready(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage("/")._replace(free=gw.engine.limits.max_bytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    assert (await gw.client.get("/ops/ready")).status_code == 503


async def test_health_tells_each_part(gw: Gateway) -> None:
    assert (await gw.push(small())).status_code == 201
    gw.advance(seconds=42)
    health = (await gw.client.get("/ops/health")).json()
    assert health["database"] == {"state": "ok", "detail": ""}
    assert health["disk"]["free"] > 0
    assert health["requests"] == {"received": 1}
    assert health["lanes"][LANE] == {
        "state": "ok",
        "running": 0,
        "waiting": 1,
        "needs_person": 0,
        "oldest_waiting_seconds": 42.0,
        "reason": "",
        "probe_at": None,
        "says": "",
        "who": "",
        "rate": None,
        "estimated_end": None,
    }
    assert health["lanes"]["portal:toodego:69029"]["waiting"] == 0
    assert health["timers"][f"poll:{LANE}"]["state"] == "ok"
    assert "reconcile:toodego:voirie" in health["timers"]
    # Polls every minute that never ran are noticed.
    gw.advance(minutes=5)
    health = (await gw.client.get("/ops/health")).json()
    assert health["timers"][f"poll:{LANE}"] == {
        "state": "degraded",
        "every": 60.0,
        "last_run": None,
        "failure": None,
        "fault": None,
        "late": True,
        "says": "",
    }
    assert health["timers"]["reconcile:toodego:voirie"]["late"] is False
    assert health["status"] == "degraded"


async def test_a_failed_poll_shows(gw: Gateway) -> None:
    name, now = f"poll:{LANE}", gw.clock[0]
    await gw.engine.store.write(cursors.move, name, None, now, "unreachable")
    health = (await gw.client.get("/ops/health")).json()
    assert health["timers"][name]["failure"] == "unreachable"
    told = "the far end does not answer the call; restore the service"
    assert health["timers"][name]["says"] == told
    assert health["timers"][name]["state"] == "degraded"


@pytest.mark.parametrize(
    ("low", "full", "state"), [(0, 0, "ok"), (2**62, 0, "degraded"), (2**62, 2**62, "down")]
)
async def test_a_disk_that_fills_shows(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch, low: int, full: int, state: str
) -> None:
    monkeypatch.setattr(parts, "LOW", low)
    monkeypatch.setattr(parts, "FULL", full)
    health = await gw.client.get("/ops/health")
    assert health.json()["disk"]["state"] == state
    assert health.json()["status"] == state
    assert health.status_code == (503 if state == "down" else 200)


async def test_what_needs_a_person_shows(gw: Gateway) -> None:
    assert (await gw.push(small())).status_code == 201
    with gw.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE delivery SET state = 'parked', reason = 'unmappable'")
    health = (await gw.client.get("/ops/health")).json()
    lane = health["lanes"][LANE]
    assert (lane["waiting"], lane["needs_person"]) == (0, 1)
    assert health["status"] == "degraded"


async def test_every_state_of_a_lane_shows(gw: Gateway) -> None:
    async def state() -> tuple[str, str]:
        answer = await gw.client.get("/ops/communes/69029")
        body = answer.json()
        assert answer.status_code == 200
        assert set(body["lanes"]) == {
            LANE,
            "gru:69029:second",
            "gru:69029:third",
            "portal:toodego:69029",
        }
        return body["lanes"][LANE]["state"], body["status"]

    gw.engine.lanes.wake(LANE)
    lane = gw.engine.lanes.lane(LANE)
    assert lane is not None
    assert await state() == ("ok", "ok")
    lane.hold_until = gw.clock[0] + timedelta(seconds=10)
    assert await state() == ("held", "ok")
    gw.advance(seconds=11)
    assert await state() == ("ok", "ok")
    lane.breaker.state, lane.breaker.reason = Breaking.OPEN, "unreachable"
    assert await state() == ("open", "degraded")
    assert 'gru_gateway_lane_breaker{lane="gru:69029:main"} 2.0' in await _metrics(gw)
    lane.breaker.state = Breaking.HALF_OPEN
    assert await state() == ("half_open", "degraded")
    await gw.engine.store.write(lanes.pause, LANE, True)
    await gw.engine.lanes.supervisor.refresh()
    assert await state() == ("paused", "ok")
    unknown = await gw.client.get("/ops/communes/69999")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_why(gw: Gateway) -> None:
    created = (await gw.push(small())).json()["data"]
    url = f"/ops/requests/{created['id']}/why"
    why = (await gw.client.get(url)).json()
    assert why["id"] == created["id"]
    assert [cause["code"] for cause in why["causes"]] == ["queued"]
    assert why["causes"][0]["who"] == "gateway"
    for unknown in ("TDG-0123456789ABCDEF", "7", "%00"):
        answer = await gw.client.get(f"/ops/requests/{unknown}/why")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def _metrics(gw: Gateway) -> str:
    answer = await gw.client.get("/ops/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


async def test_metrics_count_what_happened(gw: Gateway) -> None:
    gw.portal.post(url__regex=".*").respond(200, json={"err": 0})
    for _ in range(2):
        await gw.push(small())
    labels = 'portal="toodego",reception="{}",teleservice="signalement-anomalie"'
    text = await _metrics(gw)
    for reception in ("new", "same"):
        name = f"gru_gateway_events_received_total{{{labels.format(reception)}}}"
        assert f"{name} 1.0" in text
    assert f'gru_gateway_waiting{{lane="{LANE}"}} 1.0' in text
    route = "/portal/v1/communes/{insee}/teleservices/{slug}/requests"
    answered = f'gru_gateway_http_answers_total{{method="POST",route="{route}",status="201"}} 1.0'
    assert answered in text

    async def sent() -> bool:
        return not await gw.engine.store.read(backlog.lanes_with_work)

    async def idle() -> bool:
        return not any(lane.calls for lane in gw.engine.lanes.views())

    async with at_work(gw):
        await until(sent)
        await until(idle)
    text = await _metrics(gw)
    attempts = 'gru_gateway_attempts_total{kind="submit",lane="gru:69029:main",outcome="accepted"}'
    assert f"{attempts} 1.0" in text
    assert 'gru_gateway_attempt_seconds_count{kind="submit"} 1.0' in text
    assert f'gru_gateway_waiting{{lane="{LANE}"}} 0.0' in text


async def test_scrapes_and_calls_at_once(gw: Gateway) -> None:
    scrapes = [gw.client.get("/ops/metrics") for _ in range(5)]
    pushes = [gw.client.post(gw.signed(BRON), json=small(str(n))) for n in range(20)]
    answers = await asyncio.gather(*scrapes, *pushes)
    assert {answer.status_code for answer in answers} == {200, 201}


async def test_incidents_are_in_health_metrics_and_a_list_of_their_own(gw: Gateway) -> None:
    assert (await gw.client.get("/ops/incidents")).json() == []
    symptom = Symptom("disk", SymptomWord.DISK_FULL, frozenset({"69029"}))
    await gw.engine.incidents.observe([symptom])
    (one,) = (await gw.client.get("/ops/incidents")).json()
    # 20:07 in Paris on a Monday: all of its eight hours are Tuesday's.
    assert one["deadline"] == "2026-11-24T16:00:00Z"
    assert (one["severity"], one["cause"], one["communes"]) == ("bloquant", "disk", ["69029"])
    gw.advance(days=2)
    health = (await gw.client.get("/ops/health")).json()
    part = health["incidents"]
    assert (part["state"], part["open"], part["overdue"]) == ("degraded", {"bloquant": 1}, 1)
    metrics = (await gw.client.get("/ops/metrics")).text
    assert 'gru_gateway_incidents{severity="bloquant"} 1.0' in metrics
    assert "gru_gateway_incidents_overdue 1.0" in metrics


async def test_calls_without_a_proof_are_counted_by_their_kind(gw: Gateway) -> None:
    path = "/portal/v1/communes/69029/teleservices/signalement-anomalie/requests"
    refused = await gw.client.post(path, json={}, auth=("nobody", "x"))
    assert refused.json()["err_code"] == "bad_credentials"
    hook = "/gru/v1/communes/69029/webhooks/main"
    assert (await gw.client.post(hook, json={})).status_code == 401
    assert (await gw.client.post(path, json={})).status_code == 401  # no proof, none forged
    assert gw.engine.refusals.counts == {"refused_signatures": 1, "forged_webhooks": 1}
    await gw.engine.refusals.store_counts()
    assert not gw.engine.refusals.counts
