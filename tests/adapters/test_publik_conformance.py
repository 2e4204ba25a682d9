"""The suite of every adapter, applied to a w.c.s. that answers as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

from adapters.publik import PublikAdapter
from gateway.sdk import Accepted, EventKind, WebhookCall
from gateway.sdk.conformance import NOW, REFERENCE, AdapterConformance, ToldEntry
from gateway.sdk.publik.signature import sign_url

SITE = "https://demarches.exemple.invalid"
FORM = f"{SITE}/api/forms/anomalie"
KEY, WEBHOOK = "cle-factice-de-la-gru", "cle-factice-de-retour"
PARIS = ZoneInfo("Europe/Paris")
OPTIONS: dict[str, Any] = {
    "endpoint": SITE,
    "identifier": "passerelle-api",
    "key": KEY,
    "form": "anomalie",
    "file_fields": ["photo", "photo_2"],
    "hooks": dict.fromkeys(("message", "document", "change", "cancellation"), "toodego"),
    "done_field": "evenements_toodego",
    "erase_hook": "effacement_toodego",
    "public_comments": ["reponse_usager"],
    "public_messages": True,
    "webhook_key": WEBHOOK,
}
ACTIONS = {
    f"global-action:{name}": f"{FORM}/42/hooks/{name}/"
    for name in ("toodego", "effacement_toodego")
}


def status(word: str) -> dict[str, Any]:
    """Return a status as a request names it."""
    return {"id": word, "name": word, "endpoint": False}


def row(**more: Any) -> dict[str, Any]:
    """Return a request as w.c.s. lists it."""
    return {
        "uuid": "3a18e25e-1cfc-4f85-a1bf-3daa1751cdef",
        "id": "42",
        "internal_id": "42",
        "display_id": "2-42",
        "url": f"{SITE}/anomalie/42/",
        "api_url": f"{FORM}/42/",
        "receipt_time": "2026-03-16T10:00:00",
        "last_update_time": "2026-03-16T10:30:00",
        "digest": None,
        **more,
    }


def light(done: str | None = None) -> dict[str, Any]:
    """Return a request as it is read for what may be called on it."""
    workflow = {
        "status": status("nouvelle"),
        "real_status": status("nouvelle"),
        "fields": {"evenements_toodego": done},
    }
    return row(workflow=workflow, actions=ACTIONS)


def told_row(told: Sequence[ToldEntry]) -> dict[str, Any]:
    """Return a request whose history tells these entries."""
    evolution = [_entry(one) for one in told]
    word = next((one.status for one in told if one.status is not None), "nouvelle")
    moved = max(one.at for one in told).astimezone(PARIS).replace(tzinfo=None, microsecond=0)
    workflow = {"status": status(word), "real_status": status(word), "fields": {}}
    return row(evolution=evolution, workflow=workflow, last_update_time=moved.isoformat())


def _entry(one: ToldEntry) -> dict[str, Any]:
    # Two entries of one time would be one: w.c.s. writes microseconds.
    at = one.at + timedelta(microseconds=sum(one.key.encode()))
    entry: dict[str, Any] = {
        "time": one.at.isoformat() if one.key == "1" else at.isoformat(),
        "last_jump_datetime": None,
        "who_id": "4",
    }
    if one.status is not None:
        entry["status"] = one.status
    if one.message is not None and (one.by_us or not one.public):
        # A text of the workflow that the agents alone read.
        part = {"type": "workflow-comment", "to": ["_receiver"], "content": one.message}
        entry["parts"] = [part]
    elif one.message is not None:
        entry["parts"] = [
            {
                "type": "workflow-comment",
                "identifier": "reponse_usager",
                "comment": f"<p>{one.message}</p>",
                "comment_plain_text": one.message,
            }
        ]
    return entry


def schema(*statuses: str) -> dict[str, Any]:
    """Return the form's definition."""
    fields = [
        {"varname": "reference_toodego", "type": "string", "anonymise": "no"},
        {"varname": "description", "type": "text", "anonymise": "final"},
        {"varname": "photo", "type": "file", "anonymise": "final"},
        {"varname": "photo_2", "type": "file", "anonymise": "final"},
    ]
    workflow = {
        "name": "Anomalie reçue de Toodego",
        "statuses": [status(one) for one in ("nouvelle", *statuses)],
        "fields": [{"varname": "evenements_toodego", "type": "text", "anonymise": "no"}],
        "actions": {name: {"label": name} for name in ACTIONS},
    }
    return {"name": "Anomalie", "disabled": False, "fields": fields, "workflow": workflow}


class TestPublik(AdapterConformance):
    adapter_class = PublikAdapter
    secrets = (KEY, WEBHOOK)
    personal = ("Zoé Fictive-Exemple",)
    webhook_proves_body = False
    webhook_signs_query = True
    proof_in_query = frozenset({"timestamp", "nonce", "signature"})

    def options(self) -> dict[str, Any]:
        return OPTIONS

    def payload(self) -> Mapping[str, Any]:
        return {"data": {"description": "Nid de poule", "nom": "Zoé Fictive-Exemple"}}

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        made = {"id": "42", "url": f"{SITE}/anomalie/42/", "api_url": f"{FORM}/42/"}
        router.post(f"{SITE}/api/formdefs/anomalie/submit").respond(json={"err": 0, "data": made})
        router.get(f"{FORM}/42/").respond(json=light())
        router.post(f"{FORM}/42/hooks/toodego/").respond(json={"err": 0})

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{SITE}/api/formdefs/anomalie/schema").respond(json=schema())
        router.get(f"{FORM}/list").respond(json=[row()])
        router.get(f"{FORM}/42/").respond(json=light())

    def far_end_holds(self, router: respx.MockRouter) -> None:
        others = [row(id=n, fields={"reference_toodego": f"AUTRE-{n}"}) for n in ("7", "8")]
        ours = row(fields={"reference_toodego": REFERENCE})
        router.get(f"{FORM}/list").respond(json=[*others, ours])

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.get(f"{FORM}/list").respond(json=[])
        router.get(f"{FORM}/42/").respond(json=light("evt-0"))

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        words = [one.status for one in told if one.status is not None]
        router.get(f"{SITE}/api/formdefs/anomalie/schema").respond(json=schema(*words))
        router.get(f"{FORM}/list").respond(json=[told_row(told)])
        router.get(f"{FORM}/42/").respond(json=told_row(told))

    def webhook_of(self, told: ToldEntry) -> WebhookCall:
        signed = sign_url("https://passerelle.invalid/", WEBHOOK, orig=None, now=NOW, nonce="0f")
        query = signed.partition("?")[2]
        body = json.dumps(told_row([told])).encode()
        headers = {"content-type": "application/json"}
        return WebhookCall("POST", headers, dict(httpx.QueryParams(query)), body, query)

    def far_end_erases(self, router: respx.MockRouter) -> None:
        router.post(f"{FORM}/42/hooks/effacement_toodego/").respond(json={"err": 0})
        router.get(f"{FORM}/list").respond(json=[])
        router.get(f"{FORM}/42/").respond(json=light())

    def far_end_erased(self, router: respx.MockRouter) -> None:
        self.far_end_erases(router)

    # --- what only this adapter promises ------------------------------------------------------

    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("evt-0", ("Bonjour", True)),
            ("evt-1", (None, True)),
            ("evt-1-document", ("Bonjour", False)),
        ],
    )
    async def test_what_a_dead_process_wrote_down_is_not_sent_again(
        self, written: str, sent: tuple[str | None, bool]
    ) -> None:
        content = f'<p data-retour="{written}">Bonjour</p>'
        part = {"type": "workflow-comment", "to": ["_receiver"], "content": content}
        entry = {"time": NOW.isoformat(), "status": "nouvelle", "parts": [part]}
        async with self.built() as (adapter, router):
            router.get(f"{FORM}/42/").respond(json={**light(), "evolution": [entry]})
            hook = router.post(f"{FORM}/42/hooks/toodego/").respond(json={"err": 0})
            assert await adapter.amend(self.amendment(EventKind.DOCUMENT)) == Accepted("42")
        body = json.loads(hook.calls.last.request.content)
        assert (body["message"], bool(body["document"])) == sent
        assert body["evenement"] == "evt-1"


class TestReadOnly(TestPublik):
    """Creation, and statuses by polls alone; HTTP Basic."""

    def options(self) -> dict[str, Any]:
        return {
            "endpoint": SITE,
            "identifier": "passerelle-api",
            "key": KEY,
            "auth": "basic",
            "form": "anomalie",
            "public_comments": ["reponse_usager"],
        }

    test_what_a_dead_process_wrote_down_is_not_sent_again = None  # type: ignore[assignment]
