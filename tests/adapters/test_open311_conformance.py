"""The suite of every adapter, applied to Open311 as differently as it can be set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import respx

from adapters.open311 import Open311Adapter
from gateway.sdk.conformance import REFERENCE, AdapterConformance, ToldEntry

ROOT = "https://gru.exemple.invalid/open311/v2"


class TestPlainXml(AdapterConformance):
    adapter_class = Open311Adapter
    secrets = ("cle-de-test",)
    personal = ("Zoé", "zoe@exemple.invalid", "Nid de poule")
    gru_reference = "00042"

    def options(self) -> dict[str, Any]:
        return {"endpoint": ROOT, "api_key": "cle-de-test", "service_codes": ["VOIRIE"]}

    def payload(self) -> Mapping[str, Any]:
        return {
            "service_code": "VOIRIE",
            "lat": 45.78,
            "long": 4.88,
            "first_name": "Zoé",
            "last_name": "Fictive-Exemple",
            "email": "zoe@exemple.invalid",
            "description": "Nid de poule",
            "phone": None,
        }

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{ROOT}/requests.xml").respond(
            201,
            text="<service_requests><request><service_request_id>00042</service_request_id>"
            "<service_notice>Merci</service_notice></request></service_requests>",
        )

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        self.only_statuses(told)
        router.get(f"{ROOT}/requests.xml").respond(
            text="<service_requests><request><service_request_id>00042</service_request_id>"
            f"<status>{told[0].status}</status>"
            f"<updated_datetime>{told[0].at.isoformat()}</updated_datetime>"
            "</request></service_requests>"
        )

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{ROOT}/services.xml").respond(
            text="<services><service><service_code>VOIRIE</service_code>"
            "<metadata>false</metadata><type>realtime</type></service></services>"
        )
        router.get(f"{ROOT}/requests.xml", params={"service_request_id": "0"}).respond(404)


class TestFullJson(TestPlainXml):
    """Everything on: search by attribute, files, updates both ways, paging."""

    def options(self) -> dict[str, Any]:
        return {
            **super().options(),
            "format": "json",
            "jurisdiction_id": "bron.exemple.invalid",
            "find": "by_attribute",
            "media": "multipart",
            "paging": {},
            "updates": {"duplicates": "echo"},
        }

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(f"{ROOT}/requests.json").respond(201, json=[{"service_request_id": "00042"}])
        router.post(f"{ROOT}/servicerequestupdates.json").respond(200, json=[{"update_id": "9"}])

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.get(f"{ROOT}/services.json").respond(
            json=[{"service_code": "VOIRIE", "metadata": True, "type": "realtime"}]
        )
        router.get(f"{ROOT}/services/VOIRIE.json").respond(
            json={"service_code": "VOIRIE", "attributes": [{"code": "toodego_ref"}]}
        )
        self.far_end_holds_nothing(router)
        router.get(f"{ROOT}/requests.json").respond(json=[])

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        router.get(f"{ROOT}/requests.json", params={"extensions": "true"}).respond(json=[])
        router.get(f"{ROOT}/servicerequestupdates.json").respond(json=[])

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        status = next((one.status for one in told if one.status is not None), "open")
        row = {"service_request_id": "00042", "status": status}
        row["updated_datetime"] = max(one.at for one in told).isoformat()
        updates = [
            {
                "update_id": one.key,
                "service_request_id": "00042",
                "status": "unchanged",
                "description": one.message,
                "updated_datetime": one.at.isoformat(),
            }
            for one in told
            if one.message is not None
        ]
        router.get(f"{ROOT}/requests.json").respond(json=[row])
        router.get(f"{ROOT}/servicerequestupdates.json").respond(json=updates)

    def far_end_holds(self, router: respx.MockRouter) -> None:
        other = {"service_request_id": "7", "attributes": [{"code": "toodego_ref", "value": "x"}]}
        ours = {"service_request_id": "00042", "attributes": {"toodego_ref": REFERENCE}}

        def page(request: httpx.Request) -> httpx.Response:
            rows = {"1": [other], "2": [ours]}
            return httpx.Response(200, json=rows.get(request.url.params["page"], []))

        router.get(f"{ROOT}/requests.json").mock(side_effect=page)


class TestDeduplicatedUpdates(TestFullJson):
    """`update_id` is enough: sending an amendment again is harmless."""

    def options(self) -> dict[str, Any]:
        return {**super().options(), "updates": {}, "poll": "window"}
