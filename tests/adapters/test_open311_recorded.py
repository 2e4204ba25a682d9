"""The adapter and the simulated server, held to what mysociety/open311-adapter answered.

`recorded/mysociety.json` are exchanges in both formats with that server, about an invented request
in a back office of our own making behind it (in memory: it gives our own updates back, and knows
what comes after `open` by its updates alone). What it sent is in the order of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from adapters.open311 import Open311Adapter, Open311Options
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    CannotTell,
    Changes,
    Context,
    EventKind,
    Found,
    Refused,
    Submission,
    Tracked,
)
from gateway.sdk.conformance import file
from gateway.sim.lies import Lies
from gateway.sim.open311 import Open311, Service

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "mysociety.json").read_text("utf-8")
)
NOW = datetime(2026, 11, 27, 4, 41, tzinfo=UTC)
REFERENCE = "TDG-06H1NGNBPMHP4J06"
SENT = Submission(
    REFERENCE,
    {
        "service_code": "DS01",
        "lat": 45.7325,
        "long": 4.9112,
        "description": "Lampadaire « éteint » 😀 <b>rue</b> & 'quai'\n=1+1 {gru_reference}",
        "first_name": "Zoé",
        "email": "zoe@exemple.invalid",
    },
)
OPTIONS: dict[str, Any] = {
    "endpoint": "https://gru.exemple.invalid",
    "api_key": "cle-essai",
    "jurisdiction_id": "bron",
    "find": "by_text",
    "reference_attribute": None,
    "lists": "repeated",
    "public_notes": True,
    "service_codes": ["DS01"],
    "updates": {"duplicates": "echo"},
}


_UPDATE = (
    "api_key",
    "jurisdiction_id",
    "service_request_id",
    "status",
    "updated_datetime",
    "description",
)


def of_format(name: str) -> Iterator[dict[str, Any]]:
    return (one for one in RECORDED if one["path"].endswith(f".{name}"))


class Replay:
    """Answers what was recorded next, and wants to be asked what was asked then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = of_format(name)
        self._now = NOW

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        one = next(self._next)
        assert (request.method, request.url.path) == (one["method"], one["path"]), one["step"]
        assert set(request.url.params) == set(one.get("query", {})), one["step"]
        if "form" in one:
            given = httpx.QueryParams(request.content.decode())
            assert {name for name, _ in one["form"]} == set(given), one["step"]
        content = json.dumps(one["json"]) if "json" in one else one["text"]
        return httpx.Response(one["status"], headers={"content-type": one["type"]}, text=content)

    def adapter(self, **options: Any) -> Open311Adapter:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        given = Open311Options.model_validate({**OPTIONS, "format": self._name, **options})
        return Open311Adapter(given, Context("69029", "essai", client, lambda: self._now))

    def left(self) -> list[str]:
        return [one["step"] for one in self._next]


def told(changes: Changes) -> list[tuple[str | None, str | None, str | None]]:
    assert changes.failure is None
    return [(one.key, one.status, one.message) for one in changes.items]


@pytest.mark.parametrize("name", ["json", "xml"])
async def test_the_adapter_understands_what_the_server_answered(name: str) -> None:
    server = Replay(name)
    gru = server.adapter()
    assert [note.said.what("fr") for note in await gru.check() if note.level != "ok"] == []
    assert await gru.submit(SENT) == Accepted("1000")
    assert await gru.find(REFERENCE) == Found("1000")
    assert await gru.find("TDG-AUTRE") == Absent()
    # The server refuses the parameter without which it tells no attribute.
    by_attribute = server.adapter(find="by_attribute", reference_attribute="toodego_ref")
    assert isinstance(await by_attribute.find(REFERENCE), CannotTell)
    assert await by_attribute.submit(SENT) == Accepted("1001")

    key = f"{REFERENCE}-28-1-message-1-da3d91fc38df"
    message = Amendment(
        REFERENCE,
        "1000",
        "28-1-message-1/é",
        EventKind.MESSAGE,
        {},
        "Toujours là : <zoe@exemple.invalid>",
    )
    assert await gru.amend(message) == Accepted(key, proof={"update_id": key})
    assert await gru.find_amend(message) == Found(key)
    assert await gru.amend(message) == Accepted(key, proof={"update_id": key})
    refused = await gru.context.client.post(
        f"https://gru.exemple.invalid/servicerequestupdates.{name}",
        data=dict.fromkeys((*_UPDATE, "update_id"), "a/b"),
    )
    assert refused.status_code == 400, "an identifier holds no slash there"

    tracked = [Tracked(REFERENCE, "1000", NOW - timedelta(days=1))]
    assert told(await gru.statuses(tracked, None)) == [(None, "open", None)], "and nothing of ours"
    planned = await gru.statuses(tracked, None)
    words = "Intervention prévue : équipe <voirie> & co"
    first = ("u:9001", "planned", words)
    assert told(planned) == [(None, "planned", None), first], "its list says `open`"
    closed = await gru.statuses(tracked, planned.cursor)
    second = ("u:9002", "closed", "Réparé.")
    assert told(closed) == [(None, "closed", None), first, second]
    reopened = await gru.statuses(tracked, closed.cursor)
    third = ("u:9003", "investigating", None)
    assert told(reopened) == [(None, "investigating", None), first, second, third]
    gone = await gru.statuses([Tracked("TDG-X", "99", NOW - timedelta(days=1))], None)
    assert (list(gone.gone), list(gone.seen or ())) == (["TDG-X"], [])
    unknown = Submission(
        "TDG-X", {"service_code": "NON", "lat": 1.0, "long": 2.0, "description": "x"}
    )
    assert isinstance(await gru.submit(unknown), Refused)

    with_files = server.adapter(media="multipart")
    place = {"service_code": "DS01", "lat": 45.7, "long": 4.9, "description": "photo"}
    for number, content in (("1002", b"image"), ("1003", b"")):
        photo = file(content, filename="photo 😀.png")
        assert await with_files.submit(Submission("TDG-F", place, [photo])) == Accepted(number)
    later = Amendment(
        REFERENCE, "1000", "28-1-document-2", EventKind.DOCUMENT, {}, None, [file(b"%PDF-1.4")]
    )
    assert isinstance(await with_files.amend(later), Accepted)
    end = Amendment(REFERENCE, "1000", "28-1-annulation-3", EventKind.CANCELLATION, {}, None)
    assert isinstance(await gru.amend(end), Accepted)
    assert server.left() == []


async def _shapes(name: str) -> list[tuple[str, int, list[set[str]], int, list[set[str]]]]:
    """Return of each exchange its step, and its status and rows as recorded and as simulated."""
    sim = Open311(
        api_key="cle-essai",
        jurisdiction_id="bron",
        strict=True,
        services={"DS01": Service("DS01", "Eclairage", "voirie")},
        lies=Lies(echo=True),
        clock=lambda: NOW,
        extensions=False,
    )
    shapes = []
    agents = {
        "poll-planned": ("planned", "Prévu"),
        "poll-closed": ("closed", "Réparé."),
        "poll-reopened": ("investigating", ""),
    }
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(sim.app), base_url="https://gru.exemple.invalid"
    ) as client:
        for one in of_format(name):
            if agent := agents.pop(one["step"], None):
                sim.advance("1001", *agent)
            if "multipart" in one:  # whose bytes were not kept
                continue
            answer = await client.request(
                one["method"],
                one["path"],
                params=_numbered(one.get("query", {})),
                data=_numbered(dict(one.get("form", ()))) or None,
            )
            recorded = _rows(json.dumps(one["json"]) if "json" in one else one["text"], name)
            shapes.append(
                (one["step"], one["status"], recorded, answer.status_code, _rows(answer.text, name))
            )
    return shapes


def _numbered(given: dict[str, str]) -> dict[str, str]:
    """The simulated server's first request is 1001, and it knows one key."""
    own = {"1000": "1001", "x": "cle-essai"}
    return {name: own.get(value, value) for name, value in given.items()}


def _rows(content: str, name: str) -> list[set[str]]:
    if name == "json":
        return [set(row) for row in json.loads(content)]
    return [{leaf.tag for leaf in row} for row in ElementTree.fromstring(content)]


@pytest.mark.parametrize("name", ["json", "xml"])
async def test_the_simulated_server_answers_as_the_recorded_one(name: str) -> None:
    for step, status, rows, simulated, shown in await _shapes(name):
        assert simulated == status, step
        assert bool(rows) == bool(shown), step
        for row in rows[:1]:
            assert row - shown[0] == set(), f"{step}: of each row"
