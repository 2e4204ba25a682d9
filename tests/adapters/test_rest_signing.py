"""Signatures by a recipe, both ways; our own account told apart by its name."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
import respx
from pydantic import ValidationError

from adapters.rest import RestAdapter
from adapters.rest.proof import proven_by_head
from gateway.sdk import Accepted, Submission, WebhookCall
from gateway.sdk.conformance import NOW, REFERENCE, file
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid"
SECRET = "secret-de-webhook-de-test"


def given(**more: Any) -> dict[str, Any]:
    return {"base_url": BASE, "create": {"path": "/r", "reference": "id"}, **more}


def hooked(verify: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"gru_reference": "id", "status": "status"}
    return given(webhook={"verify": {"secret": SECRET, **verify}, "item": item, **more})


def signed(content: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


#: GLPI 11: the body, then the time of the call.
GLPI = {
    "kind": "hmac-sha256",
    "header": "X-GLPI-signature",
    "over": "{body}{timestamp}",
    "timestamp": "X-GLPI-timestamp",
}
BODY = b'{"event": "update", "item": {"id": 7, "status": {"id": 5}}}'
STAMP = str(int(NOW.timestamp()))


def glpi_call(
    body: bytes = BODY, headers: Mapping[str, str] | None = None, *, stamp: str = STAMP
) -> WebhookCall:
    shown = {"x-glpi-signature": signed(body + stamp.encode()), "x-glpi-timestamp": stamp}
    return WebhookCall(
        "POST", {"content-type": "application/json", **shown, **(headers or {})}, {}, body
    )


async def test_a_call_is_signed_over_its_body_and_time(router: respx.MockRouter) -> None:
    item = {"gru_reference": "id", "status": "status.id"}
    options = given(
        webhook={"verify": {"secret": SECRET, **GLPI}, "items": "[item][?@]", "item": item}
    )
    async with adapter(options, router) as rest:
        told = await rest.webhook(glpi_call())
        ping = await rest.webhook(glpi_call(b'{"event": "test"}'))
        forged = [
            glpi_call(headers={"x-glpi-timestamp": str(int(STAMP) + 1)}),
            glpi_call(headers={"x-glpi-timestamp": ""}),
            glpi_call(headers={"x-glpi-signature": signed(BODY)}),
            glpi_call(headers={"x-glpi-signature": ""}),
            WebhookCall("POST", {}, {}, BODY),
        ]
        refused = [await rest.webhook(one) for one in forged]
    assert [(c.gru_reference, c.status) for c in told.items] == [("7", "5")]
    assert (list(ping.items), ping.failure) == ([], None), "a ping without a ticket is no fault"
    assert all(one.failure is not None and not one.items for one in refused)


@pytest.mark.parametrize(("late", "taken"), [(0, True), (-320, True), (-340, False), (340, False)])
async def test_an_old_call_may_be_refused(router: respx.MockRouter, late: int, taken: bool) -> None:
    options = hooked({**GLPI, "max_age": "5m"}, items="[item]")
    options["webhook"]["item"]["status"] = "status.id"
    async with adapter(options, router) as rest:
        told = await rest.webhook(glpi_call(stamp=str(int(STAMP) + late)))
    assert bool(told.items) is taken


def test_the_head_alone_proves_no_signature() -> None:
    rules = RestAdapter.Options.model_validate(hooked(GLPI)).webhook
    assert rules is not None
    assert proven_by_head(rules.verify, glpi_call()) is None
    assert proven_by_head(rules.verify, WebhookCall("POST", {}, {}, b"")) is False


async def test_our_calls_are_signed(router: respx.MockRouter) -> None:
    recipe = "{timestamp}\n{method}\n{path}\n{query}\n{body_sha256}"
    sign = {
        "secret": SECRET,
        "header": "X-Signature",
        "prefix": "v1=",
        "over": recipe,
        "timestamp": "X-Time",
    }
    options = given(
        sign=sign,
        create={
            "path": "/r",
            "query": {"n": "=reference"},
            "body": {"p": "=payload", "f": "=files[].content_base64"},
            "reference": "id",
        },
        files={"mode": "inline"},
        find={"path": "/r/{reference}", "match": "id", "absent": [404]},
    )
    created = router.post(f"{BASE}/r").respond(201, json={"id": 1})
    asked = router.get(f"{BASE}/r/{REFERENCE}").respond(404)
    large = file(b"x" * 600_000, filename="grand.bin")
    async with adapter(options, router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"t": "é"}, [large]))
        assert isinstance(outcome, Accepted)
        await rest.find(REFERENCE)
    for call, path, query in (
        (created.calls[0].request, "/r", f"n={REFERENCE}"),
        (asked.calls[0].request, f"/r/{REFERENCE}", ""),
    ):
        body = call.read()
        whole = f"{STAMP}\n{call.method}\n{path}\n{query}\n{hashlib.sha256(body).hexdigest()}"
        assert call.headers["x-signature"] == f"v1={signed(whole.encode())}"
        assert call.headers["x-time"] == STAMP
    assert len(json.loads(created.calls[0].request.read())["f"][0]) == 800_000


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (hooked({**GLPI, "over": "{timestamp}"}), "names the body"),
        (hooked({**GLPI, "over": "{body}{cle}"}), "names the body"),
        (hooked({**GLPI, "over": "{body}{path}"}), "names the body"),
        (hooked({**GLPI, "timestamp": None}), "give both"),
        (hooked({**GLPI, "over": "{body}"}), "give both"),
        (hooked({"kind": "token", "header": "X-T", "over": "{body_sha256}"}), "signs nothing"),
        (given(sign={"secret": SECRET, "header": "X-S", "over": "rien"}), "names the body"),
    ],
)
def test_a_recipe_that_proves_nothing_is_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        RestAdapter.Options.model_validate(wrong)


async def test_what_our_own_account_wrote_is_not_told(router: respx.MockRouter) -> None:
    item = {
        "gru_reference": "id",
        "status": "status",
        "at": {"value": "at"},
        "documents": {
            "list": "files",
            "filename": "name",
            "content": "data",
            "author": "by",
            "public": True,
        },
        "notes": {"list": "notes", "message": "text", "author": "by.id", "public": True},
    }
    options = given(accounts=["toodego", 12], statuses={"path": "/r", "list": "@", "item": item})
    written = [
        {"text": "Nos mots", "by": {"id": 12}},
        {"text": "Les leurs", "by": {"id": 3}},
        {"text": "Sans auteur"},
    ]
    files = [
        {"name": "a.txt", "data": "YQ==", "by": "toodego"},
        {"name": "b.txt", "data": "Yg==", "by": "agent"},
    ]
    one = {"id": 7, "status": "ouvert", "at": NOW.isoformat(), "notes": written, "files": files}
    router.get(f"{BASE}/r").respond(json=[one])
    async with adapter(options, router) as rest:
        told = (await rest.statuses([], None)).items
    assert [c.message for c in told if c.message] == ["Les leurs", "Sans auteur"]
    assert [d.filename for c in told for d in c.documents] == ["b.txt"]
    with pytest.raises(ValidationError, match="`author` is read"):
        RestAdapter.Options.model_validate({**options, "accounts": []})
