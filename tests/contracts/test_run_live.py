"""The live scenario against simulators on sockets, and its refusal of production."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.contracts.compare import in_words
from gateway.contracts.live import Production, Step, made_of_trial, run_live
from gateway.contracts.report import ReportedRun, as_html
from gateway.contracts.run import run
from gateway.core.errors import NotFound
from gateway.core.messages import Message
from gateway.core.outcome import Accepted, ErasureAnswer, ErasureResult
from gateway.flow.engine import Engine
from gateway.ops.metrics import Metrics
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from tests.wire.samples import sample

ROOT = Path(__file__).parents[2]
SLUG = "signalement-anomalie"


@dataclass
class Stage:
    portal: SimulatedPortal
    gru: Ticketing
    build: Callable[..., Catalogue]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    portal = SimulatedPortal(keys={"passerelle": "cle-du-portail"})
    gru = Ticketing()
    portal.submit_sample(sample(SLUG))
    async with run_server(portal.app) as portal_at, run_server(gru.app) as gru_at:
        portal.base_url = portal_at.url

        def catalogue(
            production: bool = False, webhook: bool = False, **options: object
        ) -> Catalogue:
            system = yaml.safe_load((ROOT / "tests/adapters/systems/ticketing.yaml").read_text())
            if webhook:
                system["webhook"]["verify"]["secret"] = "env:HOOK"
            else:
                del system["webhook"]
            amend = system["amend"]
            amend["document"] = {
                **amend["message"],
                "body": {"text": "Un document", "external_id": "=event.key"},
            }
            system |= {
                "base_url": gru_at.url,
                "secrets": {"login": "env:LOGIN", "password": "env:PASSWORD"},
            } | options
            system = {name: value for name, value in system.items() if value is not None}
            commune = {
                "commune": "69029",
                "name": "Bron",
                "portal": "toodego",
                "paused": True,
                "gru": {
                    "main": {
                        "adapter": "rest",
                        "environment": "production" if production else "test",
                        "options": system,
                        "timeout": 5,
                    }
                },
                "routes": {SLUG: {"gru": "main", "mapping": f"{SLUG}/rest"}},
            }
            settings = {
                "portals": {
                    "toodego": {
                        "base_url": portal_at.url,
                        "environment": "test",
                        "orig": "passerelle",
                        "key": "env:CLE",
                        "teleservices": {SLUG: {"commune": "fields.commune_raw"}},
                    }
                }
            }
            bundle = read_bundle(None, ROOT / "mappings") | {
                "config/gateway.yaml": yaml.safe_dump(settings),
                "config/communes/bron.yaml": yaml.safe_dump(commune),
            }
            secrets = {"CLE": "cle-du-portail", "LOGIN": "connecteur", "PASSWORD": "secret-essai"}
            secrets["HOOK"] = "cle-webhook-cle-webhook"
            return build(bundle, environ=secrets)

        yield Stage(portal, gru, catalogue)


def named(steps: list[Step]) -> dict[str, Step]:
    """The steps by their French names."""
    return {step.name.what("fr"): step for step in steps}


def results(steps: list[Step]) -> dict[str, str]:
    return {name: step.result for name, step in named(steps).items()}


def detail(step: Step) -> str:
    return in_words(step.detail, "fr")


async def test_the_scenario_goes_through_and_tidies_up(stage: Stage) -> None:
    async def move(reference: str) -> None:
        stage.gru.advance(reference, status="planned")

    steps = await run_live(stage.build(), "69029", wait=10, move=move)
    assert results(steps) == {
        "accès à la GRU": "ok",
        "accès au portail de test": "ok",
        "demande du portail de test": "ok",
        "création dans la GRU": "ok",
        "retour « transmise » vers le portail": "ok",
        "pièces jointes de la création": "ok",
        "recherche par notre référence": "ok",
        "message de l'usager": "ok",
        "document de l'usager": "ok",
        "retour par un appel de la GRU": "skipped",
        "retour d'un état vers le portail": "ok",
        "remise en ordre": "ok",
        "remise en ordre du portail": "todo",
    }, steps
    (ticket,) = stage.gru.tickets
    assert ticket.erased
    words = [event["statut"] for event in stage.portal.events(SLUG, "1") if isinstance(event, dict)]
    assert words == ["transmise", "planifiee"]
    report = await run(
        {**read_bundle(None, ROOT / "mappings")}, weak=False, teleservice="inscription-scolaire"
    )
    page = as_html(ReportedRun(report, live=steps))
    assert "Essais sur les instances de test" in page


async def test_what_the_gru_cannot_do_is_left_out_and_told(stage: Stage) -> None:
    catalogue = stage.build(amend={}, find=None, erase=None, statuses=None)
    steps = await run_live(catalogue, "69029")
    found = results(steps)
    assert found["recherche par notre référence"] == "skipped"
    assert found["message de l'usager"] == "skipped"
    assert found["retour d'un état vers le portail"] == "skipped"
    assert found["remise en ordre"] == "todo"
    assert any("supprimer à la main dans la GRU : 1" in detail(step) for step in steps)


async def test_a_gru_that_calls_is_waited_for_at_an_address_of_ours(stage: Stage) -> None:
    asked: list[Message] = []
    at = ""

    @asynccontextmanager
    async def listen(engine: Engine) -> AsyncIterator[str]:
        nonlocal at
        async with run_server(application(engine, DaemonCondition(ready=True), Metrics())) as here:
            at = here.url
            yield here.url

    async def move(reference: str) -> None:
        stage.gru.webhook_url = f"{at}/gru/v1/communes/69029/webhooks/main"
        stage.gru.webhook_key = "cle-webhook-cle-webhook"
        stage.gru.advance(reference, status="planned")
        assert await stage.gru.notify() == [204]

    catalogue = stage.build(webhook=True, statuses=None)
    steps = await run_live(catalogue, "69029", wait=10, move=move, listen=listen, ask=asked.append)
    found = named(steps)
    called = found["retour par un appel de la GRU"]
    assert (called.result, detail(called)) == ("ok", "planned")
    assert any("/gru/v1/communes/69029/webhooks/main" in one.what("fr") for one in asked)
    assert found["retour d'un état vers le portail"].result == "skipped"
    (ticket,) = stage.gru.tickets
    assert ticket.erased


async def test_a_gru_that_calls_nobody_is_told_how_it_is_tried(stage: Stage) -> None:
    steps = await run_live(stage.build(webhook=True, statuses=None), "69029")
    found = named(steps)
    assert found["retour par un appel de la GRU"].result == "todo"
    assert "--listen" in detail(found["retour par un appel de la GRU"])
    left = found["remise en ordre du portail"]
    assert (left.result, "la clore ou la supprimer" in detail(left)) == ("todo", True)


async def test_the_gru_s_own_words_are_shown(stage: Stage) -> None:
    stage.gru.required = ("quartier",)
    steps = await run_live(stage.build(), "69029")
    (fault,) = [step for step in steps if step.name.what("fr") == "création dans la GRU"]
    assert fault.result == "fault"
    assert "HTTP 422" in detail(fault)
    assert "quartier" in detail(fault)


async def test_production_is_refused_before_anything_is_called(stage: Stage) -> None:
    with pytest.raises(Production, match="GRU main of 69029 is marked production"):
        await run_live(stage.build(production=True), "69029")
    assert stage.gru.tickets == []


async def test_a_gru_that_turns_us_away_stops_the_scenario(stage: Stage) -> None:
    stage.gru.login = ("autre", "mot de passe")
    steps = await run_live(stage.build(), "69029")
    assert [(step.name.what("fr"), step.result) for step in steps] == [("accès à la GRU", "fault")]


async def test_unknown_targets(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await run_live(stage.build(), "69266")
    with pytest.raises(NotFound):
        await run_live(stage.build(), "69029", teleservice="absent")


@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        (None, "ok", "are erased"),
        (ErasureAnswer(ErasureResult.ANONYMISED), "ok", "are anonymised"),
        (ErasureAnswer(ErasureResult.KEPT, "DUA de 10 ans"), "todo", "keeps"),
        (ErasureAnswer(ErasureResult.ABSENT), "fault", "nothing of this request"),
    ],
)
def test_what_is_kept_is_not_told_to_be_erased(
    answer: ErasureAnswer | None, level: str, said: str
) -> None:
    found, words = made_of_trial(Accepted(erasure=answer))
    assert (found, said in words.told()) == (level, True)
