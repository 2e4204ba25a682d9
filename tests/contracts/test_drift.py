"""Form drift: what the portal's designer changed, and which mapping lines and communes it hits."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway import app
from gateway.catalogue.build import build as build_catalogue
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.relays import relay_of
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.contracts.drift import (
    DriftKind,
    DriftReading,
    find_drift,
    find_unwatched,
    read_forms,
    routes_of,
)
from gateway.contracts.form_schema import read_schema
from gateway.core.expression import compile_expression
from gateway.core.workflow import DONE
from gateway.flow.engine import open_engine
from gateway.ops.health import health
from gateway.ops.shapes import Overall
from gateway.sim.form import Field, Form
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.workflow import read_workflow
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.wire.portal import PortalClient
from gateway.wire.wcs_workflow import workflow_of
from tests.contracts import five
from tests.contracts.five import FIRST, FIVE, SECOND, SLUG, Home

KEY = "cle-fictive-des-cinq"
ONE, TWO = (f"mappings/{SLUG}/{name}.yaml" for name in ("premiere", "seconde"))


@dataclass
class Place:
    """A configured gateway beside a simulated portal."""

    home: Home
    form: Form
    portal: SimulatedPortal

    def catalogue(self) -> Catalogue:
        bundle = read_bundle(self.home.config, self.home.mappings)
        return build_catalogue(bundle, environ=os.environ)

    async def look(
        self, *, accept: bool = False, catalogue: Catalogue | None = None
    ) -> DriftReading:
        catalogue = catalogue or self.catalogue()
        database = Database(self.home.url)
        try:
            async with open_engine(catalogue, database) as engine:
                (found,) = await read_forms(engine, "toodego", accept=accept)
                return found
        finally:
            database.close()

    async def run(self, *arguments: str) -> Any:
        return await asyncio.to_thread(self.home.run, *arguments)


@asynccontextmanager
async def placed(folder: Path) -> AsyncIterator[Place]:
    portal = SimulatedPortal(keys={"passerelle": KEY})
    categories = Field("categorie", "Catégorie", "item", items=("voirie", "proprete"))
    fields = [categories, Field("description", "Description", "text"), Field("autre", "Autre")]
    form = portal.define(SLUG, fields=fields, hooks=["retour_commune"])
    async with run_server(portal.app) as at:
        home = five.build(folder, portal=at.url)
        await asyncio.to_thread(upgrade, home.url)
        yield Place(home, form, portal)


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("FIVE_KEY", KEY)
    (tmp_path / "var").mkdir()
    async with placed(tmp_path) as found:
        yield found


def _rename(form: Form) -> None:
    form.rename_field("description", "texte")


def _remove(form: Form) -> None:
    form.remove_field("categorie")


def _retype(form: Form) -> None:
    form.find_field("description").type = "items"


def _option(form: Form) -> None:
    form.find_field("categorie").items = ("voirie", "proprete", "eclairage")


def _hook(form: Form) -> None:
    form.hooks.clear()


def _status(form: Form) -> None:
    form.statuses.remove(form.status("terminee"))


@pytest.mark.parametrize(
    ("change", "kind", "what", "line"),
    [
        (_rename, DriftKind.RENAMED_FIELD, "description", 13),
        (_remove, DriftKind.REMOVED_FIELD, "categorie", 12),
        (_retype, DriftKind.CHANGED_TYPE, "description", 13),
        (_option, DriftKind.NEW_OPTION, "categorie", 6),
        (_hook, DriftKind.VANISHED_HOOK, "retour_commune", 17),
        (_status, DriftKind.VANISHED_STATUS, "terminee", 17),
    ],
)
async def test_what_the_designer_changed_is_named_with_its_lines_and_communes(
    place: Place, change: Callable[[Form], None], kind: DriftKind, what: str, line: int
) -> None:
    assert (await place.look()).drift == ()
    change(place.form)
    for _ in range(2):  # and it is not forgotten by having been told
        (drift,) = (await place.look()).drift
        assert (drift.kind, drift.what) == (kind, what)
        assert [(p.file, p.line) for p in drift.places] == [(ONE, line), (TWO, line)]
        assert drift.communes == FIVE


async def test_a_renamed_field_is_guessed_and_told_to_be_fitting_once_the_mapping_follows(
    place: Place,
) -> None:
    await place.look()
    _rename(place.form)
    (drift,) = (await place.look()).drift
    assert drift.detail.what() == "seems to have become `texte`"
    place.home.edit(ONE, "texte: fields.description", "texte: fields.texte")
    (drift,) = (await place.look()).drift
    assert drift.communes == SECOND
    assert [p.file for p in drift.places] == [TWO]
    place.home.edit(TWO, "texte: fields.description", "texte: fields.texte")
    assert (await place.look()).drift == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda form: form.rename_field("autre", "encore"),
        lambda form: form.remove_field("autre"),
        lambda form: form.fields.append(Field("nouveau", "Nouveau")),
        lambda form: form.add_hook("autre_action"),
    ],
)
async def test_what_no_mapping_uses_is_nobodys_business(
    place: Place, change: Callable[[Form], None]
) -> None:
    await place.look()
    change(place.form)
    assert (await place.look()).drift == ()


async def test_a_table_with_a_default_takes_any_new_option(place: Place) -> None:
    for file in (ONE, TWO):
        place.home.edit(file, "    entries:\n", "    default: DIVERS\n    entries:\n")
    await place.look()
    _option(place.form)
    assert (await place.look()).drift == ()


async def test_a_field_that_never_was_is_told_at_the_first_look(place: Place) -> None:
    place.form.remove_field("description")
    (drift,) = (await place.look()).drift
    assert (drift.kind, drift.what) == (DriftKind.MISSING_FIELD, "description")


async def test_what_a_person_accepts_is_told_no_more(place: Place) -> None:
    await place.look()
    _option(place.form)
    _status(place.form)
    assert len((await place.look()).drift) == 2
    assert (await place.look(accept=True)).drift == ()
    assert (await place.look()).drift == ()


async def test_a_hook_that_the_mapping_calls_cannot_be_accepted_away(place: Place) -> None:
    await place.look()
    _hook(place.form)
    assert [one.kind for one in (await place.look()).drift] == [DriftKind.VANISHED_HOOK]
    for accept in (True, False):
        found = await place.look(accept=accept)
        assert [one.kind for one in found.drift] == [DriftKind.MISSING_HOOK]


async def test_a_workflow_that_is_no_longer_the_one_we_write_is_told(place: Place) -> None:
    """It cannot be accepted away."""
    catalogue = place.catalogue()
    portal = catalogue.portals["toodego"]
    form = replace(portal.teleservices[SLUG], commune_path=compile_expression("fields.categorie"))
    portal = replace(portal, teleservices={**portal.teleservices, SLUG: form})
    ours = replace(catalogue, portals={**catalogue.portals, "toodego": portal})
    elsewhere = replace(ours.settings, public_url="https://ailleurs.invalid")
    relay, _ = relay_of(ours, SLUG)
    place.form.follow(read_workflow(workflow_of(relay)))
    assert (await place.look(catalogue=ours)).drift == ()
    ours = replace(ours, settings=elsewhere)
    for accept in (False, True):
        (drift,) = (await place.look(catalogue=ours, accept=accept)).drift
        assert (drift.kind, drift.communes) == (DriftKind.OLD_WORKFLOW, tuple(FIVE))


async def test_a_portal_that_cannot_be_read_is_no_drift(place: Place) -> None:
    await place.look()
    _rename(place.form)
    assert len((await place.look()).drift) == 1
    place.portal.forms.pop(SLUG)
    found = await place.look()
    assert (found.failure, found.drift) == ("unknown_teleservice", ())
    # What was found before is still there, and so is the form to compare with.
    place.portal.forms[SLUG] = place.form
    (drift,) = (await place.look()).drift
    assert drift.kind is DriftKind.RENAMED_FIELD


async def test_the_log_and_the_health_say_it(place: Place) -> None:
    bundle = read_bundle(place.home.config, place.home.mappings)
    catalogue = build_catalogue(bundle, environ=os.environ)
    database = Database(place.home.url)
    try:
        async with open_engine(catalogue, database) as engine:
            await read_forms(engine, "toodego")
            before = await health(engine, ready=True, started_at=engine.environment.now())
            assert before.drift is not None
            assert (before.drift.state, before.drift.found) == (Overall.OK, ())
            _rename(place.form)
            with capture_logs() as logs:
                await read_forms(engine, "toodego")
            (event,) = (one for one in logs if one["event"] == "drift.found")
            assert event["places"] == [f"{ONE}:13", f"{TWO}:13"]
            assert event["communes"] == list(FIVE)
            after = await health(engine, ready=True, started_at=engine.environment.now())
            assert after.status is not Overall.OK
            assert after.drift is not None
            (found,) = after.drift.found
            assert (found.kind, found.what) == ("renamed_field", "description")
            assert found.places == (f"{ONE}:13", f"{TWO}:13")
    finally:
        database.close()


async def test_the_command_says_it_and_exits_accordingly(place: Place) -> None:
    fits = await place.run("contract", "drift")
    assert (fits.exit_code, fits.output) == (0, f"toodego {SLUG}: fits\n")
    _rename(place.form)
    drifted = await place.run("contract", "drift")
    assert drifted.exit_code == 1
    assert "renamed field `description`: seems to have become `texte`" in drifted.output
    one, two = (place.home.folder / name for name in (ONE, TWO))
    assert f"  {one}:13 (texte)\n  {two}:13 (texte)\n" in drifted.output, "as they can be opened"
    assert f"communes: {', '.join(FIVE)}" in drifted.output
    unknown = await place.run("contract", "drift", "--portal", "ailleurs")
    assert unknown.exit_code == 1
    place.portal.forms.pop(SLUG)
    assert (await place.run("contract", "drift")).exit_code == 4


async def test_the_command_looks_at_what_runs_unless_told_otherwise(place: Place) -> None:
    await asyncio.to_thread(place.home.release_all)
    await place.look()
    _rename(place.form)
    place.home.edit(ONE, "texte: fields.description", "texte: fields.texte")
    (running,) = await asyncio.to_thread(place.home.json, "contract", "drift", code=1)
    assert running["drift"][0]["communes"] == list(FIVE)
    files = await asyncio.to_thread(place.home.json, "contract", "drift", "--files", code=1)
    assert files[0]["drift"][0]["communes"] == list(SECOND)
    assert set(FIRST).isdisjoint(files[0]["drift"][0]["communes"])


async def test_the_daemon_reports_a_renamed_field_within_one_poll(place: Place) -> None:
    bundle = read_bundle(place.home.config, place.home.mappings)
    catalogue = build_catalogue(bundle, environ=os.environ)
    portals = {"toodego": replace(catalogue.portals["toodego"], drift=1)}
    port = _free_port()
    settings = replace(catalogue.settings, port=port)
    catalogue = replace(catalogue, portals=portals, settings=settings)
    ready, stop = asyncio.Event(), asyncio.Event()
    daemon = asyncio.create_task(app.serve(catalogue, ready=ready, stop=stop))
    try:
        await asyncio.wait_for(ready.wait(), 60)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def found() -> list[Any]:
                part = (await client.get("/ops/health")).json()["drift"]
                listed: list[Any] = part["found"]
                return listed

            for _ in range(200):
                if await _forms(place):
                    break
                await asyncio.sleep(0.05)
            assert await found() == []
            _rename(place.form)
            async with asyncio.timeout(60):
                while not (listed := await found()):  # noqa: ASYNC110 (a page has no event)
                    await asyncio.sleep(0.05)
        (one,) = listed
        assert (one["kind"], one["places"]) == ("renamed_field", [f"{ONE}:13", f"{TWO}:13"])
        assert one["communes"] == list(FIVE)
    finally:
        stop.set()
        await daemon


async def _forms(place: Place) -> int:
    from gateway.store import forms

    database = Database(place.home.url)
    try:
        return len(await database.read(forms.forms))
    finally:
        database.close()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_hook_that_never_was_is_found_at_the_first_look(place: Place) -> None:
    place.form.hooks.clear()
    found = await place.look()
    assert [(one.kind, one.what) for one in found.drift] == [
        (DriftKind.MISSING_HOOK, "retour_commune")
    ]


SCHEMA: dict[str, Any] = {
    "fields": [
        {"varname": "categorie", "label": "C", "type": "item", "data_source": {"type": "themes"}},
        {"varname": "description", "label": "D", "type": "text"},
        {"varname": "autre", "label": "A", "type": "string"},
    ],
    "workflow": {
        "fields": [],
        "actions": {"global-action:retour_commune": {"label": "Retour (retour_commune)"}},
        "statuses": [],
    },
}


async def test_options_of_a_data_source_are_watched_where_the_portal_shows_them(
    place: Place,
) -> None:
    catalogue = build_catalogue(
        read_bundle(place.home.config, place.home.mappings), environ=os.environ
    )
    routes = routes_of(catalogue, "toodego", SLUG)
    (list_,) = find_unwatched(routes, SCHEMA)
    assert (list_.field, list_.source) == ("categorie", "themes")
    assert {one.file for one in list_.places} <= {ONE, TWO}
    drift = find_drift(catalogue, "toodego", SLUG, routes, None, SCHEMA)
    assert [(one.kind, one.what) for one in drift] == [(DriftKind.MISSING_MARK, DONE)]

    cards = copy.deepcopy(SCHEMA)
    cards["fields"][0]["data_source"] = {"type": "carddef:themes:actifs"}

    def answers(request: httpx.Request) -> httpx.Response:
        if "/api/cards/" not in request.url.path:
            return httpx.Response(200, json=copy.deepcopy(cards))
        assert request.url.path == "/api/cards/themes/list/actifs"
        return httpx.Response(200, json={"err": 0, "data": [{"id": "voirie", "text": "Voirie"}]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as http:
        client = PortalClient(
            "https://portail.exemple.invalid",
            http,
            orig=None,
            key=None,
            basic=None,
            now=lambda: datetime.now(UTC),
            nonce=str,
            max_file_bytes=DEFAULT_LIMITS.max_file_bytes,
        )
        schema = await read_schema(client, SLUG)
    assert isinstance(schema, dict)
    assert find_unwatched(routes, schema) == ()
    later = copy.deepcopy(schema)
    later["fields"][0]["items"].append("patinoire")
    kinds = {one.kind for one in find_drift(catalogue, "toodego", SLUG, routes, schema, later)}
    assert kinds == {DriftKind.MISSING_MARK, DriftKind.NEW_OPTION}
