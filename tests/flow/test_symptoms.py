"""Symptoms are read from health: one cause for each far end, and whose fault it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.incident import IncidentRules, Party, SymptomWord, observe
from gateway.flow.engine import Engine
from gateway.ops.health import health
from gateway.ops.shapes import (
    AntivirusPart,
    CertificatePart,
    CertificatesPart,
    DiskPart,
    DriftedForm,
    DriftPart,
    GlcPart,
    Health,
    LanePart,
    LaneState,
    Overall,
    ReleasesPart,
    SecretsPart,
    TimerPart,
    VaultPart,
)
from gateway.ops.symptoms import Evidence, symptoms_of
from gateway.store.outbox.backlog import LanePressure
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, GRU_A, GRU_B, PORTAL_A, SLUG, VILLEURBANNE, Rig

RULES = IncidentRules()
W = SymptomWord
BAD, DOWN = Overall.DEGRADED, Overall.DOWN
BOTH = frozenset({BRON, VILLEURBANNE})
PORTAL_B = PORTAL_A.replace(BRON, VILLEURBANNE)


DRIFTED = DriftedForm("toodego", SLUG, "gone", "x", "", (), (BRON,))


def lane(state: LaneState = LaneState.OPEN, reason: str = "connection_refused") -> LanePart:
    return LanePart(state, 0, 1, 0, 1.0, reason, None)


def timer(failure: str | None = None, *, late: bool = False) -> TimerPart:
    return TimerPart(BAD, 60.0, None, failure, late)


def glc(failure: str) -> GlcPart:
    return GlcPart(BAD, "", None, failure, 0, 1, 0, 0, 0)


async def base(engine: Engine, rig: Rig) -> Health:
    return await health(engine, ready=True, started_at=rig.clock.now)


async def found(rig: Rig, *, evidence: Any = None, **parts: Any) -> set[tuple[Any, ...]]:
    """The symptoms of a gateway that is well but for these parts."""
    async with rig.gateway(run=False) as engine:
        seen = replace(await base(engine, rig), **parts)
        if "lanes" in parts:
            seen = replace(seen, lanes={**(await base(engine, rig)).lanes, **parts["lanes"]})
        given = {"pressure": {}, "refused": {}, "broken": (), "untold": None} | (evidence or {})
        symptoms = symptoms_of(Evidence(health=seen, **given), engine.catalogue, RULES)
        return {(one.cause, one.word, one.communes, one.party) for one in symptoms}


async def test_what_is_well_has_none(rig: Rig) -> None:
    assert await found(rig) == set()


async def test_all_lanes_to_a_portal_have_one_cause(rig: Rig) -> None:
    parts = {PORTAL_A: lane(reason="busy"), PORTAL_B: lane(LaneState.HALF_OPEN, "timeout")}
    assert await found(rig, lanes=parts) == {
        ("portal:toodego", W.PORTAL_AWAY, frozenset({BRON}), Party.PORTAL),
        ("portal:toodego", W.PORTAL_AWAY, frozenset({VILLEURBANNE}), Party.PORTAL),
    }


async def test_a_dead_gru_and_its_poll_are_one_cause(rig: Rig) -> None:
    timers = {f"poll:{GRU_A}": timer("unreachable")}
    assert await found(rig, lanes={GRU_A: lane()}, timers=timers) == {
        (GRU_A, W.GRU_AWAY, frozenset({BRON}), Party.COMMUNE),
        (GRU_A, W.POLL_FAILS, frozenset({BRON}), Party.COMMUNE),
    }


async def test_our_own_settings_and_timers_are_our_fault(rig: Rig) -> None:
    timers = {
        f"poll:{GRU_A}": timer("access_denied"),
        f"poll:{GRU_B}": timer(late=True),
        f"reconcile:toodego:{SLUG}": timer("unreachable"),
    }
    seen = {(cause, party) for cause, _, _, party in await found(rig, timers=timers)}
    assert (GRU_B, Party.GATEWAY) in seen
    assert ("portal:toodego", Party.PORTAL) in seen


async def test_a_pause_is_meant(rig: Rig) -> None:
    old = {GRU_A: LanePressure(rig.clock.now - timedelta(days=9), 99)}
    paused = {GRU_A: lane(LaneState.PAUSED, "")}
    assert await found(rig, lanes=paused, evidence={"pressure": old}) == set()


async def test_late_and_parked_deliveries_are_of_their_far_end(rig: Rig) -> None:
    now = rig.clock.now
    pressure = {
        GRU_A: LanePressure(now - timedelta(hours=2), 4),
        GRU_B: LanePressure(now - timedelta(hours=1), 5),
    }
    assert await found(rig, evidence={"pressure": pressure}) == {
        (GRU_A, W.LATE, frozenset({BRON}), Party.COMMUNE),
        (GRU_B, W.PARKED, frozenset({VILLEURBANNE}), Party.COMMUNE),
    }


async def test_most_far_ends_away_at_once_are_the_network(rig: Rig) -> None:
    lanes = {name: lane() for name in (GRU_A, GRU_B, PORTAL_A)}
    async with rig.gateway(run=False) as engine:
        seen = replace(await base(engine, rig), lanes=lanes)
        evidence = Evidence(seen, {}, {}, (), None)
        first, *rest = symptoms_of(evidence, engine.catalogue, RULES)
    assert (first.word, first.party, first.communes) == (W.NETWORK_AWAY, Party.NETWORK, BOTH)
    assert {one.part_of for one in rest} == {"network"}


@pytest.mark.parametrize(
    ("parts", "word", "communes", "party"),
    [
        ({"disk": DiskPart(DOWN, 1, 9)}, W.DISK_FULL, BOTH, Party.GATEWAY),
        ({"disk": DiskPart(BAD, 1, 9)}, W.DISK_LOW, frozenset(), Party.GATEWAY),
        ({"antivirus": AntivirusPart(BAD, "", None)}, W.ANTIVIRUS_AWAY, BOTH, Party.GATEWAY),
        ({"vault": VaultPart(BAD, "", "away", None, None)}, W.VAULT_AWAY, BOTH, Party.GATEWAY),
        (
            {"secrets": SecretsPart(BAD, None, ("x",))},
            W.REFERENCE_UNREAD,
            frozenset(),
            Party.GATEWAY,
        ),
        (
            {"releases": ReleasesPart(BAD, {}, (), {BRON: ("x",)})},
            W.RELEASE_REFUSED,
            frozenset({BRON}),
            Party.GATEWAY,
        ),
        (
            {
                "drift": DriftPart(
                    BAD, (DriftedForm("toodego", SLUG, "gone", "x", "", (), (BRON,)),)
                )
            },
            W.FORM_DRIFT,
            frozenset({BRON}),
            Party.PORTAL,
        ),
        ({"glc": glc("brake")}, W.MASS_DELETION, frozenset(), Party.GLC),
        ({"timers": {"glc": timer("unreachable")}}, W.GLC_AWAY, frozenset(), Party.GLC),
    ],
)
async def test_each_part_that_is_not_well_is_a_symptom(
    rig: Rig, parts: Any, word: SymptomWord, communes: frozenset[str], party: Party
) -> None:
    ((_, *rest),) = await found(rig, **parts)
    assert rest == [word, communes, party]


async def test_the_failure_of_a_test_far_end_is_mineur(build_rig: Builder) -> None:
    rig = build_rig(commune={"gru": {"outil": {"environment": "test"}}})
    async with rig.gateway(run=False) as engine:
        seen = replace(await base(engine, rig), lanes={GRU_A: lane(), GRU_B: lane()})
        symptoms = symptoms_of(Evidence(seen, {}, {}, (), None), engine.catalogue, RULES)
    found = {one.cause: one.severity for one in observe(symptoms, RULES)}
    assert found == {GRU_A: "mineur", GRU_B: "majeur"}


async def test_a_certificate_is_whose_it_is(rig: Rig) -> None:
    ends = rig.clock.now
    ending = (
        CertificatePart("portal:toodego", "server", ends, 3),
        CertificatePart(GRU_A, "certificate", ends, 3),
    )
    assert await found(rig, certificates=CertificatesPart(BAD, "", ending)) == {
        ("certificate:portal:toodego:server", W.CERTIFICATE_ENDS, BOTH, Party.PORTAL),
        (f"certificate:{GRU_A}:certificate", W.CERTIFICATE_ENDS, frozenset({BRON}), Party.GATEWAY),
    }


async def test_a_database_that_did_not_say_all_is_no_proof(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        seen = await base(engine, rig)
    assert Evidence(seen, {}, {}, (), None).complete
    assert not Evidence(replace(seen, drift=None), {}, {}, (), None).complete
