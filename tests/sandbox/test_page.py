"""The sandbox's page and calls: languages, hostile contents, other sites, bounds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.sandbox.clock import FastClock
from gateway.sandbox.exchanges import LONGEST, MASK, MOST, ExchangeLog, ExchangeVerdict, shown_part
from gateway.sandbox.run import is_loopback
from tests.cli.conftest import run
from tests.sandbox.town import SLUG, open_town


async def test_the_page_speaks_both_languages_and_runs_nothing(
    tmp_path: Path, template: Path
) -> None:
    async with open_town(tmp_path, template) as town:
        await town.provoke("markup", teleservice=SLUG)
        items = (await town.claim())["items"]
        assert "<script>alert" in json.dumps(items)
        await town.client.get("/pivot/v1/<img src=x onerror=alert(1)>", headers={"X": "<b>"})
        french = await town.client.get("/")
        english = await town.client.get("/", headers={"Accept-Language": "en-GB,fr;q=0.5"})
        for page, lang in ((french, "fr"), (english, "en")):
            assert page.status_code == 200
            assert f'<html lang="{lang}">' in page.text
            assert "<script" not in page.text
            assert "<img" not in page.text
            assert "&lt;script&gt;" in page.text
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'")
            assert "unsafe" not in policy
            assert "style=" not in page.text
            assert town.sandbox.secrets.client not in page.text
        assert "Bac à sable" in french.text
        assert "Sandbox" in english.text
        css = await town.client.get("/sandbox/style.css")
        assert css.headers["content-type"].startswith("text/css")


async def test_its_buttons_make_cases_acts_and_time(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        before = town.sandbox.clock.now()
        for form in (
            {"case": "plain", "teleservice": SLUG},
            {"seconds": "3600"},
            {"case": "slow_answer"},
        ):
            answer = await town.client.post("/sandbox/act", data=form)
            assert answer.status_code == 303
            assert (await town.client.get(answer.headers["location"])).status_code == 200
        assert (town.sandbox.clock.now() - before).total_seconds() >= 3600
        assert [one.word for one in town.sandbox.gate.armed] == ["slow_answer"]
        (filed,) = town.sandbox.requests
        act = {"reference": filed.reference, "kind": "message"}
        assert (await town.client.post("/sandbox/act", data=act)).status_code == 303
        refused = await town.client.post("/sandbox/act", data={"case": "duplicate"})
        assert refused.status_code == 409
        assert 'role="alert"' in refused.text


async def test_other_sites_and_odd_calls_are_refused(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        for headers, path in (
            ({"Origin": "https://ailleurs.exemple.invalid"}, "/sandbox/act"),
            ({"Origin": "null"}, "/sandbox/v1/clock"),
            ({"Host": "rebond.exemple.invalid"}, "/sandbox/v1/requests"),
            ({"Host": "rebond.exemple.invalid"}, "/pivot/v1/token"),
        ):
            answer = await town.client.post(path, headers=headers, content=b"{}")
            assert answer.status_code == 403, path
        for path, body, status in (
            ("/sandbox/v1/clock", b'{"seconds": -1}', 422),
            ("/sandbox/v1/clock", b'{"seconds": 1e300}', 422),
            ("/sandbox/v1/clock", b'{"seconds": NaN}', 422),
            ("/sandbox/v1/requests", b"[]", 400),
            ("/sandbox/v1/requests", b"{" * 200, 400),
            ("/sandbox/v1/requests", b" " * 70_000, 413),
            ("/sandbox/v1/requests", b'{"case": "no-such"}', 404),
            ("/sandbox/v1/requests", b'{"teleservice": "no-such"}', 404),
            ("/sandbox/v1/requests/TDG-NOT/acts", b'{"kind": "message"}', 404),
        ):
            assert (await town.client.post(path, content=body)).status_code == status, (path, body)
        assert (await town.client.get("/sandbox/nothing")).status_code == 404
        assert (await town.client.get("/ops/health")).status_code == 404


async def test_answers_are_lost_slow_or_a_proxy_s(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        town.sandbox.gate.slow = 0.0
        header = await town.token()
        await town.provoke("plain", teleservice=SLUG)
        for case in ("proxy_page", "slow_answer"):
            await town.provoke(case)
        proxy = await town.client.get("/pivot/v1/events", headers=header)
        assert (proxy.status_code, proxy.headers["content-type"]) == (
            502,
            "text/html; charset=utf-8",
        )
        assert (await town.client.get("/pivot/v1/events", headers=header)).status_code == 200
        await town.provoke("lost_answer")
        await town.provoke("slow_answer")
        # What does not count uses no case up: a token that is no good, and a claim of nothing.
        claim, bad = "/pivot/v1/mailbox/claim", {"Authorization": "Bearer x"}
        for _ in range(3):
            assert (await town.client.post(claim, json={}, headers=bad)).status_code == 401
        assert (await town.claim(max=0))["items"] == []
        assert [one.word for one in town.sandbox.gate.armed] == ["lost_answer", "slow_answer"]
        assert {one.case for one in [*town.sandbox.ledger.exchanges][:5]} == {""}
        with pytest.raises(httpx.RemoteProtocolError):
            await town.claim()
        assert town.sandbox.ledger.exchanges[0].case == "lost_answer"
        assert (await town.claim())["items"] == []  # it was taken: its lease has to end
        town.sandbox.move(61)
        (again,) = (await town.claim(wait=20))["items"]
        assert again["attempt"] == 2


async def test_a_kept_sandbox_goes_on(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        filed = (await town.provoke("plain", teleservice=SLUG)).json()
        town.sandbox.move(86_400)
        then, secret = town.sandbox.clock.now(), town.sandbox.secrets.client
    async with open_town(tmp_path, template) as again:
        assert again.sandbox.clock.now() >= then
        assert again.sandbox.secrets.client == secret
        assert [one.reference for one in again.sandbox.requests] == [filed["reference"]]
        (item,) = (await again.claim())["items"]
        settled = [{"token": item["token"], "result": "done", "reference": "C-1"}]
        await again.claim(max=0, settled=settled)
        change = {"key": "k", "status": "done", "public": "C'est fait."}
        told = await again.client.post(
            f"/pivot/v1/requests/{filed['reference']}/changes",
            json=change,
            headers=await again.token(),
        )
        assert told.status_code == 201


def test_the_log_is_a_ring_without_secrets() -> None:
    log = ExchangeLog()
    body = b'{"client_secret": "abc-secret", "access_token":"tok-secret"} \xc3\xa9' + b"x" * LONGEST
    headers = [("Authorization", "Bearer tok-secret"), ("webhook-signature", "v1,c2ln")]
    part = shown_part("GET /f?client=a&signature=link-secret&expires=1", headers, body)
    assert not any("-secret" in text for text in (part.first, part.body, str(part.headers)))
    assert part.first == f"GET /f?client=a&signature={MASK}&expires=1"
    assert ("webhook-signature", "v1,c2ln") in part.headers
    assert part.cut
    assert len(part.body) <= LONGEST + 100
    assert shown_part("x", (), b"\xff\x00\xfe").body == "(3 bytes)"
    for _ in range(MOST + 5):
        log.record(
            datetime.now(UTC),
            outgoing=True,
            request=part,
            answer=None,
            status=0,
            seconds=0,
            verdict=ExchangeVerdict.WELL,
        )
    assert len(log.exchanges) == MOST
    assert log.exchanges[0].number == MOST + 5


async def test_the_clock_runs_fast_and_wakes_who_sleeps() -> None:
    clock = FastClock(1000.0)
    begun = clock.now()
    await clock.sleep(5)
    assert (clock.now() - begun).total_seconds() >= 5
    clock.advance(86_400)
    assert clock.monotonic() >= 86_400
    with pytest.raises(ValueError, match="60 days"):
        clock.advance(-1)


def test_it_listens_on_loopback_unless_said_aloud() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "machine"))
    refused = run("sandbox", "--bind", "0.0.0.0")
    assert refused.exit_code == 2
    assert "--exposed" in refused.stderr
    assert run("sandbox", "--push", "ftp://x").exit_code == 2
