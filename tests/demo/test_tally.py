"""The count must see what is wrong: a demo that cannot fail would prove nothing."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.demo.agents import INTERNAL
from gateway.demo.files import (
    Addresses,
    shipped_mappings,
    write_configuration,
    write_secrets,
)
from gateway.demo.stage import Stage
from gateway.demo.tally import tally
from gateway.sim.open311 import Open311, Service
from gateway.sim.portal import MadeCall, SimulatedPortal
from gateway.sim.ticketing import Ticketing
from gateway.sim.wscall import AnswerClass, CallVerdict

REFERENCE = "TDG-0123456789ABCDEF"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """One request that went all the way, without any daemon."""
    write_secrets(tmp_path)
    addresses = Addresses("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", 8702)
    config = write_configuration(tmp_path, addresses)
    mappings = shipped_mappings()
    made = Stage(
        folder=tmp_path,
        config=config,
        mappings=mappings,
        catalogue=build(read_bundle(config, mappings), environ={}),
        url="http://127.0.0.1:8702",
        portal=SimulatedPortal(),
        bron=Open311(),
        villeurbanne=Ticketing(),
        addresses=addresses,
        caller_key="cle",
        dice=random.Random(1),
    )
    made.portal.submit("signalement-anomalie", {})
    verdict = CallVerdict(AnswerClass.OK, 201, 0, {"err": 0, "data": {"id": REFERENCE}})
    made.portal.pushes.append(
        MadeCall(datetime.now(UTC), "signalement-anomalie", "1", 0.1, verdict)
    )
    ticket(made)
    tell(made, "e1", "transmise")
    tell(made, "e2", "terminee")
    return made


def ticket(stage: Stage) -> None:
    params = [("attribute[toodego_ref]", REFERENCE)]
    stage.bron.create(Service("DS01", "Dépôt"), params, [])


def tell(stage: Stage, event: str, word: str, message: str | None = None) -> None:
    payload: dict[str, Any] = {"evenement": event, "statut": word, "message": message}
    item = stage.portal.get("signalement-anomalie", "1")
    hook = item.form.hook("retour_commune")
    asyncio.run(stage.portal.run_hook(item, hook, payload))


def test_what_came_back_once_is_whole(stage: Stage) -> None:
    counted = tally(stage)
    assert counted.whole
    assert (counted.requests, counted.delivered, counted.reported) == (1, 1, 1)


def test_a_second_ticket_is_a_duplicate(stage: Stage) -> None:
    ticket(stage)
    assert tally(stage).duplicates == 1
    assert not tally(stage).whole


def test_an_event_told_twice_is_a_duplicate(stage: Stage) -> None:
    tell(stage, "e2", "terminee")
    assert tally(stage).duplicates == 1


def test_a_request_that_no_gru_holds_is_lost(stage: Stage) -> None:
    stage.bron.tickets.clear()
    assert (tally(stage).lost, tally(stage).delivered) == (1, 0)


def test_a_request_without_its_end_is_lost(stage: Stage) -> None:
    tell(stage, "e3", "en_cours")
    assert (tally(stage).lost, tally(stage).reported) == (1, 0)


def test_an_internal_note_at_the_portal_is_seen(stage: Stage) -> None:
    tell(stage, "e3", "terminee", f"Bonjour. {INTERNAL}")
    assert tally(stage).leaked == 1
    assert not tally(stage).whole
