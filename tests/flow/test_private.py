"""Invariant 6: what a citizen wrote is in the request and its files, and nowhere else."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import Kind, State
from gateway.core.errors import GatewayError
from gateway.ops.health import commune_health, health
from gateway.ops.metrics import Metrics
from gateway.ops.why import explain
from gateway.sdk import Change, Changes, Document, Refused, TryLater, WebhookCall
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store import requests, untold
from gateway.store.outbox import lanes as memory
from gateway.wire.formdata import parse_formdata
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, SLUG, Rig, request_id
from tests.flow.scripted import Script
from tests.intake import take_in

FAR = datetime(2027, 3, 12, 8, 0, tzinfo=UTC)
#: Each stands in one place of the request.
MARKERS = (
    "Marque-Nom",
    "marque-courriel",
    "marque-description",
    "marque-message",
    "marque-fichier",
    "0199777777",
)
PNG = b"\x89PNG\r\n\x1a\n essai"
#: Tables that hold what an operator may read; the others hold the request itself.
OPEN_TABLES = ("attempt", "delivery", "lane", "cursor", "nonce", "tick")
#: Those are sealed.
SEALED_TABLES = ("event", "attachment", "blob", "untold")


def marked(rig: Rig) -> SimulatedFormdata:
    item = rig.submit(
        description="marque-description",
        telephone="0199777777",
        photo={
            "filename": "marque-fichier.png",
            "content_type": "image/png",
            "content": base64.b64encode(PNG).decode(),
            "content_is_base64": True,
        },
    )
    item.user = {
        "id": 7,
        "name": "Zoé Marque-Nom",
        "email": "marque-courriel@exemple.invalid",
        "NameID": ["c0ffee"],
    }
    return item


def leaks(text: str) -> list[str]:
    return [marker for marker in MARKERS if marker.lower() in text.lower()]


def table(folder: Path, name: str) -> str:
    connection = sqlite3.connect(folder / "gateway.db")
    try:
        return repr(connection.execute(f"SELECT * FROM {name}").fetchall())
    finally:
        connection.close()


async def well(rig: Rig) -> None:
    pass


async def refused_quoting(rig: Rig) -> None:
    """The GRU refuses, and quotes the citizen in its answer."""
    rig.gru.required = ("marque-description de Zoé Marque-Nom",)


async def lost(rig: Rig) -> None:
    rig.gru.faults.cut_after(FaultCondition(method="POST", path="/api/tickets"))


async def failing(rig: Rig) -> None:
    rig.gru.faults.fail(500)


async def buggy(rig: Rig) -> None:
    """A fault of the adapter's own, whose text is all that must not be told."""
    rig.line.raises = RuntimeError(" ".join(MARKERS))


async def portal_failing(rig: Rig) -> None:
    rig.portal.faults.fail(500, when=FaultCondition(path="/hooks/"))


@pytest.mark.parametrize("trouble", [well, refused_quoting, lost, failing, buggy, portal_failing])
async def test_nothing_of_the_citizen_s_is_told_whatever_happens(
    build_rig: Builder, tmp_path: Path, trouble: Callable[[Rig], Awaitable[None]]
) -> None:
    rig = build_rig(
        options={
            "create": {"body": "=merge(payload, {pieces: files[].[filename, content_base64]})"},
            "files": {"mode": "inline"},
        }
    )
    await trouble(rig)
    with capture_logs() as logs:
        async with rig.gateway() as engine:
            item = marked(rig)
            request = request_id(await rig.push(item))
            await rig.push(item, action="message", evenement="m1", message="marque-message")
            await rig.until(lambda: any(e["event"] == "delivery.attempted" for e in logs))
            for _ in range(8):
                rig.advance(30)
                await engine.changes.poll(rig.gru_config)
                await rig.until(lambda: rig.line.in_flight == 0)
        trace = await rig.trace(request)
        why = explain(trace, await rig.database.read(memory.recall), rig.clock())
    assert leaks(repr(logs)) == []
    assert leaks(repr(rig.line.urls) + repr(rig.lines["portal:toodego"].urls)) == []
    assert leaks(repr(why) + repr(trace)) == []
    for name in (*OPEN_TABLES, *SEALED_TABLES):
        assert leaks(table(tmp_path, name)) == [], name
    # The markers are really there, or nothing above proves a thing.
    bodies = [await rig.database.read(requests.event_body, one.id) for one in trace.events]
    assert set(leaks(repr(bodies))) == set(MARKERS)


async def test_nothing_that_a_lying_gru_says_is_logged_or_counted(
    scripted: Rig, script: Script, tmp_path: Path
) -> None:
    """Words, texts, names of files, dates, broken rows and bugs: they are the citizens' matter."""
    words = " ".join(MARKERS)

    async def failing() -> Change:
        raise RuntimeError(words)

    async def refusing() -> Refused:
        return Refused("no_file", "HTTP 404", answer=words)

    def told(request: str) -> list[Any]:
        pdf = Document(f"{words}.pdf", words, words.encode())
        key: dict[str, Any] = {"reference": request, "public": True}
        return [
            Change(status=words, at=FAR, reference=request),
            Change(f"n-{words}", message=words, documents=(pdf,), **key),
            Change("n2", more=failing, **key),
            Change("n3", more=refusing, **key),
            Change("n4", message=words, reference=words),
            Change("n5", message=words, unreadable=3, **key),
            Change("n7", message=words, gru_reference=words),
            Change("n6", message=words, at=words, **key),  # type: ignore[arg-type]
            Change(status=[words], reference=request),  # type: ignore[arg-type]
            Change(reference=None, message=words),
        ]

    with capture_logs() as logs:
        async with scripted.gateway() as engine:
            _, request = await scripted.send()
            await scripted.rest(request)
            failure = TryLater("far_end_error", "HTTP 500", answer=words)
            for failed in (None, failure):
                script.polls.append(Changes(told(request), cursor=None, failure=failed))
                await engine.changes.poll(scripted.gru_config)
                await scripted.rest(request)
            script.polls.append(Changes(told(request)))
            await engine.changes.webhook(
                scripted.gru_config, WebhookCall("POST", {}, {}, words.encode())
            )
            await scripted.rest(request)
            whole = await health(engine, ready=True, started_at=scripted.clock())
            metrics = (await Metrics().scrape(engine, whole)).decode()
            found = await commune_health(engine, BRON, started_at=scripted.clock())
            waiting = await scripted.database.read(untold.listing)
    assert {"bad_items", "future_dates"} & {str(entry.get("fault")) for entry in logs}
    assert leaks(repr(logs)) == []
    assert leaks(metrics) == []
    assert leaks(repr(found)) == []
    for name in OPEN_TABLES:
        assert leaks(table(tmp_path, name)) == [], name
    # An operator sees a word that no mapping knows, and nothing of the texts.
    assert {one.reason for one in waiting} == {"unknown_status", "unreadable_document"}
    assert all(len(one.detail) <= 100 for one in waiting)


async def test_words_that_nobody_knows_make_one_row_and_no_label(
    scripted: Rig, script: Script
) -> None:
    """A GRU that says another word at each poll fills neither the table, nor lists, nor metrics."""
    async with scripted.gateway() as engine:
        _, request = await scripted.send()
        await scripted.rest(request)
        labels: list[int] = []
        for start in (0, 60):
            for n in range(start, start + 30):
                script.tell(Change(status=f"mot-{n}", reference=request))
                await engine.changes.poll(scripted.gru_config)
            script.tell(*(Change(status=f"mot-x{n}", reference=request) for n in range(500)))
            await engine.changes.poll(scripted.gru_config)
            whole = await health(engine, ready=True, started_at=scripted.clock())
            labels.append(len((await Metrics().scrape(engine, whole)).splitlines()))
        (waits,) = await scripted.database.read(untold.listing)
        assert (waits.reason, waits.name, waits.detail) == ("unknown_status", "status", "mot-x499")
    assert labels[0] == labels[1]


async def test_what_the_portal_said_is_kept_without_what_the_request_holds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the citizen stands in a report, and yet the portal may name them."""
    words = {"err": 1, "err_desc": "Panne pour Zoé Marque-Nom : marque-description"}
    down = httpx.MockTransport(lambda _: httpx.Response(500, json=words))
    monkeypatch.setattr(rig.lines["portal:toodego"], "inner", down)
    async with rig.gateway():
        request = request_id(await rig.push(marked(rig)))

        async def said() -> bool:
            return bool(await rig.database.read(requests.answers, request))

        await rig.until(said)
        answer = (await rig.database.read(requests.answers, request))[0].answer
        [report] = await rig.deliveries(request, Kind.REPORT)
    assert "Panne pour" in answer
    assert leaks(answer) == []
    assert "Panne" not in repr(report)


async def test_an_unmappable_request_is_told_without_its_values(build_rig: Builder) -> None:
    """The value stands in the wrong place: a text where a number is due."""
    rig = build_rig()
    with capture_logs() as logs:
        async with rig.gateway():
            item = marked(rig)
            item.fields["volume_m3"] = "marque-description"
            request = request_id(await rig.push(item))
            parked = await rig.state(request, State.PARKED)
    assert parked.reason == "unmappable"
    assert "volume_m3" in parked.detail
    assert leaks(repr(logs) + repr(parked)) == []


@pytest.mark.parametrize(
    "photo",
    [
        {"filename": "marque-fichier.png", "content": "marque-description"},
        {"filename": "marque-fichier.png", "url": "http://marque-nom.invalid/x"},
        {"filename": "marque-fichier.png", "url": "http://portail.invalid/marque-nom"},
        {
            "filename": "marque-fichier.png",
            "content_type": "image/png",
            "content": base64.b64encode(b"<!DOCTYPE html><p>marque-description").decode(),
            "content_is_base64": True,
        },
    ],
)
async def test_exceptions_name_no_value(rig: Rig, photo: dict[str, Any]) -> None:
    async with rig.gateway(run=False) as engine:
        body = marked(rig).document(rig.portal.base_url, push=True)
        body["fields"]["photo"] = photo
        content = json.dumps(body).encode()

        async def bring() -> None:
            formdata = parse_formdata(content, "application/json", limits=DEFAULT_LIMITS)
            await take_in(engine, "toodego", BRON, SLUG, formdata)

        with pytest.raises(GatewayError) as error, capture_logs() as logs:
            await bring()
    assert leaks(str(error.value) + repr(error.value) + repr(logs)) == []


async def test_an_internal_note_of_the_gru_is_kept_nowhere(rig: Rig, tmp_path: Path) -> None:
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.state(request, State.DONE, Kind.REPORT)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, None, "marque-message", internal=True)
        with capture_logs() as logs:
            await engine.changes.poll(rig.gru_config)
    assert leaks(repr(logs)) == []
    for name in (*OPEN_TABLES, "event", "request"):
        assert leaks(table(tmp_path, name)) == [], name
    assert await rig.database.read(requests.find, "toodego", SLUG, request) is not None
