"""Files are looked at both ways: what is found is refused, and nothing passes unchecked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, select

from gateway.core.errors import Rejected, Unavailable
from gateway.core.request import Attachment
from gateway.flow.antivirus import Antivirus
from gateway.flow.environment import Environment
from gateway.ops.health import health
from gateway.ops.shapes import Overall
from gateway.sdk import Change, Document
from gateway.store import untold
from gateway.store.sealed import ATTACHMENT_COLUMNS, read_attachment
from gateway.store.tables import ATTACHMENT
from gateway.wire.clamav import Clamd
from tests.adapters.mail_servers import listening
from tests.clamd import EICAR, SimulatedClamd
from tests.flow.conftest import Builder
from tests.flow.rig import Rig
from tests.flow.scripted import Script
from tests.flow.test_files import FIRST, PNG, with_files
from tests.flow.test_told import created, poll


@asynccontextmanager
async def looked_at(rig: Rig) -> AsyncIterator[SimulatedClamd]:
    """A scanner for the gateway that runs."""
    server = SimulatedClamd()
    async with listening(server.serve) as port:
        rig.engine.antivirus.clamd = Clamd(f"tcp://127.0.0.1:{port}", 5)
        yield server


async def test_a_citizens_file_is_looked_at_before_it_is_taken(build_rig: Builder) -> None:
    rig = build_rig(options=FIRST)
    async with rig.gateway(run=False), looked_at(rig) as clamd:
        bad = with_files(rig, photo=("a.png", "image/png", PNG + EICAR))
        for _ in range(2):
            with pytest.raises(Rejected) as refusal:
                await rig.push(bad)
            assert (refusal.value.status, refusal.value.code) == (415, "virus_found")
        await rig.push(with_files(rig, photo=("a.png", "image/png", PNG)))
        assert clamd.seen[-1] == PNG


async def test_nothing_passes_while_the_scanner_is_away(build_rig: Builder) -> None:
    rig = build_rig(options=FIRST)
    async with rig.gateway(run=False):
        rig.engine.antivirus.clamd = Clamd("unix:/nulle/part", 5)
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        with pytest.raises(Unavailable):
            await rig.push(item)
        await rig.push(rig.submit())  # without a file nobody is asked
        part = (await health(rig.engine, ready=True, started_at=rig.clock())).antivirus
        assert part is not None
        assert part.state is Overall.DEGRADED
        async with looked_at(rig):
            part = (await health(rig.engine, ready=True, started_at=rig.clock())).antivirus
            assert part is not None
            assert part.state is Overall.OK
            await rig.push(item)


async def test_a_file_of_the_commune_with_a_virus_is_for_a_person_and_its_words_are_told(
    scripted: Rig, script: Script
) -> None:
    good = Document("a.pdf", "application/pdf", b"%PDF-1.4 a")
    bad = Document("b.pdf", "application/pdf", b"%PDF-1.4 " + EICAR)
    async with scripted.gateway(), looked_at(scripted):
        item, request = await created(scripted)
        note = Change("n1", reference=request, message="Voici.", public=True, documents=(good, bad))
        for _ in range(2):
            await poll(scripted, script, note)
        (waits,) = await scripted.database.read(untold.listing)
        assert (waits.reason, waits.person) == ("virus_found", True)
    told = scripted.told(item)[1:]
    assert [(one["message"], one.get("document_nom")) for one in told] == [("Voici.", "a.pdf")]


async def test_a_file_of_the_commune_has_the_type_of_its_bytes(
    scripted: Rig, script: Script
) -> None:
    """By any adapter: a page or a program under another type is for a person, and never kept."""
    files = (
        Document("a.pdf", "image/png", b"%PDF-1.4 a"),
        Document("b.pdf", "application/pdf", b"<!doctype html><script>alert(1)</script>"),
        Document("c.png", "image/png", b"MZ\x90"),
        Document("d.odt", "application/vnd.oasis.opendocument.text", b"PK\x03\x04"),
    )
    async with scripted.gateway():
        item, request = await created(scripted)
        note = Change("n1", reference=request, message="Voici.", public=True, documents=files)
        for _ in range(2):
            await poll(scripted, script, note)
        waits = await scripted.database.read(untold.listing)
        assert [(one.reason, one.person) for one in waits] == [("dangerous_document", True)] * 2
        mine = select(*ATTACHMENT_COLUMNS).where(ATTACHMENT.c.field == "document")

        def documents(connection: Connection) -> list[Attachment]:
            return [read_attachment(connection, row) for row in connection.execute(mine).all()]

        found = await scripted.database.read(documents)
        assert sorted((one.filename, one.content_type) for one in found) == [
            ("a.pdf", "application/pdf"),
            ("d.odt", "application/vnd.oasis.opendocument.text"),
        ]
    told = [one["document_nom"] for one in scripted.told(item)[1:] if one.get("document_nom")]
    assert told == ["a.pdf", "d.odt"]


async def test_what_the_commune_gives_waits_for_the_scanner(scripted: Rig, script: Script) -> None:
    pdf = Document("a.pdf", "application/pdf", b"%PDF-1.4 a")
    async with scripted.gateway():
        item, request = await created(scripted)
        note = Change("n1", reference=request, message="Voici.", public=True, documents=(pdf,))
        scripted.engine.antivirus.clamd = Clamd("unix:/nulle/part", 5)
        with pytest.raises(Unavailable):
            await poll(scripted, script, note)
        async with looked_at(scripted):
            await poll(scripted, script, note)
    assert [one.get("document_nom") for one in scripted.told(item)[1:]] == ["a.pdf"]


async def test_nobody_is_asked_where_no_scanner_is_configured() -> None:
    antivirus = Antivirus(None, Environment())
    assert await antivirus.infected(()) == frozenset()
