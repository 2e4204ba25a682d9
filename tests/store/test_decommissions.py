"""The statements of a commune's end, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, update

from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import Kind, State
from gateway.core.errors import Conflict, NotFound
from gateway.flow import decommission
from gateway.store import (
    accepting,
    decommissions,
    departed,
    departing,
    intake,
    marker_search,
    requests,
    trail,
)
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE, TARGET
from gateway.store.outbox import lanes
from gateway.store.tables import REQUEST
from tests.builders import NOW, incoming, leaving, service_request
from tests.flow.rig import BRON
from tests.store.acts import claim_one, settle


async def test_both_databases(store: Database) -> None:
    """Each statement, on a request that was delivered, one that was not, and one of an erased
    person, which stays as a proof."""
    kept = await store.write(accepting.accept, incoming(service_request(ref="1")))
    await store.write(accepting.accept, incoming(service_request(ref="2")))
    erased = await store.write(accepting.accept, incoming(service_request(ref="3")))
    assert kept.request is not None
    assert erased.request is not None
    commune, portal = kept.request.commune, kept.request.portal
    await store.write(_proves_an_erasure, erased.request.id)
    claimed = await claim_one(store, limit=1)
    assert claimed.request.id == kept.request.id
    one = leaving(commune=commune, portal=portal)
    await store.write(decommissions.announce, one)
    with pytest.raises(Conflict):
        await store.write(
            decommissions.announce, leaving(commune=commune, portal=portal, id="DEC-2")
        )
    work = await store.read(departing.count_owed, commune)
    assert (work.requests, work.open, work.waiting) == (2, 2, 3)
    await store.write(decommissions.advance, one, DecommissionStep.DRAINING, NOW)
    assert await store.read(decommissions.departed) == [commune]
    assert not await store.write(decommissions.advance, one, DecommissionStep.DRAINING, NOW)
    ids = (f"id-{n}" for n in count())
    settled = await store.write(departing.settle, commune, "Bron", ids.__next__, NOW, "", 10)
    assert settled is not None
    assert settled.numbers == {"dropped": 2, "to_tell": 1, "erasures_owed": 0}
    assert await store.read(departing.unsettled, commune) == 1, "a call is under way"
    await settle(store, claimed, State.DONE)
    again = await store.write(departing.settle, commune, "Bron", ids.__next__, NOW, "", 10)
    assert again is not None
    assert again.numbers["to_tell"] == 1
    assert await store.read(departing.unsettled, commune) == 0
    await store.write(departing.drop_reports, commune, NOW)
    assert await store.read(departing.count_told, commune) == {"told": 0, "untold": 2}
    await store.write(departing.pause_grus, commune)
    await store.write(departing.withdraw_release, commune, NOW)
    await store.write(departed.store_markers, "DEC-1", commune)
    markers = await store.read(departed.read_markers, "DEC-1")
    # To another commune they are its own: one formdata may have been both's.
    assert await store.read(departed.shared_markers, "69266", markers) == {*markers}
    gone = await store.write(departed.delete_requests, commune, "DEC-1", "", 10)
    assert gone is not None
    assert gone.numbers == {"requests": 2, "files": 0}
    assert await store.write(departed.delete_requests, commune, "DEC-1", gone.last, 10) is None
    await store.write(departed.delete_rest, commune)
    rows = await store.read(departed.rows_left, commune)
    assert set(rows.values()) == {0}
    assert await store.read(departed.kept, commune) == 1
    markers = await store.read(departed.read_markers, "DEC-1")
    assert await store.read(departed.shared_markers, commune, markers) == set()
    assert await store.read(marker_search.search_tables, markers) == []
    assert await store.read(marker_search.search_tables, ["Fin de la convention"]) == [
        "decommission",
        "trail",
    ]
    await store.write(departed.forget_markers, "DEC-1")
    assert await store.read(departed.read_markers, "DEC-1") == []
    with pytest.raises(Conflict):
        await store.write(decommissions.reopen, commune, "A. Agent", NOW)


async def test_a_request_is_told_to_the_portal_that_it_came_from(store: Database) -> None:
    """The commune has moved to another portal since."""
    former = await store.write(
        accepting.accept, incoming(service_request(ref="1", portal="ancien"))
    )
    assert former.request is not None
    commune = former.request.commune
    await store.write(decommissions.announce, leaving(commune=commune, portal="toodego"))
    assert await store.read(departing.portals_of, commune) == ["ancien"]
    ids = (f"id-{n}" for n in count())
    await store.write(departing.settle, commune, "Bron", ids.__next__, NOW, "", 10)
    trace = await store.read(requests.trace, former.request.id)
    assert trace is not None
    (report,) = [one for one in trace.deliveries if one.kind is Kind.REPORT]
    assert (report.lane, report.state) == (f"portal:ancien:{commune}", State.WAITING)
    work = await store.read(departing.count_owed, commune)
    assert (work.reports, work.waiting) == (1, 0)
    assert await store.read(departing.unsettled, commune) == 0
    await store.write(lanes.pause, report.lane, True)
    await store.write(intake.pass_over, "ancien", "voirie", "9", "no_route", "69999", NOW)
    await store.write(departed.delete_requests, commune, "DEC-1", "", 10)
    left = await store.read(departed.rows_left, commune, ("69999",))
    assert (left["lane"], left["passed_over"]) == (1, 1)
    await store.write(departed.delete_rest, commune, ("69999",))
    assert set((await store.read(departed.rows_left, commune, ("69999",))).values()) == {0}


def test_a_search_takes_no_lock_from_the_database_that_is_at_work(
    tmp_path: Path, template: Path
) -> None:
    """A file of the database that is closed in this process takes the locks along; the next command
    that ends would then delete the log into which this process goes on writing."""
    place = tmp_path / "gateway.db"
    shutil.copyfile(template, place)
    database = Database(f"sqlite:///{place}")
    try:
        asyncio.run(database.write(accepting.accept, incoming(service_request(ref="MARQUEUR-1"))))
        files = sorted(tmp_path.iterdir())
        assert {str(place.with_name("gateway.db-wal"))} <= set(map(str, files))
        assert marker_search.search_files(files, ["MARQUEUR-1"])
        assert marker_search.search_files(files, ["MARQUEUR-2"]) == []
        command = (
            f"import sqlite3; c = sqlite3.connect({str(place)!r});"
            "c.execute('SELECT 1 FROM request').fetchall(); c.close()"
        )
        subprocess.run([sys.executable, "-c", command], check=True)
        assert place.with_name("gateway.db-wal").exists(), "it is in use here"
        asyncio.run(database.write(accepting.accept, incoming(service_request(ref="MARQUEUR-2"))))
        with contextlib.closing(sqlite3.connect(place)) as other:
            (seen,) = other.execute("SELECT count(*) FROM request").fetchone()
        assert seen == 2
    finally:
        database.close()
    with pytest.raises(OSError, match="IsADirectory"):
        marker_search.search_files([tmp_path], ["x"])
    assert marker_search.search_files([tmp_path / "gone"], ["x"]) == []


def _proves_an_erasure(connection: Connection, request_id: str) -> None:
    connection.execute(
        insert(ERASURE).values(
            id="ERA-1",
            run="RUN-1",
            mark="ab",
            source="events",
            state="closed",
            found_at=NOW,
            reason="",
            requests=1,
            files=0,
            told="",
        )
    )
    connection.execute(
        insert(TARGET).values(erasure_id="ERA-1", request_id=request_id, commune=BRON, gru="outil")
    )
    connection.execute(
        update(REQUEST).where(REQUEST.c.id == request_id).values(erased_at=NOW, api_url=None)
    )


async def test_it_may_be_given_up_hurried_and_taken_back(store: Database) -> None:
    with pytest.raises(NotFound):
        await decommission.cancel(store, BRON, "A. Agent", NOW)
    await decommission.announce(store, leaving(stop_at=NOW + timedelta(days=3)))
    await decommission.hurry(store, BRON, "A. Agent", NOW)
    one = await store.read(decommissions.current, BRON)
    assert one is not None
    assert one.stop_at == NOW
    await decommission.cancel(store, BRON, "A. Agent", NOW)
    assert await store.read(decommissions.every) == []
    await decommission.announce(store, leaving(id="DEC-2"))
    one = await store.read(decommissions.current, BRON)
    for step in ("DRAINING", "TELLING", "ERASING", "ENDED"):
        assert one is not None
        assert await store.write(decommissions.advance, one, DecommissionStep[step], NOW)
        one = await store.read(decommissions.current, BRON)
    with pytest.raises(Conflict):
        await decommission.cancel(store, BRON, "A. Agent", NOW)
    with pytest.raises(Conflict):
        await decommission.hurry(store, BRON, "A. Agent", NOW)
    with pytest.raises(Conflict):
        await store.write(decommissions.refuse_departed, {BRON: "digest"})
    await decommission.reopen(store, BRON, "A. Agent", NOW)
    await store.write(decommissions.refuse_departed, {BRON: "digest"})
    assert await store.read(trail.verify, decommissions.STREAM) == []
