"""A half-connector that fetches, at the sandbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.cases import operations_of
from gateway.web.pivot_problems import TABLE, TYPE
from tests.sandbox.town import SLUG, Town, open_town


def _done(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"token": one["token"], "result": "done", "reference": "C-1"} for one in items]


async def test_seeded_requests_are_fetched_and_go_on(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template, seeded=True) as town:
        for _ in range(3):
            await town.sandbox.work()  # no citizen goes on before the commune has taken it
        first = (await town.claim())["items"]
        assert {one["event"]["type"] for one in first} == {"request.created"}
        assert len(first) == len(town.sandbox.requests) - 1
        texts = json.dumps(first, ensure_ascii=False)
        assert {one["event"]["request"]["teleservice"] for one in first} == set(
            town.sandbox.teleservices
        )
        assert "🛋️" in texts
        assert "توجد" in texts
        files = [file for one in first for file in one["event"]["files"]]
        assert any(file["content"] for file in files)
        linked = next(file for file in files if file["url"])
        read = await town.client.get(linked["url"])
        assert len(read.content) == linked["size"]
        settled = (await town.claim(max=0, settled=_done(first)))["settled"]
        assert {one["outcome"] for one in settled} == {"recorded"}
        seen: list[str] = []
        while len(seen) < 2:  # the portal is told that they were taken, then its citizens go on
            await town.sandbox.work()
            items = (await town.claim(wait=1))["items"]
            seen += [one["event"]["type"] for one in items]
            await town.claim(max=0, settled=_done(items))
        assert sorted(seen) == ["request.erased", "request.message"]
        history = next(one for one in town.sandbox.requests if one.case == "history")
        events = await town.client.get("/pivot/v1/events?limit=100", headers=await town.token())
        former = [one for one in events.json()["items"] if one["reference"] == history.reference]
        assert [one["taken"] for one in former] == [True]


async def test_every_problem_of_the_registry_can_be_provoked(
    tmp_path: Path, template: Path
) -> None:
    """The table of cases has a row for each, and the next call that may meet it gets it."""
    async with open_town(tmp_path, template) as town:
        filed = (await town.provoke("plain")).json()
        header = await town.token()
        calls = {
            "tell_change": ("POST", f"/pivot/v1/requests/{filed['reference']}/changes"),
            "claim": ("POST", "/pivot/v1/mailbox/claim"),
            "events": ("GET", "/pivot/v1/events"),
            "read_file": ("GET", f"/pivot/v1/requests/{filed['reference']}/files/{'0' * 64}"),
            "token": ("POST", "/pivot/v1/token"),
        }
        for problem in TABLE:
            armed = await town.provoke(problem.word)
            assert armed.status_code == 201, problem.word
            # The head of a file has no body that could tell a problem.
            may = operations_of(problem.word) - {"look_at_file"} or {"events"}
            method, path = calls[sorted(may)[0]]
            answer = await town.client.request(
                method, path, headers=header, json={} if method == "POST" else None
            )
            assert answer.status_code == problem.status, problem.word
            told = answer.json()
            assert told["type"] == TYPE + problem.word
            assert (told["fault"], told["retry"]) == (problem.fault, problem.retry)
            assert ("retry-after" in answer.headers) == (problem.retry == "after"), problem.word
            last = town.sandbox.ledger.exchanges[0]
            assert (last.case, last.verdict) == (problem.word, "neutral")
        assert town.sandbox.gate.armed == []


async def test_a_lease_ends_and_another_worker_takes_it(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        await town.provoke("lease_ends", teleservice=SLUG)
        (one,) = (await town.claim())["items"]
        (again,) = (await town.claim(wait=20))["items"]
        assert again["event"]["id"] == one["event"]["id"]
        assert (one["attempt"], again["attempt"]) == (1, 2)
        late, new = await _settle(town, one), await _settle(town, again)
        assert (late, new) == ("lost", "recorded")

        await town.provoke("taken_by_another", teleservice=SLUG)
        (two,) = (await town.claim())["items"]
        assert await _settle(town, two) == "lost"


async def test_the_citizen_writes_before_a_half_connector_ends_the_request(
    tmp_path: Path, template: Path
) -> None:
    """However fast it says `done`: its case is about what comes before."""
    async with open_town(tmp_path, template) as town:
        filed = (await town.provoke("message", teleservice=SLUG)).json()
        changes = f"/pivot/v1/requests/{filed['reference']}/changes"
        (item,) = (await town.claim())["items"]
        await town.claim(max=0, settled=_done([item]))
        done = await town.client.post(
            changes, json={"key": "k", "status": "done"}, headers=await town.token()
        )
        assert done.status_code == 201, done.text
        (written,) = (await town.claim(wait=20))["items"]
        assert written["event"]["type"] == "request.message"
        state = (await town.client.get("/sandbox/v1/state")).json()
        assert state["acts"] == []


async def test_what_a_citizen_can_do_no_more_is_told(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        filed = (await town.provoke("plain", teleservice=SLUG)).json()
        one = f"/requests/{filed['reference']}"
        await town.client.post(f"/sandbox/v1{one}/acts", json={"kind": "message"})
        (waits,) = (await town.client.get("/sandbox/v1/state")).json()["acts"]
        assert (waits["kind"], waits["comes"]) == ("message", True)
        assert "ayez pris" in waits["why"]
        town.sandbox.acts.waiting.clear()
        (item,) = (await town.claim())["items"]
        await town.claim(max=0, settled=_done([item]))
        change = {"key": "k", "status": "done"}
        await town.client.post(f"/pivot/v1{one}/changes", json=change, headers=await town.token())
        filed_one = town.sandbox.requests[0]
        portal = town.sandbox.portal
        async with asyncio.timeout(60):
            while True:
                item = portal.get(filed_one.teleservice, filed_one.id)
                if item.processing is None and item.form.status(item.status).endpoint:
                    break
                await asyncio.sleep(0.01)
        await town.client.post(f"/sandbox/v1{one}/acts", json={"kind": "message"})
        (never,) = (await town.client.get("/sandbox/v1/state")).json()["acts"]
        assert never["comes"] is False
        page = await town.client.get("/", headers={"Accept-Language": "en"})
        assert "it never comes: the request has ended" in page.text


async def test_the_english_page_has_english_remedies(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        header = await town.token()
        await town.client.get("/pivot/v1/events?limit=x", headers=header)
        for language, wanted, other in (("en", "mend the", "corriger"), ("fr", "corriger", "mend")):
            page = await town.client.get("/", headers={"Accept-Language": language})
            why = page.text.partition('class="why"')[2].partition("</p>")[0]
            assert wanted in why
            assert other not in why


async def _settle(town: Town, item: dict[str, Any]) -> str:
    told = await town.claim(max=0, settled=_done([item]))
    outcome: str = told["settled"][0]["outcome"]
    return outcome


@pytest.mark.parametrize("right", [True, False])
async def test_what_is_not_for_them_is_judged_by_their_result(
    tmp_path: Path, template: Path, right: bool
) -> None:
    async with open_town(tmp_path, template) as town:
        for case in ("unknown_event", "other_recipient", "unknown_field"):
            await town.provoke(case, teleservice=SLUG)
        items = (await town.claim())["items"]
        assert len(items) == 5
        settled = []
        for item in items:
            refused = item["event"]["recipient"]["commune"] != "69999"
            result = "refused" if refused == right else "done"
            settled.append({"token": item["token"], "result": result, "problems": ["x"]})
        answer = await town.claim(max=0, settled=settled)
        assert {one["outcome"] for one in answer["settled"]} == {"recorded"}
        verdicts = {
            one.case: one.verdict
            for one in town.sandbox.ledger.exchanges
            if one.case in ("unknown_event", "other_recipient")
        }
        wanted = "well" if right else "failed"
        assert verdicts == {"unknown_event": wanted, "other_recipient": wanted}


async def test_the_clock_passes_nine_days(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template, speed=100) as town:
        await town.provoke("plain")
        await town.provoke("nine_days")
        state = (await town.client.get("/sandbox/v1/state")).json()
        assert state["late_days"] >= 9
        assert state["waiting"] == 1
