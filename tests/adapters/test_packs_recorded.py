"""The packs for Redmine and Request Tracker, held to what running servers answered.

Their `recorded.json` are exchanges with Redmine 5.0 and RT 5.0, about an invented request.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import respx

from gateway.core.mapping import canonical
from gateway.sdk import Accepted, Amendment, Change, EventKind, Found, Submission, Tracked
from gateway.sdk.conformance import NOW, file
from tests.adapters import packs
from tests.adapters.rest_systems import adapter

HOSTS = {
    "redmine": "https://redmine.bron.exemple.invalid",
    "rt": "https://rt.bron.exemple.invalid",
}


def options(name: str) -> dict[str, Any]:
    """The pack's options, its secret given."""
    given = packs.options(name)
    given["auth"]["value"] = "secret-de-test"
    return given


def replay(name: str) -> respx.MockRouter:
    """The server as it was recorded; what was not recorded fails."""
    router = respx.MockRouter(assert_all_called=False)
    for one in json.loads(packs.text(name, "recorded.json")):
        headers = {"content-type": one["type"]} if "type" in one else {}
        content = base64.b64decode(one["base64"]) if "base64" in one else b""
        answer = httpx.Response(one["status"], headers=headers, content=content)
        if "json" in one:
            answer = httpx.Response(one["status"], json=one["json"])
        if "contains" in one:
            continue  # see test_packs.py
        pattern: dict[str, Any] = {"params": one["query"]} if "query" in one else {}
        router.route(method=one["method"], url=HOSTS[name] + one["path"], **pattern).mock(
            return_value=answer
        )
    return router


async def polled(name: str, number: str) -> list[Change]:
    """Return one poll's changes of the request, with the files that the citizen may read."""
    told: list[Change] = []
    async with adapter(options(name), replay(name)) as gru:
        changes = await gru.statuses([Tracked(packs.REFERENCE, number, NOW)], None)
        assert changes.failure is None
        for change in changes.items:
            whole = await change.more() if change.more and change.public else change
            assert isinstance(whole, Change)
            told.append(whole)
    return told


async def test_redmine_s_status_notes_and_file_come_back() -> None:
    state, *notes = await polled("redmine", "3")
    rule = canonical(packs.mapping("redmine"), state.status or "")
    assert rule is not None, "the mapping knows the status"
    told = [
        (n.message, [(d.filename, d.content_type) for d in n.documents]) for n in notes if n.public
    ]
    assert ("Nous <passons> mardi & mercredi.", []) in told
    assert ("Voici le devis.", [("devis été.pdf", "application/pdf")]) in told
    assert [n.message for n in notes if not n.public] == ["note interne"]
    assert all(n.key for n in notes)
    assert not any("Toujours là" in (n.message or "") for n in notes), "our own do not come back"


async def test_rt_s_status_notes_and_file_come_back() -> None:
    state, *notes = await polled("rt", "4")
    assert canonical(packs.mapping("rt"), state.status or "") is not None
    told = {n.key: (n.message, [(d.filename, d.content) for d in n.documents]) for n in notes}
    assert told["76"] == ("Nous <passons> mardi & mercredi.", [])
    message, documents = told["78"]
    assert message == "Voici le devis\xa0:\n\nL'équipe", "HTML reaches the citizen as words"
    assert documents == [("devis été.pdf", b"%PDF-1.4 devis \xff\xfe\x00")]
    (private,) = [n for n in notes if n.key == "75"]
    assert (private.public, private.message) == (False, None), "a comment is not even fetched"
    assert not {"70", "73"} & told.keys(), "our own do not come back"


async def test_redmine_takes_a_request_a_message_and_its_file() -> None:
    router = replay("redmine")
    photo = file(b"image", filename="photo 😀.png")
    async with adapter(options("redmine"), router) as gru:
        outcome = await gru.submit(Submission(packs.REFERENCE, {"subject": "x"}, [photo]))
        assert isinstance(outcome, Accepted)
        assert outcome.reference == "3"
        assert isinstance(await gru.find(packs.REFERENCE), Found)
        for kind, files in ((EventKind.MESSAGE, []), (EventKind.DOCUMENT, [photo])):
            sent = Amendment(
                packs.REFERENCE, "3", "m-1/é", kind, {"texte": "Toujours là"}, "x", files
            )
            assert isinstance(await gru.amend(sent), Accepted)
            assert isinstance(await gru.find_amend(sent), Found)
    bodies = [c.request.content.decode() for c in router.calls if c.request.method == "PUT"]
    assert all("[m-1/é]" in body for body in bodies)


async def test_rt_takes_a_request_a_message_and_its_file() -> None:
    router = replay("rt")
    photo = file(b"image", filename="photo 😀 d’été.png")
    async with adapter(options("rt"), router) as gru:
        outcome = await gru.submit(Submission(packs.REFERENCE, {"Subject": "x"}, [photo]))
        assert isinstance(outcome, Accepted)
        assert outcome.reference == "4"
        for kind, files in ((EventKind.MESSAGE, []), (EventKind.DOCUMENT, [photo])):
            sent = Amendment(
                packs.REFERENCE, "4", "m-1/é", kind, {"texte": "Toujours là"}, "x", files
            )
            assert isinstance(await gru.amend(sent), Accepted)
            assert isinstance(await gru.find_amend(sent), Found)
    created = json.loads(
        next(c for c in router.calls if c.request.method == "POST").request.content
    )
    assert created["CustomFields"] == {"Toodego": packs.REFERENCE}
    # RT fails on an emoji in a file's name.
    assert [a["FileName"] for a in created["Attachments"]] == ["photo  d'ete.png"]
