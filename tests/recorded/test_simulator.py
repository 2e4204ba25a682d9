"""The simulators are held to the recordings: the recorded status and shape, and the same texts."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.recorded.recordings import Exchange, exchange
from tests.recorded.stage import recorded_portal
from tests.recorded.table import SIMULATOR, replayed

#: Texts and words that must be the very same.
_EXACT = frozenset({"err", "err_class", "err_code", "err_desc", "status", "id", "type", "endpoint"})
#: What differs with the roles that each site has.
_FREE = frozenset({"roles", "role", "id_of_role"})


def recorded(topic: str) -> list[Any]:
    numbers = replayed(SIMULATOR, topic)
    return [pytest.param(exchange(topic, n), id=exchange(topic, n).name) for n in numbers]


def differences(recorded: Any, given: Any, where: str = "") -> list[str]:
    """List the places where `given` has other keys, types, lengths, or words that count."""
    if isinstance(recorded, dict) and isinstance(given, dict):
        found = []
        if recorded.keys() != given.keys():
            missing, more = recorded.keys() - given.keys(), given.keys() - recorded.keys()
            found.append(f"{where}: lacks {sorted(missing)}, has {sorted(more)} besides")
        for key in recorded.keys() & given.keys():
            if key in _FREE:
                continue
            if key in _EXACT and not isinstance(recorded[key], dict | list):
                if recorded[key] != given[key] and not _same_text(recorded[key], given[key]):
                    found.append(f"{where}.{key}: {recorded[key]!r}, not {given[key]!r}")
            else:
                found += differences(recorded[key], given[key], f"{where}.{key}")
        return found
    if isinstance(recorded, list) and isinstance(given, list):
        if len(recorded) != len(given):
            return [f"{where}: {len(recorded)} items, not {len(given)}"]
        pairs = zip(recorded, given, strict=True)
        return [d for n, (a, b) in enumerate(pairs) for d in differences(a, b, f"{where}[{n}]")]
    if type(recorded) is not type(given):
        return [f"{where}: {recorded!r}, not {given!r}"]
    return []


def _same_text(recorded: Any, given: Any) -> bool:
    """But for a duration in it."""
    mark = " seconds in the "
    return (
        isinstance(recorded, str)
        and mark in recorded
        and recorded.partition(": ")[0] == str(given).partition(": ")[0]
    )


PORTAL_TOPICS = (
    "02-list",
    "03-formdata",
    "04-schema",
    "05-hooks",
    "06-users-and-submit",
    "10-anonymised",
)


@pytest.mark.parametrize("one", [p for topic in PORTAL_TOPICS for p in recorded(topic)])
async def test_the_portal_answers_as_recorded(one: Exchange) -> None:
    portal = recorded_portal(one)
    transport = httpx.ASGITransport(portal.app)
    async with httpx.AsyncClient(transport=transport, base_url=portal.base_url) as client:
        if one.what.startswith("the same nonce") or one.what.endswith("call 2"):
            await _send(client, exchange(one.topic, one.number - 1))
        answer = await _send(client, one)
    assert answer.status_code == one.status, answer.text
    assert differences(one.answered, answer.json()) == []
    if "/list" in one.path and one.status == 200:
        rows, given = (
            a["data"] if isinstance(a, dict) else a for a in (one.answered, answer.json())
        )
        assert [row["id"] for row in given] == [row["id"] for row in rows]


async def _send(client: httpx.AsyncClient, one: Exchange) -> httpx.Response:
    return await client.request(one.method, one.target, content=one.content, headers=one.headers)
