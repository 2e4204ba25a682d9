"""The adapter's far end, as `gru-gateway adapter conformance example` plays it."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import respx

from gateway.sdk import WebhookCall
from gateway.sdk.example.adapter import ExampleAdapter
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest, ToldEntry

URL = "https://gru.exemple.invalid"


class ExampleUnderTest(AdapterUnderTest):
    """The ticketing system of the example."""

    adapter_class = ExampleAdapter
    secrets = ("cle-de-test", "webhook-cle-de-test")
    personal = ("Zoé Fictive-Exemple",)

    def options(self) -> dict[str, Any]:
        return {"endpoint": URL, "key": "cle-de-test", "webhook_secret": "webhook-cle-de-test"}

    def payload(self) -> Mapping[str, Any]:
        return {"subject": "Nid de poule", "name": "Zoé Fictive-Exemple"}

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{URL}/tickets").respond(201, json={"id": "42"})
        router.post(f"{URL}/tickets/42/entries").respond(201, json={})

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{URL}/tickets").respond(json=[])

    def far_end_holds(self, router: respx.MockRouter) -> None:
        rows = [{"id": "7", "external_id": "AUTRE"}, {"id": "42", "external_id": REFERENCE}]
        router.get(f"{URL}/tickets").respond(json=rows)

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.get(f"{URL}/tickets").respond(json=[])
        router.get(f"{URL}/tickets/42/entries").respond(json=[])

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        router.get(f"{URL}/tickets").respond(json=[_ticket(told)])

    def webhook_of(self, told: ToldEntry) -> WebhookCall:
        body = json.dumps(_ticket([told])).encode()
        proof = hmac.new(b"webhook-cle-de-test", body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-signature": proof}
        return WebhookCall("POST", headers, {}, body)

    def far_end_erases(self, router: respx.MockRouter) -> None:
        router.delete(f"{URL}/tickets/42/person").respond(200, json={})

    def far_end_erased(self, router: respx.MockRouter) -> None:
        self.far_end_erases(router)


def _ticket(told: Sequence[ToldEntry]) -> dict[str, Any]:
    """Return a ticket as the GRU tells it: its status, and an entry for each text."""
    entries = [
        {
            "id": one.key,
            "key": one.key if one.by_us else None,
            "text": one.message,
            "public": one.public,
            "at": one.at.isoformat(),
        }
        for one in told
        if one.message is not None
    ]
    status = next((one.status for one in told if one.status is not None), "ouvert")
    return {
        "id": "42",
        "external_id": REFERENCE,
        "status": status,
        "updated_at": max(one.at for one in told).isoformat(),
        "entries": entries,
    }
