"""A large file on its way through: byte for byte, piece by piece, and when its bytes vanish."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import Kind, State
from gateway.core.errors import Rejected, Unavailable
from gateway.sdk import Change, Document
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing
from gateway.store.rows import Acceptance, Reception
from gateway.store.tables import BLOB
from gateway.wire.clients import ConnectorTransport
from gateway.wire.formdata import parse_formdata
from gateway.wire.spool import BodyReader
from tests.files import names, open_below
from tests.flow.conftest import Builder
from tests.flow.rig import (
    BRON,
    DOCUMENT_AFTER,
    GRU_A,
    GRU_B,
    SLUG,
    UPLOAD_FIRST,
    Clock,
    Rig,
    request_id,
)
from tests.flow.scripted import Script
from tests.flow.test_files import with_files
from tests.intake import take_in

PDF = b"%PDF-1.7 " + random.Random(5).randbytes(5 * 1024 * 1024 + 1)
INLINE: dict[str, Any] = {
    "create": {"body": "=merge(payload, {pieces: files[].{contenu: content_base64}})"},
    "files": {"mode": "inline"},
    "max_answer": 50_000_000,  # the simulated GRU repeats what it was sent
}
WAYS: dict[str, dict[str, Any]] = {
    "inline": INLINE,
    "first": {
        "create": {"body": "=merge(payload, {uploads: files[].{token: token}})"},
        "files": UPLOAD_FIRST,
    },
    "after": {"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}},
}


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 65_536):
        yield body[at : at + 65_536]


async def push(rig: Rig, item: SimulatedFormdata, folder: Path) -> Acceptance:
    """Push as the portal does; the file goes to disk while it comes in."""
    body = json.dumps(item.document(rig.portal.base_url, push=True)).encode()
    with BodyReader(folder) as reader:
        taken = await reader.read(_chunks(body), len(body))
        assert len(taken.text) < 20_000
        formdata = parse_formdata(taken.text, None, limits=DEFAULT_LIMITS, texts=taken.texts)
        return await take_in(rig.engine, "toodego", BRON, SLUG, formdata)


def arrived(rig: Rig, request: str) -> list[bytes]:
    ticket = rig.ticket(request)
    inline = [base64.b64decode(one["contenu"]) for one in ticket.payload.get("pieces", ())]
    return inline + [document.content for document in ticket.documents]


@asynccontextmanager
async def over_sockets(build_rig: Builder, **options: Any) -> AsyncIterator[Rig]:
    """A rig whose first GRU is reached as in production."""
    sims = {lane: Ticketing(clock=Clock()) for lane in (GRU_A, GRU_B)}
    async with run_server(sims[GRU_A].app) as running:
        rig = build_rig(options={**options, "base_url": running.url}, grus=sims)
        rig.line.inner = ConnectorTransport(2)
        try:
            yield rig
        finally:
            await rig.line.inner.aclose()


def handles(folder: Path) -> list[str]:
    """Files of the folder that this process holds open, the database's apart."""
    return [one for one in open_below(folder) if "gateway.db" not in one]


@pytest.mark.parametrize("way", WAYS)
async def test_a_large_file_comes_out_as_it_went_in(
    build_rig: Builder, tmp_path: Path, way: str
) -> None:
    async with over_sockets(build_rig, **WAYS[way]) as rig, rig.gateway():
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        request = request_id(await push(rig, item, tmp_path))
        await rig.rest(request)
        assert arrived(rig, request) == [PDF]
        assert handles(tmp_path) == []
        again = await rig.push(item)  # in memory: the same content is the same request
        assert again.reception is Reception.SAME


@pytest.mark.parametrize("way", ["inline", "first"])
async def test_a_reply_lost_behind_a_large_file_makes_no_second_one(
    build_rig: Builder, tmp_path: Path, way: str
) -> None:
    async with over_sockets(build_rig, **WAYS[way]) as rig, rig.gateway():
        rig.gru.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", first=1))
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        request = request_id(await push(rig, item, tmp_path))
        await rig.failed(request, "no_answer")
        await rig.rest_in_time(request)
        assert rig.line.count("POST", "/api/tickets") == 1
        assert arrived(rig, request) == [PDF]


async def test_a_busy_gru_is_sent_the_whole_file_anew(build_rig: Builder, tmp_path: Path) -> None:
    async with over_sockets(build_rig, **WAYS["first"]) as rig, rig.gateway():
        rig.gru.faults.fail(503, when=FaultCondition(path="/api/uploads", first=2))
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        request = request_id(await push(rig, item, tmp_path))
        await rig.rest_in_time(request)
        assert arrived(rig, request) == [PDF]


async def test_bytes_that_vanish_under_way_leave_it_unsure_and_no_half_file(
    build_rig: Builder, tmp_path: Path
) -> None:
    async with over_sockets(build_rig, **INLINE) as rig, rig.gateway(run=False):
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        request = request_id(await push(rig, item, tmp_path))
        lost = await rig.database.write(_take_away, 3)
        rig.start()
        one = await rig.failed(request, "no_answer")
        assert one.state is State.UNSURE
        assert rig.line.calls == [("POST", "/api/tickets")]
        assert rig.gru.tickets == [], "half a body is none"
        await rig.database.write(lambda c: c.execute(insert(BLOB), lost))
        await rig.rest_in_time(request)
        assert ("GET", "/api/tickets") in rig.line.calls
        assert arrived(rig, request) == [PDF]


async def test_bytes_that_are_gone_before_send_nothing(build_rig: Builder, tmp_path: Path) -> None:
    async with over_sockets(build_rig, **INLINE) as rig, rig.gateway(run=False):
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        request = request_id(await push(rig, item, tmp_path))
        await rig.database.write(_take_away, 0)
        rig.start()
        one = await rig.state(request, State.PARKED)
        assert (one.reason, "LookupError" in one.detail) == ("bug", True)
        assert rig.gru.tickets == []


def _take_away(connection: Connection, beginning: int) -> list[dict[str, Any]]:
    """The pieces from this one on, which are no longer in the database."""
    rows = connection.execute(select(BLOB).where(BLOB.c.n >= beginning)).mappings().all()
    connection.execute(delete(BLOB).where(BLOB.c.n >= beginning))
    return [dict(row) for row in rows]


# --- from the portal, and to it --------------------------------------------------------------


async def test_a_large_file_by_its_address_or_in_a_missed_push_is_the_same(
    build_rig: Builder, tmp_path: Path
) -> None:
    rig = build_rig(options=INLINE, data_dir=tmp_path)
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        by_address = item.document(rig.portal.base_url, push=True, files=False)
        formdata = parse_formdata(json.dumps(by_address).encode(), None, limits=DEFAULT_LIMITS)
        took = await take_in(rig.engine, "toodego", BRON, SLUG, formdata)
        assert took.reception is Reception.NEW
        pushed = await push(rig, item, tmp_path)
        assert pushed.reception is Reception.SAME
        missed = with_files(rig, photo=("plan.pdf", "application/pdf", PDF + b"!"))
        rig.advance(120)
        teleservice = rig.catalogue.portals["toodego"].teleservices[SLUG]
        assert await rig.engine.reconciler.reconcile("toodego", teleservice) == 1
        found = await push(rig, missed, tmp_path)
        assert found.reception is Reception.SAME
        rig.start()
        await rig.rest(request_id(took), request_id(found))
    assert arrived(rig, request_id(took)) == [PDF]
    assert arrived(rig, request_id(found)) == [PDF + b"!"]
    assert [one for one in names(tmp_path) if "gateway.db" not in one] == []
    assert handles(tmp_path) == []


async def test_a_disk_that_cannot_be_written_is_no_refusal(
    build_rig: Builder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    rig = build_rig(options=INLINE, data_dir=tmp_path / "file")
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("plan.pdf", "application/pdf", PDF))
        body = item.document(rig.portal.base_url, push=True, files=False)
        formdata = parse_formdata(json.dumps(body).encode(), None, limits=DEFAULT_LIMITS)
        with pytest.raises(Unavailable):
            await take_in(rig.engine, "toodego", BRON, SLUG, formdata)


async def test_a_large_page_that_calls_itself_a_photo_is_refused(rig: Rig, tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html>" + b"<p>" * 300_000
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", page))
        with pytest.raises(Rejected) as refusal:
            await push(rig, item, tmp_path)
    assert refusal.value.code == "dangerous_file"
    assert handles(tmp_path) == []


async def test_a_large_office_document_keeps_its_type(build_rig: Builder, tmp_path: Path) -> None:
    """The end of a file tells a text document from a sheet."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    content = b"PK\x03\x04" + PDF[100:] + b"[Content_Types].xml" + b"word/document.xml"
    rig = build_rig(options=WAYS["first"])
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", content))
        request = request_id(await push(rig, item, tmp_path))
        await rig.rest(request)
    (document,) = rig.ticket(request).documents
    assert (document.content_type, document.content) == (kind, content)


async def test_a_large_document_of_the_gru_reaches_the_citizen(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway() as engine:
        item, request = await scripted.send()
        await scripted.rest(request)
        document = Document("arrete.pdf", "application/pdf", PDF)
        told: dict[str, Any] = {"status": "resolved", "public": True, "documents": (document,)}
        script.tell(Change("d1", gru_reference="1", **told))
        await engine.changes.poll(scripted.gru_config)
        await scripted.rest(request)
        assert {d.state for d in await scripted.deliveries(request, Kind.REPORT)} == {State.DONE}
    assert scripted.told(item)[-1]["document_nom"] == "arrete.pdf"
    assert scripted.documents(item) == [("arrete.pdf", PDF)]
