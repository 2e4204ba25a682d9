"""Every promise of an adapter, kept by three systems that are nothing but YAML."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import respx

from adapters.rest import RestAdapter
from gateway.sdk import EventKind, WebhookCall
from gateway.sdk.conformance import REFERENCE, AdapterConformance, ToldEntry
from tests.adapters.rest_systems import options

TICKETS = "https://tickets.exemple.invalid"
REDMINE = "https://redmine.exemple.invalid"
ZNUNY = "https://znuny.exemple.invalid/otrs/nph-genericinterface.pl/Webservice/Toodego"


class TestTicketing(AdapterConformance):
    adapter_class = RestAdapter
    secrets = ("secret-essai", "cle-webhook-cle-webhook", "jeton-de-session")
    personal = ("Zoé Fictive-Exemple",)

    def options(self) -> dict[str, Any]:
        return options("ticketing")

    def payload(self) -> Mapping[str, Any]:
        return {"title": "Nid de poule", "requester": {"name": "Zoé Fictive-Exemple"}}

    def prepare(self, router: respx.MockRouter) -> None:
        router.post(f"{TICKETS}/session").respond(200, json={"session_token": "jeton-de-session"})

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{TICKETS}/api/uploads").respond(201, json={"upload": {"token": "f-1"}})
        router.post(f"{TICKETS}/api/tickets").respond(201, json={"ticket": {"id": 42}})
        router.post(f"{TICKETS}/api/tickets/42/comments").respond(201, json={"comment": {}})

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{TICKETS}/api/tickets").respond(200, json={"tickets": []})

    def far_end_holds(self, router: respx.MockRouter) -> None:
        found = {"tickets": [{"id": "42", "external_id": REFERENCE}]}
        router.get(f"{TICKETS}/api/tickets", params={"external_id": REFERENCE}).respond(json=found)

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.get(f"{TICKETS}/api/tickets").respond(200, json={"tickets": []})
        held = {"ticket": {"id": "42", "comments": [{"external_id": None}]}}
        router.get(f"{TICKETS}/api/tickets/42").respond(200, json=held)

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        comments = [
            {
                "id": one.key,
                "author": "citizen" if one.by_us else "agent",
                "text": one.message,
                "internal": not one.public,
                "created_at": one.at.isoformat(),
            }
            for one in told
            if one.message is not None
        ]
        ticket = _ticket(told) | {"comments": comments}
        router.get(f"{TICKETS}/api/tickets").respond(json={"tickets": [ticket]})

    def webhook_of(self, told: ToldEntry) -> WebhookCall:
        body = json.dumps({"ticket": _ticket([told])}).encode()
        proof = hmac.new(b"cle-webhook-cle-webhook", body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={proof}"}
        return WebhookCall("POST", headers, {}, body)

    def far_end_erases(self, router: respx.MockRouter) -> None:
        router.delete(f"{TICKETS}/api/tickets/42/person").respond(204)

    def far_end_erased(self, router: respx.MockRouter) -> None:
        router.delete(f"{TICKETS}/api/tickets/42/person").respond(404)
        self.far_end_holds_nothing(router)

    def unsigned_hook(self) -> WebhookCall:
        headers = {"content-type": "application/json", "x-hub-signature-256": "sha256=" + "0" * 64}
        return WebhookCall("POST", headers, {}, b'{"ticket": {"id": "42", "status": "done"}}')


def _ticket(told: Sequence[ToldEntry]) -> dict[str, Any]:
    status = next((one.status for one in told if one.status is not None), "open")
    updated = max(one.at for one in told).isoformat()
    return {"id": "42", "external_id": REFERENCE, "status": status, "updated_at": updated}


class TestRedmine(AdapterConformance):
    adapter_class = RestAdapter
    secrets = ("cle-redmine-de-test",)
    personal = ("Zoé Fictive-Exemple",)

    def options(self) -> dict[str, Any]:
        return options("redmine")

    def payload(self) -> Mapping[str, Any]:
        return {"project_id": 3, "subject": "Nid de poule", "description": "Zoé Fictive-Exemple"}

    def prepare(self, router: respx.MockRouter) -> None:
        router.post(f"{REDMINE}/uploads.json").respond(201, json={"upload": {"token": "7.ab"}})

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{REDMINE}/issues.json").respond(201, json={"issue": {"id": 42}})
        router.put(f"{REDMINE}/issues/42.json").respond(204)

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        status = next((one.status for one in told if one.status is not None), "Nouveau")
        updated = max(one.at for one in told).isoformat()
        issue = {"id": 42, "status": {"name": status}, "updated_on": updated}
        journals = [
            {
                "id": int(one.key) if one.key.isdigit() else one.key,
                "notes": one.message,
                "private_notes": not one.public,
                "created_on": one.at.isoformat(),
            }
            for one in told
            if one.message is not None
        ]
        router.get(f"{REDMINE}/issues.json").respond(json={"issues": [issue], "total_count": 1})
        whole = {"issue": issue | {"journals": journals}}
        router.get(f"{REDMINE}/issues/42.json").respond(json=whole)

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{REDMINE}/users/current.json").respond(200, json={"user": {"id": 1}})
        router.get(f"{REDMINE}/issues.json").respond(200, json={"issues": []})

    def far_end_holds(self, router: respx.MockRouter) -> None:
        held = {"id": 42, "custom_fields": [{"id": 7, "value": REFERENCE}]}
        router.get(f"{REDMINE}/issues.json").respond(200, json={"issues": [held]})

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.get(f"{REDMINE}/issues.json").respond(200, json={"issues": []})
        held = {"issue": {"id": 42, "journals": [{"id": 1, "notes": "Vu"}]}}
        router.get(f"{REDMINE}/issues/42.json").respond(200, json=held)


class TestZnuny(AdapterConformance):
    adapter_class = RestAdapter
    secrets = ("mot-de-passe-de-test", "session-de-test")
    personal = ("Zoé Fictive-Exemple",)

    def options(self) -> dict[str, Any]:
        return options("znuny")

    def payload(self) -> Mapping[str, Any]:
        return {
            "Ticket": {"Title": "Nid de poule", "Queue": "Voirie"},
            "Article": {"Subject": "Nid de poule", "Body": "Zoé Fictive-Exemple"},
        }

    def token_refused(self) -> httpx.Response:
        return httpx.Response(200, json={"Error": {"ErrorCode": "TicketCreate.AuthFail"}})

    def prepare(self, router: respx.MockRouter) -> None:
        router.post(f"{ZNUNY}/Session").respond(200, json={"SessionID": "session-de-test"})

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{ZNUNY}/Ticket").respond(200, json={"TicketID": "42"})
        router.patch(f"{ZNUNY}/Ticket/42").respond(200, json={"TicketID": "42"})

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{ZNUNY}/Priority").respond(200, json={"Priority": []})

    def far_end_holds(self, router: respx.MockRouter) -> None:
        router.post(f"{ZNUNY}/TicketSearch").respond(200, json={"TicketID": ["42"]})
        fields = [{"Name": "Toodego", "Value": REFERENCE}]
        held = {"Ticket": [{"TicketID": "42", "DynamicField": fields}]}
        router.get(f"{ZNUNY}/Ticket/42").respond(200, json=held)

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.post(f"{ZNUNY}/TicketSearch").respond(200, json={})


class TestUpsert(AdapterConformance):
    """A creation under our own key, which may be sent twice; OAuth2 by client credentials."""

    adapter_class = RestAdapter
    personal = ("Zoé Fictive-Exemple",)
    secrets = ("secret-client-de-test", "acces-de-test")
    idempotent_submit = True
    idempotent_amend = True

    def options(self) -> dict[str, Any]:
        base = "https://crm.exemple.invalid"
        return {
            "base_url": base,
            "auth": {
                "kind": "oauth2",
                "token_url": f"{base}/token",
                "client_id": "toodego",
                "client_secret": "secret-client-de-test",
            },
            "check": {"path": "/limits"},
            "create": {
                "method": "PUT",
                "path": "/cases/{reference}",
                "reference": "id",
                "repeatable": True,
            },
            "amend": {
                "message": {
                    "method": "PUT",
                    "path": "/cases/{reference}/notes/{event.key}",
                    "body": {"text": "=message"},
                    "repeatable": True,
                }
            },
        }

    def payload(self) -> Mapping[str, Any]:
        return {"title": "Nid de poule", "who": "Zoé Fictive-Exemple"}

    def amend_payload(self, kind: EventKind) -> Mapping[str, Any]:
        return {}

    def prepare(self, router: respx.MockRouter) -> None:
        granted = {"access_token": "acces-de-test", "token_type": "Bearer", "expires_in": 3600}
        router.post("https://crm.exemple.invalid/token").respond(200, json=granted)

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        def taken(request: httpx.Request) -> httpx.Response:
            known = request.headers["authorization"] == "Bearer acces-de-test"
            return httpx.Response(200 if known else 401, json={"id": "42"})

        router.put(url__startswith="https://crm.exemple.invalid/cases/").mock(side_effect=taken)

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get("https://crm.exemple.invalid/limits").respond(200, json={})
