"""The published contract of half-connectors: kept as a file, true, and never broken."""

from __future__ import annotations

import ast
import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import CHECKS, load_all_checks

from gateway.core.status import Status
from gateway.sdk.pivot_models import API_VERSION, PivotStatus
from gateway.web import pivot_problems
from gateway.web.pivot import pivot_router
from gateway.web.pivot_document import DOCUMENT, files
from tests.life import ROOT
from tests.web.breaking import breaks
from tests.web.harness import Gateway
from tests.web.pivot_town import filed, pivot_town, token

FORMER = sorted((ROOT / "docs/pivot/former").glob("*.json"))
NOBODY: Any = None
#: Rooms in which a half-connector's call may be refused.
SPOKEN = (
    "web/pivot.py",
    "web/pivot_access.py",
    "web/pivot_files.py",
    "web/pivot_pace.py",
    "flow/pivot.py",
    "flow/mailbox.py",
    "web/body.py",
)
load_all_checks()
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)


def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / DOCUMENT).read_text("utf-8"))
    return found


def test_what_lies_in_the_documentation_is_what_the_code_says() -> None:
    for name, text in files(pivot_router(NOBODY)).items():
        said = f"python -m gateway.web.pivot_document . writes {name}"
        assert (ROOT / name).read_text("utf-8") == text, said


def test_the_version_is_told_with_what_changed() -> None:
    assert written()["info"]["version"] == API_VERSION
    assert f"| {API_VERSION} |" in (ROOT / "docs/pivot/README.md").read_text("utf-8")


def test_a_status_of_the_contract_is_a_status_of_ours() -> None:
    ours = {one.value for one in Status} - {"received", "transmitted"}
    assert {one.value for one in PivotStatus} == ours


def test_an_operation_names_the_problems_that_it_answers_alone() -> None:
    paths = written()["paths"]
    change = paths["/pivot/v1/requests/{reference}/changes"]["post"]["responses"]
    assert change["404"]["description"] == "`unknown_request`, `no_route`"
    assert change["409"]["description"] == "`key_conflict`"
    claim = paths["/pivot/v1/mailbox/claim"]["post"]["responses"]
    assert claim["409"]["description"] == "`no_mailbox`"
    file = paths["/pivot/v1/requests/{reference}/files/{sha256}"]["get"]
    assert set(file["responses"]["200"]["content"]) == {"application/octet-stream"}
    assert "Range" in {one["name"] for one in file["parameters"]}


# --- nothing breaks -----------------------------------------------------------------------------


def test_nothing_that_was_published_is_broken() -> None:
    assert FORMER
    for former in FORMER:
        assert breaks(json.loads(former.read_text("utf-8")), written()) == [], former.name


def without_path(document: Any) -> None:
    del document["paths"]["/pivot/v1/requests/{reference}/changes"]


def without_field(document: Any) -> None:
    del document["components"]["schemas"]["PivotEvent"]["properties"]["files"]


def without_value(document: Any) -> None:
    document["components"]["schemas"]["PivotStatus"]["enum"].remove("planned")


def with_need(document: Any) -> None:
    document["components"]["schemas"]["PivotChange"]["required"].append("at")


def with_parameter(document: Any) -> None:
    new = {"name": "sens", "in": "query", "required": True}
    operation = document["paths"]["/pivot/v1/requests/{reference}/changes"]["post"]
    operation["parameters"].append(new)


def without_webhook(document: Any) -> None:
    del document["webhooks"]["erasure"]


def without_answer(document: Any) -> None:
    del document["paths"]["/pivot/v1/token"]["post"]["responses"]["200"]


def with_other_type(document: Any) -> None:
    document["components"]["schemas"]["PivotFile"]["properties"]["size"]["type"] = "string"


def shorter(document: Any) -> None:
    document["components"]["schemas"]["PivotChange"]["properties"]["documents"]["maxItems"] = 1


def perhaps_missing(document: Any) -> None:
    document["components"]["schemas"]["PivotRequest"]["required"].remove("filed_at")


def without_model(document: Any) -> None:
    del document["components"]["schemas"]["PivotErasure"]


@pytest.mark.parametrize(
    "change",
    [
        without_path,
        without_field,
        without_value,
        with_need,
        with_parameter,
        without_webhook,
        without_answer,
        with_other_type,
        shorter,
        perhaps_missing,
        without_model,
    ],
)
def test_each_kind_of_break_is_seen(change: Callable[[Any], None]) -> None:
    now = copy.deepcopy(written())
    change(now)
    assert len(breaks(written(), now)) == 1


def test_what_is_added_breaks_nothing() -> None:
    now = copy.deepcopy(written())
    now["paths"]["/pivot/v1/new"] = {"get": {"responses": {}}}
    now["components"]["schemas"]["PivotEvent"]["properties"]["new"] = {"type": "string"}
    now["components"]["schemas"]["PivotEvent"]["required"].append("new")
    now["components"]["schemas"]["PivotChange"]["properties"]["new"] = {"type": "string"}
    now["components"]["schemas"]["PivotStatus"]["enum"].append("new")
    assert breaks(written(), now) == []


# --- problems -------------------------------------------------------------------------------------


def spoken() -> Iterator[tuple[str, str, int]]:
    """The words of all refusals in the rooms of half-connectors, with their statuses."""
    for name in SPOKEN:
        path = ROOT / "gateway" / name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))) if path.exists() else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "PivotFault":
                word = (
                    ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else ""
                )
                if word:
                    yield name, word, pivot_problems.BY_WORD[word].status
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "PivotRefusal",
                "Rejected",
            ):
                status, word = node.args[:2]
                if isinstance(word, ast.Constant) and isinstance(status, ast.Constant):
                    yield name, str(word.value), int(str(status.value))


def test_each_refusal_is_in_the_registry_with_its_status() -> None:
    found = list(spoken())
    assert len(found) > 10
    unknown = [
        one
        for one in found
        if one[1] != "too_many_values" and pivot_problems.BY_WORD[one[1]].status != one[2]
    ]
    assert unknown == []


def test_each_problem_of_the_registry_is_spoken_somewhere() -> None:
    others = {
        "not_found",
        "method_not_allowed",
        "unavailable",
        "took_too_long",
        "internal_error",
        "no_route",
        "release_refused",
    }
    said = {word for _, word, _ in spoken()} | others
    assert {one.word for one in pivot_problems.TABLE} - said == set()


def test_the_page_and_the_table_tell_the_same() -> None:
    page = (ROOT / pivot_problems.PROBLEMS_PAGE).read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    assert listed == [(one.word, str(one.status)) for one in pivot_problems.TABLE]
    assert len({one.word for one in pivot_problems.TABLE}) == len(listed)


# --- answers are as it says -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Gateway]:
    context = pivot_town(tmp_path_factory.mktemp("pivot"), template)
    with asyncio.Runner() as runner:
        gw = runner.run(context.__aenter__())
        gw.known["id"] = runner.run(filed(gw))
        gw.known |= runner.run(token(gw))
        yield gw
        runner.run(context.__aexit__(None, None, None))


def operations() -> list[tuple[str, str]]:
    return [(method, path) for path, one in written()["paths"].items() for method in one]


@pytest.mark.parametrize(("method", "path"), operations())
def test_answers_are_as_the_contract_says(running: Gateway, method: str, path: str) -> None:
    schema: Any = schemathesis.openapi.from_asgi("/pivot/v1/openapi.json", running.app)
    operation = schema[path][method.upper()]
    header = {"Authorization": running.known["Authorization"]}
    statuses = set()

    @seed(1)
    @settings(
        max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        if "reference" in (case.path_parameters or {}):
            case.path_parameters["reference"] = running.known["id"]
        answer = case.call_and_validate(headers=header, checks=PROMISES)
        statuses.add(answer.status_code)

    run()
    assert statuses
