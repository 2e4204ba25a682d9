"""The shipped workflow in the simulated w.c.s.: what was seen of it on a running one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.core.workflow import AWAITED, AWAITED_NAME, DONE, DUE, HOOK
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.portal import SimulatedPortal
from gateway.sim.workflow import read_workflow
from tests.life import ROOT

SLUG = "signalement-anomalie"
WORKFLOW = read_workflow((ROOT / "mappings" / SLUG / "publik" / "workflow.wcs").read_text("utf-8"))


class Played:
    """One request that stands at the commune."""

    def __init__(self) -> None:
        self.portal = SimulatedPortal()
        self.portal.define(SLUG, workflow=WORKFLOW)
        due = {DUE: "2026-03-12T09:00:00+0100", "bo_statut_affiche": "transmise"}
        self.item: SimulatedFormdata = self.portal.submit(
            SLUG, {"description": "x"}, status="transmise", workflow_fields=due
        )

    async def report(self, event: str, status: str | None, message: str = "", **more: Any) -> None:
        hook = next(one for one in WORKFLOW.hooks if one.identifier == HOOK)
        given = {"evenement": event, "statut": status, "message": message or None, **more}
        await self.portal.run_hook(self.item, hook, given)

    @property
    def done(self) -> list[str]:
        return str(self.item.workflow_fields.get(DONE) or "").split()

    @property
    def said(self) -> list[str]:
        parts = [part for entry in self.item.history for part in entry.parts]
        return [re.sub(r"<br[ /]*>", "\n", str(part.get("content"))) for part in parts]


async def test_a_report_is_carried_out_once() -> None:
    played = Played()
    for _ in range(2):
        await played.report("a1", "en_cours", "Jeudi.\nMerci <bien>.", reference="R-1")
    assert played.item.status == "encours"
    assert played.done == ["a1"]
    assert played.said == ['<div data-retour="a1">Jeudi.\nMerci &lt;bien&gt;.</div>']
    assert played.item.workflow_fields["bo_reference_commune"] == "R-1"
    entries = len(played.item.history)
    await played.report("a2", "en_cours")
    assert played.done == ["a1", "a2"]
    assert len(played.item.history) == entries, "the same status is entered once"


@pytest.mark.parametrize("end", ["terminee", "refusee", "annulee"])
async def test_after_the_end_only_a_reopening_moves_it(end: str) -> None:
    played = Played()
    await played.report("a1", end)
    await played.report("a2", "en_cours", "Un mot.")
    assert played.item.status == end
    assert len(played.said) == 1
    await played.report("a3", "en_cours", reouverture=True)
    assert played.item.status == "encours"
    assert played.done == ["a1", "a2", "a3"]


async def test_while_an_event_is_being_sent_a_status_waits() -> None:
    played = Played()
    played.item.status = "evtenvoi"
    played.item.workflow_fields["bo_envoi_en_cours"] = "oui"
    await played.report("a1", "en_cours", "Un mot.")
    assert played.item.status == "evtenvoi"
    assert played.done == ["a1"]
    assert played.item.workflow_fields["bo_statut_commune"] == "en_cours"


async def test_what_is_told_where_nobody_reads_it_is_left_for_the_next_try() -> None:
    """A worker died in the hidden switch: the report first leads out of it, and comes again."""
    played = Played()
    played.item.status = "aiguillage"
    await played.report("a1", "planifiee", "Lundi.")
    assert (played.item.status, played.said, played.done) == ("transmise", [], [])
    await played.report("a1", "planifiee", "Lundi.")
    assert (played.item.status, len(played.said), played.done) == ("planifiee", 1, ["a1"])


async def test_a_document_is_announced_with_its_name() -> None:
    played = Played()
    await played.report("a1", None, document_attendu="a1-document", document_nom="arrêté.pdf")
    await played.report("a2", None, "Un mot.")
    assert played.item.workflow_fields[AWAITED] == "a1-document"
    assert played.item.workflow_fields[AWAITED_NAME] == "arrêté.pdf"
