"""A GRU that answers its polls and searches with far too much: told, and the loop goes on."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import orjson
import pytest

from adapters.open311.adapter import Open311Adapter
from adapters.open311.options import Open311Options
from adapters.rest import RestAdapter
from gateway.ops.stalls import StallMeter
from gateway.sdk import (
    Adapter,
    Changes,
    Context,
    Misconfigured,
    Tracked,
    TryLater,
    WebhookCall,
    note_text,
)
from gateway.wire.clients import open_client
from tests.hostile.answers import bad_answers, far_end, head, whole
from tests.hostile.bounds import MOST_STALLED, TRIES

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
SECRET = "secret-invente-des-appels"
TRACKED = [Tracked("TDG-1", "1", NOW)]
BAD = bad_answers()
#: Within every bound, and of no use.
EMPTY = whole(head(), b"[" + b",".join([b"{}"] * 100_000) + b"]")
LONG = whole(
    head(),
    b"["
    + b",".join(
        b'{"service_request_id":"%d","status":"open","id":%d,"etat":"open","at":"2026-03-16"}'
        % (n, n)
        for n in range(9_000)
    )
    + b"]",
)


def rest(
    url: str,
    client: httpx.AsyncClient,
    item: Mapping[str, Any] | None = None,
    webhook: Mapping[str, Any] | None = None,
) -> Adapter:
    """`item` is laid over what is read of one; `webhook` reads the same of one that calls."""
    options: dict[str, Any] = {
        "base_url": url,
        "create": {"method": "POST", "path": "/", "body": {}},
        "statuses": {
            "path": "/list",
            "list": "@",
            "item": {
                "gru_reference": "id",
                "status": "etat",
                "at": {"value": "at"},
                "notes": {"list": "notes", "message": "texte", "key": "id", "public": True},
                **(item or {}),
            },
        },
    }
    if webhook is not None:
        options["webhook"] = {**webhook, "item": options["statuses"]["item"]}
    checked = RestAdapter.Options.model_validate(options)
    return RestAdapter(checked, Context("69000", "rest", client, lambda: NOW, False))


def open311(url: str, client: httpx.AsyncClient) -> Adapter:
    options = {"endpoint": url, "api_key": "cle", "format": "json", "poll": "window"}
    checked = Open311Options.model_validate(options)
    return Open311Adapter(checked, Context("69000", "gru", client, lambda: NOW, False))


async def polled(make: Any, pieces: Any) -> tuple[Changes, float]:
    """Return a poll's changes and the loop's longest stall; a busy machine gets some tries."""
    stalled = 1.0
    for _ in range(TRIES):
        async with far_end(pieces) as url, open_client(timeout=5, connections=1) as client:
            adapter = make(url, client)
            with StallMeter() as stalls:
                changes = await adapter.statuses(TRACKED, None)
        stalled = min(stalled, stalls.longest)
        if stalled < MOST_STALLED:
            break
    return changes, stalled


@pytest.mark.parametrize("make", [rest, open311])
async def test_a_million_and_a_half_of_empty_rows_are_too_many(make: Any) -> None:
    changes, stalled = await polled(make, BAD["empty rows"])
    assert isinstance(changes.failure, TryLater)
    assert changes.failure.reason == "answer_too_large"
    assert (list(changes.items), changes.cursor) == ([], None), "what was not read is read again"
    assert stalled < MOST_STALLED


@pytest.mark.parametrize("make", [rest, open311])
async def test_a_hundred_thousand_empty_rows_are_told(make: Any) -> None:
    changes, stalled = await polled(make, EMPTY)
    assert isinstance(changes.failure, Misconfigured | TryLater)
    assert changes.failure.reason in ("unreadable_item", "answer_too_large")
    assert stalled < MOST_STALLED


@pytest.mark.parametrize("make", [rest, open311])
async def test_a_long_list_is_read_and_others_have_their_turns(make: Any) -> None:
    changes, stalled = await polled(make, LONG)
    assert len(changes.items) == 9_000
    assert stalled < MOST_STALLED


async def test_a_thousand_rich_notes_let_others_have_their_turns() -> None:
    texte = "<p>" + "<b>Voirie</b> &amp; propreté<br>" * 120 + "</p>"
    notes = [{"id": n, "texte": texte} for n in range(1_000)]
    body = orjson.dumps([{"id": 1, "etat": "open", "at": "2026-03-16", "notes": notes}])
    changes, stalled = await polled(rest, whole(head(), body))
    assert len(changes.items) == 1_001
    assert stalled < MOST_STALLED


async def test_one_heavy_item_is_looked_into_beside_the_loop() -> None:
    events = [{"s": "open", "p": [n]} for n in range(60_000)]
    body = orjson.dumps([{"id": 1, "etat": "open", "at": "2026-03-16", "events": events}])
    paths = {"status": "reverse(events[?p[0] > `1`].s) | [0]"}
    changes, stalled = await polled(partial(rest, item=paths), whole(head(), body))
    assert [change.status for change in changes.items] == ["open"]
    assert stalled < MOST_STALLED


async def test_a_large_document_in_a_webhook_lets_others_have_their_turns() -> None:
    """PHP writes it so. Seen: 220 ms for 45 MB."""
    content = bytes(range(256)) * 90_000
    text = base64.b64encode(content).replace(b"/", rb"\/")
    body = b'{"id": 1, "etat": "open", "at": "2026-03-16", "files": [{"c": "' + text + b'"}]}'
    files = {
        "documents": {"list": "files", "content": "c", "filename": "n", "max_mb": 30},
        "public": True,
    }
    hooks = {"verify": {"kind": "token", "header": "X", "secret": SECRET}, "items": "[@]"}
    async with open_client(timeout=5, connections=1) as client:
        adapter = rest("http://gru.invalid", client, item=files, webhook=hooks)
        for _ in range(TRIES):
            with StallMeter() as stalls:
                changes = await adapter.webhook(WebhookCall("POST", {"x": SECRET}, {}, body))
            if stalls.longest < MOST_STALLED:
                break
    (file,) = [document for change in changes.items for document in change.documents]
    assert file.content == content
    assert stalls.longest < MOST_STALLED


def test_a_picture_in_a_note_takes_no_word_away() -> None:
    picture = '<img src="data:image/png;base64,' + "A" * 300_000 + '">'
    assert note_text(f"<p>{picture}C'est réparé.</p>") == "C'est réparé."
