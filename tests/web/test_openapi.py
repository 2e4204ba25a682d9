"""The published contract is true: answers are as it says, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core import NOT_SET

from tests.web.harness import BASIC, SLUGS, Gateway, gateway, small
from tests.web.test_senders import BRON

load_all_checks()
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
#: Who signs a call, and with what.
_SIGNERS: dict[str, dict[str, Any]] = {
    "communes": {"key": "1234", "orig": None},
    "portals": {},
    "wrong": {"key": "sesame-other", "orig": None},
}
OPERATIONS = 16
EXAMPLES = 50


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Gateway]:
    """One gateway for all cases, with one request in it."""
    context = gateway(tmp_path_factory.mktemp("contract"), template)
    with asyncio.Runner() as runner:
        gw = runner.run(context.__aenter__())
        pushed = runner.run(gw.push(small("7")))
        assert pushed.status_code == 201
        gw.known["id"] = pushed.json()["data"]["id"]
        yield gw
        runner.run(context.__aexit__(None, None, None))


def _operations() -> list[tuple[str, str]]:
    """Known by name, so that a test's failure says which one it was."""
    portal = "/portal/v1{}/teleservices/{{slug}}/requests"
    both = [portal.format("/communes/{insee}"), portal.format("")]
    hook = "/gru/v1/communes/{insee}/webhooks/{adapter}"
    ops = ["live", "ready", "health", "communes/{insee}", "requests/{id}/why", "metrics"]
    ops.append("incidents")
    return [
        *(("POST", path) for path in both),
        *(("POST", path + "/{ref}/events") for path in both),
        *(("GET", path + "/{ref}") for path in both),
        *((method, hook) for method in ("POST", "PUT", "GET")),
        *(("GET", f"/ops/{name}") for name in ops),
    ]


def test_the_contract_lists_what_is_tested(running: Gateway) -> None:
    document = running.app.openapi()
    listed = {(m.upper(), p) for p, path in document["paths"].items() for m in path}
    # Those of tests/web/test_pivot.py and tests/erasure/test_events.py.
    listed = {(m, p) for m, p in listed if not p.startswith(("/pivot/", "/glc/"))}
    assert listed == set(_operations())
    assert len(listed) == OPERATIONS
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["description"]
            assert "HTTPValidationError" not in str(operation["responses"])


@pytest.mark.parametrize(("method", "path"), _operations())
def test_answers_are_as_the_contract_says(running: Gateway, method: str, path: str) -> None:
    schema: Any = schemathesis.openapi.from_asgi("/contract/v1/openapi.json", running.app)
    operation = schema[path][method]
    good_place = {
        "insee": "69029",
        "slug": "signalement-anomalie",
        "ref": "7",
        "adapter": "main",
        "id": running.known["id"],
    }
    bad_place = {
        "insee": "69266",
        "slug": SLUGS[1],
        "ref": "8",
        "adapter": "second",
        "id": "TDG-0123456789ABCDEF",
    }
    places = st.sampled_from([None, good_place, good_place, bad_place])
    proof = BASIC | {"X-Token": "sesame-token"}
    headers = st.sampled_from([proof, {}])
    signatures = st.sampled_from(["none", "communes", "portals", "wrong"])
    news = {"key": "k1", "reference": running.known["id"], "status": "ouvert"}
    event = {"action": "message", "event": "m1", "message": "Bonjour"}
    body = news if "webhooks" in path else event if path.endswith("/events") else small("7")
    bodies = st.sampled_from([None, body])
    statuses: set[int] = set()
    signed: set[int] = set()

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(),
        place=places,
        header=headers,
        good=bodies,
        signature=signatures,
    )
    def run(
        case: Any,
        place: dict[str, str] | None,
        header: dict[str, str],
        good: object,
        signature: str,
    ) -> None:
        if good is not None:  # a call that is well, but for what the case adds to it
            place, header = good_place, proof
        if signature != "none":  # each call by a signature of its own, which alone proves it
            header = {name: value for name, value in header.items() if name != "Authorization"}
            url = running.signed(path, **_SIGNERS[signature])
            case.query = dict(parse_qsl(urlsplit(url).query))
        if place is not None:
            case.path_parameters = {name: place[name] for name in case.path_parameters or {}}
        kwargs: dict[str, Any] = {}
        if good is not None and method in ("POST", "PUT"):
            kwargs["json"] = good
            case.body = NOT_SET
        answer = case.call_and_validate(headers=dict(header), checks=PROMISES, **kwargs)
        statuses.add(answer.status_code)
        if signature == "communes" and good is not None and answer.status_code in (200, 201):
            signed.add(answer.status_code)

    run()
    # What is drawn hangs on the constants in our modules as well: another draw, where none fits.
    for other in range(2, 8):
        if method == "POST" and path.startswith("/portal/v1/communes/") and not signed:
            seed(other)(run)()
    # The signatures made here are believed where a commune has a key.
    assert signed or not path.startswith("/portal/v1/communes/") or method != "POST"
    # Or else nothing but refusals would have been looked at.
    assert statuses & {200, 201, 204}
    assert statuses - {200, 201, 204} or path.count("{") == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_odd_methods_are_answered(gw: Gateway, method: str) -> None:
    for path in (BRON + "/7", "/ops/live", "/contract/v1/openapi.json", "/"):
        answer = await gw.client.request(method, path)
        assert answer.status_code in (404, 405)
        assert answer.json()
