"""Requests in: what is kept and answered, what is refused, and that a 2xx is on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from gateway.catalogue.catalogue import Catalogue
from gateway.core.ids import REFERENCE
from gateway.store import intake, requests
from gateway.web import body
from gateway.wire.spool import read_document
from tests.web.harness import (
    BASIC,
    MARKER,
    Gateway,
    anomaly,
    from_here,
    gateway,
    requests_path,
    small,
)
from tests.web.test_senders import ANY, BRON, VOIRIE, kept, refused
from tests.wire.samples import sample


async def test_a_recorded_call_of_wcs_is_taken(gw: Gateway) -> None:
    """Replay the recorded push at its time: an explicit key, no orig, keys in the old case."""
    call = sample("recorded-wcs-exchange")["wscall_out"]
    gw.clock[0] = datetime(2026, 11, 23, 19, 7, 19, tzinfo=UTC)
    query = call["path"].partition("?")[2]
    headers = {k: v for k, v in call["headers"].items() if k not in ("Host", "Content-Length")}
    body = from_here(call["body"])
    for path in (VOIRIE, requests_path(None, "signalement-anomalie")):
        moved = body | {"fields": body["fields"] | {"commune_raw": "69029"}}
        content = json.dumps(body if path == VOIRIE else moved)
        if path != VOIRIE:
            content = content.replace("/voirie/", "/signalement-anomalie/")
        answer = await gw.client.post(f"{path}?{query}", content=content, headers=headers)
        if path == VOIRIE:
            assert answer.status_code == 201, answer.text
        else:  # the same nonce
            refused(answer, 403, "replayed")
    gw.advance(seconds=31)
    refused(await gw.client.post(f"{VOIRIE}?{query}", content="{}"), 403, "stale")


async def test_a_call_is_routed_once_and_read_once(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def counting(name: str, work: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            done.append(name)
            return work(*args, **kwargs)

        return counted

    monkeypatch.setattr(Catalogue, "route", counting("route", Catalogue.route))
    reading = counting("read", read_document)
    monkeypatch.setattr("gateway.wire.formdata.read_document", reading)
    words = {"action": "message", "message": "Bonjour"}
    later = {"id": "7", "extra": words | {"event": "m1"}}
    for_another = later | {"fields": {"commune_raw": "69266"}, "extra": words | {"event": "m2"}}
    for n, path in enumerate((BRON, ANY)):
        calls = [
            gw.push(small(str(n), fields={"commune_raw": "69029"}), path),
            gw.push(small("7"), path),
            gw.push(later, path),
            gw.push(for_another, path),
            gw.push({"extra": words | {"event": "m3"}}, path + "/7/events"),
        ]
        for call in calls:
            done.clear()
            assert (await call).status_code in (200, 201)
            assert sorted(done) == ["read", "route"]
        done.clear()
        assert (await gw.get(path + "/7")).status_code == 200
        assert done == ["route"]


@pytest.mark.parametrize(
    ("name", "insee"),
    [
        ("signalement-anomalie", "69029"),
        ("inscription-scolaire", "69266"),
        ("demande-avec-evolution", "69256"),
    ],
)
async def test_the_samples_are_taken(gw: Gateway, name: str, insee: str) -> None:
    formdata = from_here(sample(name))
    slug = "demande-stationnement" if name == "demande-avec-evolution" else name
    path = requests_path(insee, slug)
    answer = await gw.push(formdata, path)
    assert answer.status_code == 201, answer.text
    assert answer.json()["err"] == 0
    data = answer.json()["data"]
    assert REFERENCE.fullmatch(data["id"])
    assert data["reference"] == data["id"]
    assert (data["status"], data["statut"], data["created"]) == ("received", "bien_recue", True)
    assert data["gru_reference"] is None
    assert data["url"] == f"https://passerelle.exemple.invalid{path}/{data['id']}"
    assert data.get("display_id") == (data["id"] if slug == "inscription-scolaire" else None)
    assert ("display_id" in data) == (slug == "inscription-scolaire")
    again = await gw.push(formdata, path)
    assert (again.status_code, again.json()["data"]) == (200, data | {"created": False})
    formdata["fields"]["description"] = "Autre chose"
    refused(await gw.push(formdata, path), 409, "different_content")
    found = await gw.get(path + f"/{formdata['id']}")
    assert found.status_code == 200
    asked = found.json()["data"]
    assert asked["id"] == data["id"]
    assert asked["waiting"] is True
    assert (await gw.get(data["url"].removeprefix("https://passerelle.exemple.invalid"))).json()[
        "data"
    ] == asked


async def test_an_accepted_request_survives_the_process(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        answer = await gw.push(anomaly())
        assert answer.status_code == 201
    async with gateway(tmp_path) as again:
        same = await again.push(anomaly(), nonce="autre")
        assert same.status_code == 200
        assert same.json()["data"]["id"] == answer.json()["data"]["id"]


async def test_a_change_is_an_amendment(gw: Gateway) -> None:
    formdata = anomaly()
    assert (await gw.push(formdata)).status_code == 201
    formdata["fields"]["description"] = "Encore plus grand"
    formdata["extra"] = {"action": "modification", "evenement": "modif-1"}
    changed = await gw.push(formdata)
    assert changed.status_code == 201, changed.text
    assert (await gw.push(formdata)).status_code == 200
    formdata["fields"]["description"] = "Toujours plus grand"
    assert (await gw.push(formdata)).status_code == 201  # the workflow's key is not sound
    trace = await gw.engine.store.read(requests.trace, changed.json()["data"]["id"])
    assert trace is not None
    assert [d.kind.value for d in trace.deliveries] == ["submit", "amend", "amend"]
    formdata["id"] = "999"
    refused(await gw.push(formdata), 404, "unknown_request")


@pytest.mark.parametrize(
    ("path", "code", "listed"),
    [
        (requests_path("69999", "signalement-anomalie"), "unknown_commune", "Bron (69029)"),
        (requests_path("69029", "etat-civil"), "unknown_teleservice", "inscription-scolaire"),
        (requests_path(None, "etat-civil"), "unknown_teleservice", "inscription-scolaire"),
        (requests_path("69029", "inscription-scolaire"), "no_route", "voirie"),
        (requests_path(None, "voirie"), "no_commune", "voirie"),
    ],
)
async def test_what_is_not_configured_is_told_with_what_is(
    gw: Gateway, path: str, code: str, listed: str
) -> None:
    answer = await gw.push(small(), path)
    refused(answer, 404, code)
    assert listed in answer.json()["err_desc"]
    # Before anybody is known, nothing is told.
    assert listed not in (await gw.client.post(path, json=small())).text


async def test_what_has_no_route_is_not_passed_over_unseen(
    gw: Gateway, logs: list[EventDict]
) -> None:
    await gw.push(small("1"), requests_path("69999", "signalement-anomalie"))
    await gw.push(small("2", fields={"commune_raw": "69384"}), ANY)
    await gw.push(small("3", fields={"commune_raw": MARKER}), ANY)
    await gw.push(small("4"), requests_path(None, "etat-civil"))  # no such form is configured
    await gw.client.post(ANY, json=small("5"))  # nobody proved anything
    found = await gw.engine.store.read(intake.passed_over)
    assert [(one.ref, one.commune, one.code) for one in found] == [
        ("1", "69999", "unknown_commune"),
        ("2", "69384", "unknown_commune"),
        ("3", None, "unknown_commune"),
    ]
    told = [(e["code"], e["log_level"]) for e in logs if e["event"] == "request.passed_over"]
    assert told == [("unknown_commune", "warning")] * 3 + [("unknown_teleservice", "warning")]
    metrics = (await gw.client.get("/ops/metrics")).text
    count = 'gru_gateway_requests_passed_over_total{code="unknown_commune",portal="toodego",'
    assert count + 'teleservice="signalement-anomalie"} 3.0' in metrics
    health = (await gw.client.get("/ops/health")).json()
    assert health["passed_over"]["state"] == "degraded"
    assert sum(one["count"] for one in health["passed_over"]["found"]) == 3
    assert MARKER not in json.dumps(health)


@pytest.mark.parametrize(
    ("commune", "status", "code"),
    [
        ("69123", 404, "unknown_commune"),
        ("", 404, "no_commune"),
        (None, 404, "no_commune"),
        (["69029"], 404, "no_commune"),
    ],
)
async def test_the_commune_in_the_form(
    gw: Gateway, commune: object, status: int, code: str
) -> None:
    formdata = small(fields={"commune_raw": commune})
    refused(await gw.push(formdata, ANY), status, code)


@pytest.mark.parametrize("code", ["69123", "69381", "69389"])
async def test_any_code_of_a_commune_leads_to_it(gw: Gateway, code: str) -> None:
    """Addresses in Lyon have the codes of its arrondissements; its own is 69123."""
    formdata = small(fields={"commune_raw": code, "description": "Un nid de poule"})
    for path in (ANY, requests_path(code, "signalement-anomalie")):
        answer = await gw.push(formdata, path, key="sesame-other", orig="autre.exemple.invalid")
        assert answer.status_code in (200, 201), answer.text
        id_ = answer.json()["data"]["id"]
    by_key = requests_path(code, "signalement-anomalie")
    assert (await gw.push(formdata, by_key, key="sesame-lyon", orig=None)).status_code == 200
    assert (await gw.push(formdata, ANY, key="sesame-lyon", orig=None)).status_code == 200
    (found,) = await gw.engine.store.read(requests.listing)
    assert (found.id, found.commune) == (id_, "69123")
    answer = await gw.get(by_key + "/7", key="sesame-lyon", orig=None)
    assert answer.json()["data"]["id"] == id_


async def test_a_commune_expression_that_fails_is_no_crash(gw: Gateway) -> None:
    path = requests_path(None, "demande-stationnement")
    assert (await gw.push(small(fields={"commune_raw": "69266"}), path)).status_code == 201
    formdata = small(fields={"commune_raw": "pas un nombre"})
    refused(await gw.push(formdata, path), 400, "bad_commune")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "not_json"),
        (b"", "application/json", 400, "not_json"),
        (b"\xff\xfe", "application/json", 400, "not_json"),
        (b'{"id": NaN}', "application/json", 400, "not_json"),
        (b"[1]", "application/json", 400, "not_an_object"),
        (b"null", "application/json", 400, "not_an_object"),
        (b'{"id": "1"}', "application/json; charset=latin-1", 415, "wrong_charset"),
        (b"id=1", "application/x-www-form-urlencoded", 415, "not_json"),
        (b'{"fields": {}}', "application/json", 400, "missing_id"),
        (b'{"id": "1\\u0000"}', "application/json", 400, "bad_id"),
        (b'{"id": "1", "fields": 3}', "application/json", 400, "wrong_type"),
        (b'{"id": "1", "a": ' + b"[" * 30 + b"]" * 30 + b"}", "application/json", 400, "too_deep"),
        (b"[" * 5000 + b"]" * 5000, "application/json", 400, "not_json"),
        (b'{"id": "1", "extra": {"action": "danser"}}', "application/json", 400, "unknown_action"),
    ],
)
async def test_a_bad_body_is_refused(
    gw: Gateway, content: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type}
    answer = await gw.client.post(gw.signed(BRON), content=content, headers=headers)
    refused(answer, status, code)
    assert await kept(gw) == 0


async def test_utf8_of_every_kind_is_taken(gw: Gateway) -> None:
    raw = json.dumps(small(), ensure_ascii=False).encode()
    for n, content_type in enumerate(("application/json; charset=UTF-8", "application/json")):
        headers = {"Content-Type": content_type}
        content = raw if n else b"\xef\xbb\xbf" + raw
        answer = await gw.client.post(gw.signed(BRON), content=content, headers=headers)
        assert answer.status_code == (200 if n else 201), answer.text


async def test_a_large_body_is_refused_by_its_announcement(gw: Gateway) -> None:
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b" "

    headers = {"Content-Length": str(1024 * 1024 + 1), "Content-Type": "application/json"}
    answer = await gw.client.post(gw.signed(BRON), content=content(), headers=headers)
    refused(answer, 413, "body_too_large")
    assert read == 0


async def test_a_large_body_is_refused_as_soon_as_it_is(gw: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1000:
            sent += 1
            yield b" " * 100_000

    refused(await gw.client.post(gw.signed(BRON), content=endless()), 413, "body_too_large")
    assert sent == 11


async def test_a_sender_that_dawdles_is_let_go(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "READ_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    refused(await gw.client.post(gw.signed(BRON), content=slow()), 408, "slow_body")


async def test_nobody_unknown_has_a_body_read(gw: Gateway) -> None:
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    refused(await gw.client.post(BRON, content=content()), 401, "no_credentials")
    refused(
        await gw.client.post(gw.signed(BRON, key="x"), content=content()), 403, "wrong_signature"
    )
    assert read == 0


@pytest.mark.parametrize("failure", ["closed", "damaged"])
async def test_a_database_that_fails_accepts_nothing(
    tmp_path: Path, template: Path, failure: str
) -> None:
    async with gateway(tmp_path, template) as gw:
        assert (await gw.push(small("1"))).status_code == 201
        url = gw.signed(BRON)
        if failure == "closed":
            gw.database.close()
        else:
            with gw.database.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE event RENAME TO gone")
        answer = await gw.client.post(url, json=small("2"))
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        if failure == "damaged":
            with gw.database.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE gone RENAME TO event")
    async with gateway(tmp_path) as again:
        assert await kept(again) == 1
        # The very same call is good: its nonce was not spent by what was never kept.
        assert (await again.client.post(url, json=small("2"))).status_code == 201


async def test_a_request_with_its_file_at_the_portal(gw: Gateway) -> None:
    url = "https://demarches.exemple.invalid/signalement-anomalie/7/download?f=9"
    file = {"filename": "a.txt", "content_type": "text/plain", "url": url}
    formdata = small(fields={"commune_raw": "69029", "photo": file})
    route = gw.portal.get(url__regex=r"https://demarches\.exemple\.invalid/.*download.*")
    route.respond(503)
    refused(await gw.push(formdata), 503, "unavailable")
    route.respond(404)
    refused(await gw.push(formdata), 400, "file_not_fetched")
    route.respond(200, content=b"bonjour", headers={"Content-Type": "text/plain"})
    assert (await gw.push(formdata)).status_code == 201


async def test_unknown_addresses_and_methods_answer_in_their_language(gw: Gateway) -> None:
    refused(await gw.client.get("/portal/v1/nowhere"), 404, "not_found")
    refused(await gw.client.delete(BRON), 405, "method_not_allowed")
    for path, status in (("/nowhere", 404), ("/ops/nowhere", 404)):
        answer = await gw.client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"


async def test_nothing_personal_is_logged(gw: Gateway, logs: list[EventDict]) -> None:
    formdata: dict[str, Any] = small(MARKER, fields={"commune_raw": "69029", "nom": MARKER})
    assert (await gw.push(formdata)).status_code == 201
    formdata["fields"]["nom"] = MARKER * 2
    assert (await gw.push(formdata)).status_code == 409
    assert (await gw.push(formdata | {"fields": {"commune_raw": MARKER}}, ANY)).status_code == 404
    assert (await gw.get(f"{BRON}/{MARKER}")).status_code == 200
    assert (await gw.get(f"{BRON}/{MARKER}?q={MARKER}", key="x")).status_code == 403
    assert (await gw.client.get(f"/{MARKER}", headers=BASIC)).status_code == 404
    mark = MARKER.encode()
    headers = {b"Publik-Caller-URL": mark, b"User-Agent": mark, b"X-Token": b"sesame-token"}
    hook = "/gru/v1/communes/69029/webhooks/main"
    assert (await gw.client.post(hook, content=b"boom", headers=headers)).status_code == 503
    with gw.database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER odd BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, '{MARKER}'); END"
        )
    bad = await gw.push(small("8"))
    refused(bad, 500, "internal_error")
    assert bad.headers["x-correlation-id"] in bad.json()["err_desc"]
    assert MARKER not in bad.text
    answered = [entry for entry in logs if entry["event"] == "http.answered"]
    assert [entry["status"] for entry in answered] == [201, 409, 404, 200, 403, 404, 503, 500]
    assert answered[0]["route"] == "/portal/v1/communes/{insee}/teleservices/{slug}/requests"
    assert answered[1]["code"] == "different_content"
    text = repr([{k: v for k, v in e.items() if k != "exc_info"} for e in logs])
    for secret in ("MARQUEUR", "signature=", "sesame", "exemple.invalid", "nonce0"):
        assert secret not in text, secret
    metrics = (await gw.client.get("/ops/metrics")).text
    assert "MARQUEUR" not in metrics
