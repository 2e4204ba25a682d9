"""Requests of w.c.s. that are too large, or cannot be read, do not keep the others from being."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from adapters.publik import PublikAdapter
from gateway.sdk import Changes, Context, Tracked
from gateway.sdk.conformance import NOW
from tests.adapters.test_publik_conformance import OPTIONS, PARIS, row, schema, status

#: Bytes of one answer.
MOST = 12_000


def request(number: int, size: int = 10, **more: Any) -> dict[str, Any]:
    entry = {
        "time": (NOW - timedelta(minutes=5)).isoformat(),
        "who_id": "4",
        "status": "clos",
        "parts": [{"type": "workflow-comment", "to": [], "content": "x" * size}],
    }
    stands = {"status": status("clos"), "real_status": status("clos"), "fields": {}}
    moved = NOW.astimezone(PARIS).replace(tzinfo=None).isoformat()
    known = {"evolution": [entry], "workflow": stands, "last_update_time": moved}
    return row(id=str(number), internal_id=str(number), **{**known, **more})


@dataclass
class Site:
    """Lists requests; `one` answers about a single one in another way."""

    requests: Mapping[str, dict[str, Any]]
    one: Callable[[str], httpx.Response | None] = lambda number: None
    calls: list[str] = field(default_factory=list)

    def __call__(self, call: httpx.Request) -> httpx.Response:
        self.calls.append(call.url.path)
        asked = dict(call.url.params)
        if call.url.path.endswith("/schema"):
            return httpx.Response(200, json=schema("clos"))
        if not call.url.path.endswith("/list"):
            number = call.url.path.split("/")[-2]
            return self.one(number) or httpx.Response(200, json=self.requests[number])
        rows = list(self.requests.values())
        if "filter-identifier" in asked:
            wanted = asked["filter-identifier"].split(",")
            rows = [one for one in rows if one["id"] in wanted]
        else:
            after = int(asked["filter-internal-id"])
            rows = [one for one in rows if int(one["id"]) > after][: int(asked["limit"])]
        if asked.get("include-evolution") != "on":
            rows = [{**one, "evolution": []} for one in rows]
        return httpx.Response(200, content=json.dumps(rows).encode())


async def poll(site: Site, cursor: str | None = None, **more: Any) -> Changes:
    options = PublikAdapter.Options.model_validate({**OPTIONS, "max_answer": MOST, **more})
    tracked = [
        Tracked(f"TDG-{number:>016}", number, NOW - timedelta(hours=1)) for number in site.requests
    ]
    async with httpx.AsyncClient(transport=httpx.MockTransport(site)) as client:
        adapter = PublikAdapter(options, Context("69029", "main", client, lambda: NOW, False))
        return await adapter.statuses(tracked, cursor)


def told(changes: Changes) -> set[str]:
    return {str(one.gru_reference) for one in changes.items}


def reason(changes: Changes) -> str | None:
    return getattr(changes.failure, "reason", None)


def many(**sizes: int) -> dict[str, dict[str, Any]]:
    return {str(n): request(n, sizes.get(f"n{n}", 10)) for n in range(1, 10)}


@pytest.mark.parametrize("batch", [2, 9])
async def test_what_is_too_large_together_is_read_in_parts(batch: int) -> None:
    site = Site(many(n1=4000, n2=4000, n3=4000, n7=4000, n8=4000))
    changes = await poll(site, batch=batch)
    assert told(changes) == set(site.requests)
    assert changes.failure is None
    assert changes.cursor is not None
    assert NOW.isoformat()[:16] in changes.cursor


@pytest.mark.parametrize("batch", [2, 9])
@pytest.mark.parametrize("large", ["n1", "n5", "n9"])
async def test_one_that_is_too_large_by_itself_is_told_and_passed_over(
    batch: int, large: str
) -> None:
    site = Site(many(**{large: 2 * MOST}))
    changes = await poll(site, batch=batch)
    assert told(changes) == set(site.requests) - {large[1:]}
    assert reason(changes) == "answer_too_large", "a person raises max_answer"
    assert changes.cursor is not None
    assert '"after"' not in changes.cursor, "the list was read to its end"


async def test_one_whose_files_are_too_large_is_read_without_them() -> None:
    large = httpx.Response(200, content=b'{"x": "' + b"y" * 2 * MOST + b'"}')
    site = Site(many(), one=lambda number: large if number == "5" else None)
    changes = await poll(site)
    assert told(changes) == set(site.requests)
    assert changes.failure is None


@pytest.mark.parametrize("code", [403, 500])
async def test_one_that_fails_is_read_again_while_the_others_go_on(code: int) -> None:
    failing = httpx.Response(code, json={"err": 1})
    site = Site(many(), one=lambda number: failing if number == "5" else None)
    changes = await poll(site, batch=3)
    assert told(changes) == set(site.requests) - {"5"}
    assert reason(changes) in ("access_denied", "far_end_error")
    assert changes.cursor is not None
    assert NOW.isoformat()[:16] not in changes.cursor, "its files are still to come"
    site.one = lambda number: None
    assert "5" in told(await poll(site, changes.cursor, batch=3))


async def test_one_that_fails_for_a_day_is_read_without_its_files() -> None:
    failing = httpx.Response(500, json={"err": 1})
    moved = (NOW - timedelta(days=2)).astimezone(PARIS).replace(tzinfo=None).isoformat()
    old = {str(n): request(n, last_update_time=moved) for n in range(1, 4)}
    site = Site(old, one=lambda number: failing if number == "2" else None)
    before = json.dumps({"since": (NOW - timedelta(days=3)).isoformat()})
    assert told(await poll(site, before)) == set(old)


async def test_when_all_fail_the_poll_ends_soon() -> None:
    site = Site(many(), one=lambda number: httpx.Response(500, json={"err": 1}))
    changes = await poll(site)
    assert reason(changes) == "far_end_error"
    assert len(site.calls) < 8
    assert changes.cursor is None
