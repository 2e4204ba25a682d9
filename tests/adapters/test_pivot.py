"""The pivot adapter: a half-connector that checks signatures, takes each message once, answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.pivot import PivotAdapter, PivotOptions
from gateway.sdk import (
    Accepted,
    Context,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    File,
    Filing,
    Misconfigured,
    Refused,
    Submission,
    TryLater,
)
from gateway.sdk.conformance import NOW, REFERENCE, AdapterConformance, file
from gateway.sdk.links import link_signature
from gateway.sdk.pivot_models import PivotErasure, PivotEvent
from gateway.sdk.webhook_signature import is_signed, secret_bytes, signed_headers

URL = "https://demi.exemple.invalid/toodego"
NEW, OLD = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
CLIENT = "secret-de-client-invente-pour-les-essais"
OPTIONS: dict[str, Any] = {
    "mode": "push",
    "url": URL,
    "signature": [NEW, OLD],
    "client": CLIENT,
    "service": {"name": "Relations usagers", "email": "usagers@exemple.invalid"},
    "services": {"inscription-scolaire": {"name": "Service scolaire"}},
    "inline_bytes": 100,
}
FILED = datetime(2026, 3, 14, 7, 0, tzinfo=UTC)


def receipt_read(answer: ErasureAnswer) -> Accepted:
    return Accepted(None, proof={"status": "200"}, erasure=answer)


class TestPivot(AdapterConformance):
    adapter_class = PivotAdapter
    secrets = (NEW, OLD, CLIENT)
    personal = ("Zoé Fictive-Exemple",)
    idempotent_submit = True
    idempotent_amend = True
    any_success = True
    files_by_link = True

    def options(self) -> dict[str, Any]:
        return OPTIONS

    def payload(self) -> Mapping[str, Any]:
        return {"title": "Nid de poule", "requester": {"name": "Zoé Fictive-Exemple"}}

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(URL).respond(201, json={"reference": "42"})

    def far_end_erases(self, router: respx.MockRouter) -> None:
        self.far_end_accepts(router)

    def far_end_erased(self, router: respx.MockRouter) -> None:
        self.far_end_accepts(router)

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(URL).mock(side_effect=verified)

    # --- what only this adapter promises ------------------------------------------------------

    async def test_a_stranger_s_library_takes_what_is_sent_by_either_secret(self) -> None:
        async with self.built() as (adapter, router):
            route = router.post(URL).respond(200, json={"reference": "A-1", "link": "https://a/1"})
            outcome = await adapter.submit(submission())
            assert outcome == Accepted("A-1", "https://a/1", {"status": "200"})
        request = route.calls.last.request
        headers = fresh(request.headers)
        assert headers["webhook-id"] == f"{REFERENCE}-creation"
        for secret in (NEW, OLD):
            assert signed_now(secret, request.content).keys() <= headers.keys()
            proven = dict(request.headers)
            assert is_signed([secret], proven, request.content, NOW)
            assert not is_signed([secret], proven, request.content + b" ", NOW)

    @pytest.mark.parametrize("secret", [NEW, OLD])
    def test_signatures_are_the_library_s(self, secret: str) -> None:
        """python `standardwebhooks` looks at its own clock, so the message is signed now."""
        body = json.dumps({"é": "ü"}).encode()
        headers = signed_now(secret, body)
        assert Webhook(secret).verify(body, headers) == {"é": "ü"}
        both = signed_headers([NEW, OLD], "m", datetime.now(UTC), body)
        assert Webhook(secret).verify(body, both) == {"é": "ü"}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body + b" ", headers)
        stamp = datetime.now(UTC)
        theirs = Webhook(secret).sign("m", stamp, body.decode())
        told = {
            "webhook-id": "m",
            "webhook-timestamp": str(int(stamp.timestamp())),
            "webhook-signature": f"v1a,xx {theirs}",
        }
        assert is_signed([secret], told, body, stamp)
        assert not is_signed([secret], {**told, "webhook-timestamp": "1"}, body, stamp)
        assert not is_signed([secret], {**told, "webhook-timestamp": "²"}, body, stamp)

    async def test_the_message_says_all_that_the_law_asks_for(self) -> None:
        async with self.built() as (adapter, router):
            route = router.post(URL).respond(204)
            assert await adapter.submit(submission()) == Accepted(None, proof={"status": "204"})
        event = PivotEvent.model_validate_json(route.calls.last.request.content)
        assert event.recipient.model_dump() == {"commune": "69029", "environment": "production"}
        assert event.request.filed_at == FILED
        assert event.request.service.name == "Service scolaire"
        assert (event.request.commune, event.request.number) == ("69029", "12-7")
        assert event.data == {"title": "Nid de poule"}
        assert event.api_version.startswith("1.")

    async def test_a_small_file_travels_within_and_a_large_one_as_a_link(self) -> None:
        small, large = file(b"x" * 60), file(b"y" * 200, field="plan", filename="plan.png")
        async with self.built() as (adapter, router):
            route = router.post(URL).respond(204)
            await adapter.submit(submission(small, file(b"z" * 60), large))
        event = PivotEvent.model_validate_json(route.calls.last.request.content)
        within, second, linked = event.files
        assert base64.b64decode(within.content or "") == b"x" * 60
        assert within.url is None
        assert second.content is None, "the two together are more than may travel within"
        assert (linked.size, linked.sha256) == (200, large.sha256)
        address = httpx.URL(linked.url or "")
        until = int(address.params["expires"])
        assert until == NOW.timestamp() + 86_400
        client = address.params["client"]
        assert address.params["signature"] == link_signature(
            CLIENT, client, REFERENCE, large.sha256, until
        )

    @pytest.mark.parametrize(
        ("status", "body", "outcome"),
        [
            (301, None, Misconfigured("redirected", "HTTP 301")),
            (404, None, Misconfigured("not_there", "HTTP 404")),
            (410, None, Misconfigured("not_there", "HTTP 410")),
            (401, None, Misconfigured("access_denied", "HTTP 401")),
            (422, None, Refused("refused", "HTTP 422")),
            (409, {"retry": "never"}, Refused("refused", "HTTP 409")),
            (409, {"retry": "now"}, TryLater("busy", "HTTP 409: to be sent again, as it says")),
            (429, None, TryLater("busy", "HTTP 429", 7)),
            (500, None, TryLater("far_end_error", "HTTP 500", 7)),
            (200, [], TryLater("unreadable_answer", "HTTP 200 that is no acknowledgement")),
        ],
    )
    async def test_what_the_commune_answers_is_judged_by_its_status(
        self, status: int, body: Any, outcome: Any
    ) -> None:
        async with self.built() as (adapter, router):
            router.post(URL).respond(status, json=body, headers={"Retry-After": "7"})
            assert await adapter.submit(submission()) == outcome

    @pytest.mark.parametrize(
        ("receipt", "outcome"),
        [
            (None, Accepted(None, proof={"status": "200"})),
            ({"outcome": "absent"}, receipt_read(ErasureAnswer(ErasureResult.ABSENT))),
            ({"outcome": "anonymised"}, receipt_read(ErasureAnswer(ErasureResult.ANONYMISED))),
            (
                {
                    "outcome": "kept",
                    "ground": "DUA\n de 10 ans",
                    "until": "2036-01-01T00:00:00Z",
                    "decided_by": "Archives  communales",
                },
                receipt_read(
                    ErasureAnswer(
                        ErasureResult.KEPT,
                        "DUA de 10 ans",
                        datetime(2036, 1, 1, tzinfo=UTC),
                        "Archives communales",
                    )
                ),
            ),
        ],
    )
    async def test_an_erasure_is_told_and_its_receipt_read(
        self, receipt: Any, outcome: Any
    ) -> None:
        async with self.built() as (adapter, router):
            route = router.post(URL).respond(json={"erasure": receipt} if receipt else {})
            assert await adapter.erase(REFERENCE, "A-1") == outcome
        told = PivotErasure.model_validate_json(route.calls.last.request.content)
        assert (told.reference, told.gru_reference) == (REFERENCE, "A-1")

    async def test_an_event_keeps_its_id_however_often_it_is_sent(self) -> None:
        async with self.built() as (adapter, router):
            route = router.post(URL).respond(204)
            for _ in range(2):
                kept = await adapter.amend(self.amendment(EventKind.MESSAGE))
                assert isinstance(kept, Accepted)
                assert kept.reference == "42", "the number that it had"
        ids = {call.request.headers["webhook-id"] for call in route.calls}
        assert len(ids) == 1

    async def test_check_tells_who_looks_at_no_signature(self) -> None:
        async with self.built() as (adapter, router):
            router.get(URL).respond(200)
            assert [note.level for note in await adapter.check()] == ["ok", "warning"]

    async def test_nobody_is_called_where_the_commune_fetches(self) -> None:
        mailbox = {"mode": "mailbox", "url": None, "signature": None}
        async with self.built(**mailbox) as (adapter, _):
            assert adapter.capabilities.pulled
            assert [note.level for note in await adapter.check()] == ["ok"]
            assert isinstance(await adapter.submit(submission()), TryLater)


async def test_what_no_reader_of_json_takes_does_not_leave() -> None:
    client = httpx.AsyncClient()
    adapter = PivotAdapter(
        PivotOptions.model_validate(OPTIONS), Context("69029", "main", client, lambda: NOW)
    )
    payload = {"a": "x\ud800\x00y", "b": [{"c\udfff": "\ud800"}], "n": 1, "t": "été\n\U0001f600"}
    assert adapter.pivot is not None
    event = await adapter.pivot.event(Submission(REFERENCE, payload), NOW)
    told = json.loads(event.model_dump_json())["data"]
    assert told["n"] == 1
    assert told["t"] == payload["t"]
    assert "\ud800" not in repr(told)
    assert told["a"].startswith("x")
    await client.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None},
        {"mode": "mailbox"},
        {"client": "court"},
        {"signature": ["whsec_court"]},
        {"signature": ["pas-de-prefixe"]},
        {"signature": [NEW, OLD, NEW]},
        {"service": {}},
    ],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PivotOptions.model_validate({**OPTIONS, **wrong})


def submission(*files: File) -> Submission:
    filing = Filing("toodego", "inscription-scolaire", "12-7", FILED, FILED, 1)
    return Submission(REFERENCE, {"title": "Nid de poule"}, files, filing)


def verified(request: httpx.Request) -> httpx.Response:
    proven = is_signed([OLD], dict(request.headers), request.content, NOW)
    return httpx.Response(204 if proven else 401)


def fresh(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("webhook-")}


def signed_now(secret: str, body: bytes) -> dict[str, str]:
    return signed_headers([secret], "m", datetime.now(UTC), body)


def test_a_secret_is_24_to_64_bytes() -> None:
    assert secret_bytes(NEW) == bytes([1]) * 32
    assert secret_bytes("é" * 24) == "é".encode() * 24
    for wrong in ("whsec_", "whsec_é", "court", "whsec_=" + NEW[6:], "whsec_" + "AAAA" * 30):
        with pytest.raises(ValueError, match=r"key|base64|padding|ASCII|Excess|Only"):
            secret_bytes(wrong)
