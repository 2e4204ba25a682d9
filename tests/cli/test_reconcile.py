"""`portal reconcile`: what would be taken is listed, and taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.sim.control import now_utc
from gateway.sim.formdata import PARIS, Evolution, SimulatedFormdata, comment_part
from gateway.store import intake, requests
from gateway.store.engine import Database
from tests.contracts.five import SLUG
from tests.contracts.test_drift import KEY, Place, placed
from tests.files import edit

AGO = timedelta(hours=2)
FORM = "{reconcile: null}"


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Connected since yesterday, with forms that were sent two hours ago."""
    monkeypatch.setenv("FIVE_KEY", KEY)
    (tmp_path / "var").mkdir()
    async with placed(tmp_path) as found:
        edit(found.home.config / "gateway.yaml", FORM, "{commune: fields.commune_raw}")
        database = Database(found.home.url)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        await database.write(intake.record_routes, [("toodego", "69001", SLUG)], yesterday)
        database.close()
        yield found


def submit(place: Place, commune: str = "69001", *, due: bool = True) -> SimulatedFormdata:
    portal, at = place.portal, datetime.now(UTC) - AGO
    portal.clock = lambda: at
    fields = {"commune_raw": commune, "categorie": "Voirie", "categorie_raw": "voirie"}
    item = portal.submit(SLUG, fields | {"description": "Un trou"})
    if due:
        item.set_fields({"bo_a_transmettre": at.astimezone(PARIS).isoformat()}, at)
    portal.clock = now_utc
    return item


async def reconcile(place: Place, *arguments: str) -> tuple[int, Any]:
    told = await place.run("portal", "reconcile", "--dev", "--json", *arguments)
    return told.exit_code, json.loads(told.stdout)


async def test_it_lists_what_it_would_take_and_then_takes_it(place: Place) -> None:
    item = submit(place)
    submit(place, due=False)
    parts = [comment_part("message_usager", "Bonjour ?")]
    at = datetime.now(UTC) - AGO / 2
    item.history.append(Evolution(at, "evtmsg", None, "_submitter", parts))
    item.touch()
    code, (form,) = await reconcile(place, "--dry-run")
    assert code == 0
    assert [(one["ref"], one["commune"], one["what"]) for one in form["due"]] == [
        (item.id, "69001", "request"),
        (item.id, "69001", "message"),
    ]
    database = Database(place.home.url)
    assert await database.read(requests.listing) == []
    code, (form,) = await reconcile(place)
    assert (code, form["taken"], form["due"]) == (0, 2, [])
    (kept,) = await database.read(requests.listing)
    assert kept.ref == item.id
    database.close()
    code, (form,) = await reconcile(place, "--dry-run")
    assert (code, form["due"]) == (0, [])


async def test_what_cannot_be_taken_is_named(place: Place) -> None:
    item = submit(place, "75056")
    for arguments in (("--dry-run",), ()):
        code, (form,) = await reconcile(place, *arguments)
        assert code == 1
        (one,) = form["due"]
        assert (one["ref"], one["commune"], one["code"]) == (item.id, "75056", "unknown_commune")
    told = await asyncio.to_thread(place.home.run, "portal", "reconcile", "--dev")
    assert "1 that cannot be" in told.stdout
    assert "unknown_commune" in told.stdout


async def test_a_portal_that_does_not_answer_is_4(place: Place) -> None:
    place.portal.faults.fail(503)
    code, (form,) = await reconcile(place, "--dry-run")
    assert (code, form["failure"]) == (4, "busy")


async def test_a_form_that_does_not_tell_what_is_due_is_off(place: Place) -> None:
    edit(
        place.home.config / "gateway.yaml",
        "{commune: fields.commune_raw}",
        "{commune: fields.commune_raw, due: {field: null}}",
    )
    submit(place)
    told = await asyncio.to_thread(place.home.run, "portal", "reconcile", "--dev")
    assert told.exit_code == 0
    assert "off; nothing tells what is due" in told.stdout


async def test_an_unknown_teleservice_is_1(place: Place) -> None:
    told = await place.run("portal", "reconcile", "--teleservice", "etat-civil")
    assert told.exit_code == 1
    assert "etat-civil" in told.output
