"""The trials of a portal's form by `check`, before the first request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue, DueMark
from gateway.catalogue.relays import relay_of
from gateway.contracts import drift
from gateway.contracts.portal_check import PortalFinding, check_form, said_of
from gateway.core.expression import compile_expression
from gateway.core.messages import plain as said
from gateway.flow.engine import open_engine
from gateway.sim.form import Field
from gateway.sim.portal import SimulatedPortal
from gateway.sim.workflow import WorkflowStatus, plain_workflow, read_workflow
from gateway.store.engine import Database
from gateway.wire.wcs_workflow import VERSION, workflow_of
from tests.contracts.five import SLUG
from tests.contracts.test_drift import KEY, Place, placed
from tests.files import edit

_FIELD = "fields.commune_raw"


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("FIVE_KEY", KEY)
    (tmp_path / "var").mkdir()
    async with placed(tmp_path) as found:
        yield found


async def checked(
    place: Place, changed: Callable[[Catalogue], Catalogue] = lambda catalogue: catalogue
) -> list[PortalFinding]:
    bundle = read_bundle(place.home.config, place.home.mappings)
    catalogue = changed(build(bundle, environ=os.environ))
    database = Database(place.home.url)
    try:
        async with open_engine(catalogue, database) as engine:
            return await check_form(engine.portals["toodego"], catalogue, "toodego", SLUG)
    finally:
        database.close()


def _submit(portal: SimulatedPortal) -> None:
    portal.submit(SLUG, {"categorie": "voirie", "description": "x"})


def _roleless(portal: SimulatedPortal) -> None:
    _submit(portal)
    portal.roleless = frozenset({"passerelle"})


def _hookless(portal: SimulatedPortal) -> None:
    _submit(portal)
    portal.forms[SLUG].hooks.clear()


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        (lambda portal: None, "warning", "pas encore de demande"),
        (_submit, "ok", "peut appeler l'action retour_commune"),
        (_roleless, "fault", "n'a pas de rôle sur ce formulaire"),
        (_hookless, "fault", "action absente `retour_commune`"),
    ],
)
async def test_what_the_daemon_will_need_is_tried(
    place: Place, state: Callable[[SimulatedPortal], None], level: str, words: str
) -> None:
    state(place.portal)
    noted = await checked(place)
    assert (noted[0].level, noted[0].said.what("fr")) == (
        "ok",
        f"notre signature lit la liste de {SLUG}",
    )
    (found,) = [one for one in noted if words in one.said.what("fr")]
    assert found.level == level
    assert bool(found.said.remedy("fr")) is (level != "ok")
    assert any(one.level == "fault" for one in noted) is (level == "fault")


async def test_a_saved_form_is_held_against_the_mappings_without_the_portal(place: Place) -> None:
    saved = await place.run("portal", "form", SLUG)
    assert saved.exit_code == 0
    file = Path(saved.output.strip())
    assert file == place.home.mappings / SLUG / "schema.json"
    place.portal.forms.clear()
    well = await place.run("check", "--offline", "-v", "--lang", "fr")
    assert well.exit_code == 0
    assert "le formulaire enregistré convient" in well.stdout
    edit(file, '"varname": "description"', '"varname": "texte"')
    told = await place.run("check", "--offline")
    assert "missing field `description`: the mapping reads it" in told.stderr
    assert told.exit_code == 0
    edit(file, "retour_commune", "retour")
    assert (await place.run("check", "--offline")).exit_code == 3
    edit(file, '"fields"', '"champs"')
    told = await place.run("check", "--offline")
    assert (told.exit_code, f"gru-gateway portal form {SLUG}" in told.stderr) == (3, True)
    assert (await place.run("portal", "form", SLUG)).exit_code == 4


async def test_a_wrong_key_is_told_as_such(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIVE_KEY", "une-autre")
    (noted,) = await checked(place)
    assert noted.level == "fault"
    assert "refuse nos identifiants" in noted.said.what("fr")
    assert "gateway.yaml" in noted.said.remedy("fr")


@pytest.mark.parametrize(
    ("reconcile", "due", "level", "words"),
    [
        (600.0, DueMark("bo_a_transmettre"), "ok", "est dû ce qui a un bo_a_transmettre"),
        (600.0, DueMark("bo_autre"), "warning", "le formulaire n'a pas de champ bo_autre"),
        (600.0, DueMark(None, frozenset({"envoi"})), "ok", "est dû ce qui est passé par envoi"),
        (600.0, DueMark(), "warning", "n'est pas recherché"),
        (None, DueMark("bo_a_transmettre"), "warning", "n'est pas recherché"),
    ],
)
async def test_it_is_said_whether_lost_pushes_are_looked_for(
    place: Place, reconcile: float | None, due: DueMark, level: str, words: str
) -> None:
    def changed(catalogue: Catalogue) -> Catalogue:
        portal = catalogue.portals["toodego"]
        form = replace(portal.teleservices[SLUG], reconcile=reconcile, due=due)
        portal = replace(portal, teleservices={**portal.teleservices, SLUG: form})
        return replace(catalogue, portals={**catalogue.portals, "toodego": portal})

    _submit(place.portal)
    noted = await checked(place, changed)
    assert noted[-1].level == level
    assert words in noted[-1].said.what("fr")
    assert bool(noted[-1].said.remedy("fr")) is (level != "ok")


async def test_a_form_that_tells_its_commune_to_nobody_is_a_fault(place: Place) -> None:
    """Seen: one commune connected, and what was filled in for its neighbour went to it."""

    def reading(catalogue: Catalogue) -> Catalogue:
        portal = catalogue.portals["toodego"]
        form = replace(portal.teleservices[SLUG], commune_path=compile_expression(_FIELD))
        portal = replace(portal, teleservices={**portal.teleservices, SLUG: form})
        return replace(catalogue, portals={**catalogue.portals, "toodego": portal})

    assert not any("une autre commune" in one.said.what("fr") for one in await checked(place))
    place.form.fields.append(Field("commune", "Commune", "item"))
    (one,) = [one for one in await checked(place) if "une autre commune" in one.said.what("fr")]
    assert (one.level, "fields.commune_raw" in one.said.remedy("fr")) == ("fault", True)
    assert not any(
        "une autre commune" in one.said.what("fr") for one in await checked(place, reading)
    )


async def test_a_workflow_that_is_not_the_one_we_write_now_is_told(place: Place) -> None:
    """Seen by a field's name, which no designer changes; what else is seen to lack is named."""

    def changed(catalogue: Catalogue, *, base: str = "") -> Catalogue:
        portal = catalogue.portals["toodego"]
        form = replace(portal.teleservices[SLUG], commune_path=compile_expression(_FIELD))
        portal = replace(portal, teleservices={**portal.teleservices, SLUG: form})
        settings = replace(catalogue.settings, public_url=base or catalogue.settings.public_url)
        return replace(
            catalogue, settings=settings, portals={**catalogue.portals, "toodego": portal}
        )

    async def told(catalogue: Callable[[Catalogue], Catalogue] = changed) -> list[PortalFinding]:
        noted = await checked(place, catalogue)
        return [one for one in noted if "workflow en service" in one.said.what("fr")]

    # A designer's own is nobody's business.
    form = place.portal.forms[SLUG]
    form.follow(plain_workflow((WorkflowStatus("1", "Nouveau"),), "retour_commune"))
    assert await told() == []
    bundle = read_bundle(place.home.config, place.home.mappings)
    relay, _ = relay_of(changed(build(bundle, environ=os.environ)), SLUG)
    for moderated in (False, True):
        form.follow(read_workflow(workflow_of(replace(relay, moderated=moderated))))
        (one,) = await told()
        assert (one.level, one.said.remedy("fr")) == ("ok", "")
    # Another address: nothing but the version shows it.
    (one,) = await told(lambda catalogue: changed(catalogue, base="https://ailleurs.invalid"))
    assert (one.level, "communes" in one.said.what("fr")) == ("warning", True)
    assert f"portal workflow {SLUG}" in one.said.remedy("fr")
    # One from before there was a version, which lacks a field and a status as well.
    form.backoffice = [
        one
        for one in form.backoffice
        if not one.varname.startswith(VERSION) and one.varname != "bo_commune_appelee"
    ]
    form.statuses = [one for one in form.statuses if one.id != "planifiee"]
    (one,) = await told()
    assert one.level == "warning"
    assert one.said.what("fr").endswith("bo_commune_appelee, planifiee")


async def test_a_list_of_cards_that_we_may_not_read_says_which_right_is_lacking(
    place: Place,
) -> None:
    categories = place.portal.forms[SLUG].find_field("categorie")
    for source, right in (("carddef:themes", True), ("themes", False)):
        categories.source = source
        (one,) = [
            one for one in await checked(place) if f"source `{source}`" in one.said.what("fr")
        ]
        assert one.level == "warning"
        assert ("« Visualisateur »" in one.said.remedy("fr")) is right
        assert "donner un `default`" in one.said.remedy("fr")


def test_a_file_of_which_no_line_is_known_is_told_without_one() -> None:
    places = (
        drift.FormUse("mappings/x.yaml", 7, "texte"),
        drift.FormUse("config/x.yaml", 0, "commune"),
    )
    kind = drift.DriftKind.MISSING_FIELD
    told = said_of("x", drift.Drift("toodego", "x", kind, "commune", said("gone"), places, ()))
    assert told.remedy().endswith("or mappings/x.yaml:7, config/x.yaml")
