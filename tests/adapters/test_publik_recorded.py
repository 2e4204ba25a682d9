"""The adapter, held to what a w.c.s. of September 2025 answered: `recorded/publik.json`.

The server was French, its form and workflow those of `adapters/publik/example`; people and keys are
invented. A call is looked up by its method, its path and its query without the signature, and the
answers to the same call come in the order of the recording.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from adapters.publik import PublikAdapter, PublikOptions
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    CannotTell,
    Change,
    Context,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    Found,
    Misconfigured,
    Refused,
    Submission,
    Tracked,
    TryLater,
    WebhookCall,
    read_cursor,
)
from gateway.sdk.conformance import REFERENCE, file
from gateway.sdk.publik.signature import parse_signed, verify_query

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recorded" / "publik.json").read_text("utf-8")
)
NOW = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
PROOF = {"orig", "algo", "timestamp", "nonce", "signature"}
SITE = "http://wcs-h.test:8085"
OPTIONS: dict[str, Any] = {
    "endpoint": SITE,
    "identifier": "passerelle-api",
    "key": "mot-de-passe-factice-api",
    "form": "anomalie",
    "file_fields": ["photo", "photo_2"],
    "hooks": dict.fromkeys(("message", "document", "change", "cancellation"), "toodego"),
    "done_field": "evenements_toodego",
    "erase_hook": "effacement_toodego",
    "hidden_statuses": ["verif"],
    "public_comments": ["reponse_usager"],
    "public_messages": True,
    "webhook_key": "cle-factice-gru-vers-passerelle",
}
TRACKED = (Tracked(REFERENCE, "1", datetime(2026, 11, 27, 17, 0, tzinfo=UTC)),)


def _call(method: str, target: str) -> tuple[str, str, str, frozenset[tuple[str, str]]]:
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = frozenset(pair for pair in pairs if pair[0] not in PROOF)
    return method, parts.path, dict(pairs).get("orig", ""), kept


class Server:
    """Answers as recorded; each call of ours must have been made to the real server, too."""

    def __init__(self) -> None:
        self.answers: dict[Any, list[dict[str, Any]]] = {}
        self.bodies: list[Any] = []
        for one in RECORDED["exchanges"]:
            method, target, _ = one["request"]["line"].split(" ")
            self.answers.setdefault(_call(method, target), []).append(one)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        signed = parse_signed(request.url.query.decode())
        assert signed is not None
        key = RECORDED["keys"][signed.orig]
        verify_query(signed, [key], NOW)
        known = self.answers[_call(request.method, str(request.url))]
        one = known.pop(0) if len(known) > 1 else known[0]
        if request.content:
            self.bodies.append((one["request"].get("body"), json.loads(request.content)))
        return httpx.Response(one["answer"]["status"], json=one["answer"]["body"])


@asynccontextmanager
async def publik(**options: Any) -> AsyncIterator[tuple[PublikAdapter, Server]]:
    server = Server()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        checked = PublikOptions.model_validate({**OPTIONS, **options})
        yield PublikAdapter(checked, Context("69029", "main", client, lambda: NOW)), server


def amendment(key: str, kind: EventKind, number: str = "1", **more: Any) -> Amendment:
    return Amendment(REFERENCE, number, key, kind, {}, **more)


async def test_a_request_leaves_as_the_server_took_it_and_is_found_again() -> None:
    data = RECORDED["exchanges"][0]["request"]["body"]["data"]
    mapped = {k: v for k, v in data.items() if k not in ("reference_toodego", "photo")}
    photo = file(field="photo", filename="été.png")
    async with publik() as (adapter, server):
        made = await adapter.submit(Submission(REFERENCE, {"data": mapped}, (photo,)))
        assert made == Accepted("1")
        (recorded, sent) = server.bodies[0]
        assert sent["data"].keys() == recorded["data"].keys()
        assert sent["data"]["photo"].keys() == recorded["data"]["photo"].keys()
        assert sent["data"]["reference_toodego"] == REFERENCE
        assert await adapter.find(REFERENCE) == Found("1")
        assert await adapter.find("TDG-0000000000000000") == Absent(180.0)
    async with publik(reference_field="reference_inconnue") as (adapter, _):
        finding = await adapter.find(REFERENCE)
        assert isinstance(finding, CannotTell)
        assert finding.reason == "no_such_field"


async def test_events_are_taken_and_proven_by_the_field() -> None:
    async with publik() as (adapter, server):
        message = amendment("evt-1", EventKind.MESSAGE, message="Bonjour")
        assert await adapter.amend(message) == Accepted("1")
        document = amendment("evt-2", EventKind.DOCUMENT, files=(file(filename="plan é.png"),))
        assert await adapter.amend(document) == Accepted("1")
        for recorded, sent in server.bodies:
            assert sent.keys() == recorded.keys()
        assert await adapter.find_amend(message) == Found("1")
        assert await adapter.find_amend(amendment("evt-3", EventKind.MESSAGE)) == Absent()


@pytest.mark.parametrize(
    ("options", "number", "kind", "reason"),
    [
        ({"identifier": "passerelle-autre-role"}, "1", Misconfigured, "hook_forbidden"),
        ({"hooks": {"message": "inconnu"}}, "1", Misconfigured, "no_such_hook"),
        ({}, "999", Refused, "unknown_reference"),
        ({}, "2", TryLater, "actions_running"),
    ],
)
async def test_a_refused_hook_tells_rights_from_running_actions(
    options: dict[str, Any], number: str, kind: type, reason: str
) -> None:
    if "identifier" in options:
        options = {**options, "key": RECORDED["keys"][options["identifier"]]}
    async with publik(**options) as (adapter, _):
        outcome = await adapter.amend(amendment("evt-3", EventKind.MESSAGE, number, message="x"))
        assert isinstance(outcome, kind)
        assert getattr(outcome, "reason", None) == reason


async def test_an_access_that_may_not_create_is_a_setting() -> None:
    identifier = "passerelle-autre-role"
    key = RECORDED["keys"][identifier]
    async with publik(identifier=identifier, key=key) as (adapter, _):
        outcome = await adapter.submit(Submission(REFERENCE, {"data": {"description": "Trou"}}))
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason == "no_submission_role"
    async with publik(form="inconnu") as (adapter, _):
        outcome = await adapter.submit(Submission(REFERENCE, {"data": {"description": "Trou"}}))
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason == "unknown_form"


#: Parts of answers and what stands there instead: each once made a traceback, or a false number.
IDS: list[Any] = [5.5, [5], {"a": 5}, "9" * 201, 10**18, "1\0", "", True]
WRONG: list[tuple[tuple[str | int, ...], Any]] = [
    *((("id",), wrong) for wrong in IDS),
    (("fields",), 5),
    (("fields",), {"a": 1}),
    (("fields", 0, "varname"), 5),
    (("fields", 0, "varname"), [5]),
    (("workflow", "fields"), 5),
    (("workflow", "fields"), [5]),
    (("workflow", "actions"), 5),
    (("workflow", "actions"), [5]),
    *((("evolution", n, "parts", 0, "to"), 5) for n in range(8)),
]


def _wrong_at(value: Any, path: tuple[str | int, ...], wrong: Any) -> Any:
    """Return an answer with something else at this place, where it has the place."""
    if not path:
        return wrong
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _wrong_at(value[path[0]], path[1:], wrong)}
    if isinstance(value, list) and isinstance(path[0], int) and path[0] < len(value):
        n = path[0]
        return [*value[:n], _wrong_at(value[n], path[1:], wrong), *value[n + 1 :]]
    return value


async def test_no_wrong_type_in_an_answer_raises_or_becomes_a_number() -> None:
    async def tried(path: tuple[str | int, ...], wrong: Any) -> None:
        server = Server()

        def answer(request: httpx.Request) -> httpx.Response:
            told = server(request)
            body = json.loads(told.content)
            if isinstance(body, list):
                body = [_wrong_at(one, path, wrong) for one in body]
            elif request.url.path.endswith("submit"):
                body = {"data": _wrong_at(body["data"], path, wrong)}
            return httpx.Response(told.status_code, json=_wrong_at(body, path, wrong))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            checked = PublikOptions.model_validate(OPTIONS)
            adapter = PublikAdapter(checked, Context("69029", "main", client, lambda: NOW))
            assert isinstance(await adapter.check(), list)
            await adapter.taken_names()
            changes = await adapter.statuses(TRACKED, None)
            assert {one.gru_reference for one in changes.items} <= {"1"}
            found = await adapter.find(REFERENCE)
            assert isinstance(found, CannotTell) or (found == Found("1") and path != ("id",))

    for path, wrong in WRONG:
        await tried(path, wrong)


def told(items: Any) -> list[tuple[str | None, str | None, bool, int]]:
    """Return what is compared: status, text, for the citizen, files."""
    return [(one.status, one.message, one.public, len(one.documents)) for one in items]


WHOLE = [
    ("Nouvelle", None, False, 0),
    (None, "L'usager (message) : Bonjour", False, 0),
    (None, None, False, 1),
    (None, "Pièce jointe de l'usager : plan é.png", False, 0),
    ("En cours", None, False, 0),
    (None, "Une équipe passe jeudi.", True, 0),
    (None, None, True, 1),
    ("Planifiée", None, False, 0),
    (None, "C’est planifié", True, 0),
    (None, "Voisin appelé", False, 0),
    ("Clôturée", None, False, 0),
]


async def test_the_history_comes_back_once_in_order_without_what_is_hidden() -> None:
    async with publik() as (adapter, _):
        first = await adapter.statuses(TRACKED, None)
        assert first.failure is None
        assert first.seen == [REFERENCE]
        assert told(first.items) == WHOLE
        again = await adapter.statuses(TRACKED, first.cursor)
        assert [one.key for one in again.items] == [one.key for one in first.items]
        moments = [one.at for one in first.items if one.status and one.at]
        assert moments == sorted(moments)
        assert {one.gru_reference for one in first.items} == {"1"}


async def test_a_call_of_the_server_tells_the_same_under_the_same_keys() -> None:
    pushed = RECORDED["push"]
    raw = pushed["line"].split(" ")[1].partition("?")[2]
    signed = parse_signed(raw)
    assert signed is not None
    assert signed.orig is None
    call = WebhookCall("POST", {}, {}, json.dumps(pushed["body"]).encode(), raw)
    checked = PublikOptions.model_validate(OPTIONS)
    async with httpx.AsyncClient() as client:
        at = PublikAdapter(checked, Context("69029", "main", client, lambda: signed.timestamp))
        late = PublikAdapter(checked, Context("69029", "main", client, lambda: NOW))
        changes = await at.webhook(call)
        assert await at.webhook(call) == changes
        assert (await late.webhook(call)).failure == Refused("unproven")
        other = call.body.replace(b"forms/anomalie/", b"forms/autre/")
        foreign = await at.webhook(WebhookCall("POST", {}, {}, other, raw))
        assert isinstance(foreign.failure, Refused)
    async with publik() as (adapter, _):
        polled = await adapter.statuses(TRACKED, None)
    by_key: dict[str | None, Change] = {one.key: one for one in polled.items}
    assert {one.key for one in changes.items} <= by_key.keys()
    assert all(by_key[one.key].status in (one.status, None) for one in changes.items)
    assert [one.status for one in changes.items if one.status] == ["Clôturée"]
    assert sum(len(one.documents) for one in changes.items) == 2


async def test_what_is_erased_is_in_no_list_and_is_still_found() -> None:
    async with publik() as (adapter, _):
        told = ErasureAnswer(ErasureResult.ANONYMISED)
        erased = Accepted("1", proof={"listed": "no"}, erasure=told)
        assert await adapter.erase(REFERENCE, "1") == erased
        assert await adapter.find(REFERENCE) == Found("1")


async def test_check_names_what_the_form_lacks_and_the_nearest() -> None:
    async with publik() as (adapter, _):
        assert "fault" not in {note.level for note in await adapter.check()}
    wrong: dict[str, Any] = {
        "reference_field": "reference_todego",
        "file_fields": ["photos", "description"],
        "hooks": {"message": "toodeg"},
        "hidden_statuses": ["verifs"],
    }
    async with publik(**wrong) as (adapter, _):
        notes = await adapter.check()
    places = {note.at for note in notes if note.level == "fault"}
    assert places == {
        *(("reference_field",), ("file_fields", 0), ("file_fields", 1)),
        *(("hooks", "message"), ("hidden_statuses", 0)),
    }
    remedies = [note.said.remedy() for note in notes if note.level == "fault"]

    def near(word: str) -> bool:
        return any(f"{word} is the nearest" in r for r in remedies)

    for word in ("reference_toodego", "photo", "toodego", "verif"):
        assert near(word), word
    assert any("of the type file" in remedy for remedy in remedies)


async def test_a_list_that_is_longer_than_a_page_is_read_by_ids() -> None:
    second = Tracked("TDG-01JD3M7W2K9XQ4ZC", "2", TRACKED[0].since)
    async with publik(batch=1) as (adapter, _):
        cursor = '{"since": "2026-11-27T17:00:00+00:00"}'
        changes = await adapter.statuses((*TRACKED, second), cursor)
    assert changes.failure is None
    assert changes.asked == changes.seen == [REFERENCE]
    assert {one.gru_reference for one in changes.items} == {"1", "2"}
    assert read_cursor(changes.cursor).keys() == {"since"}
