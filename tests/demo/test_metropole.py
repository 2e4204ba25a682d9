"""The many communes of the demo: what their files say, and that its count sees what is wrong.

The play itself takes minutes: `gru-gateway demo --communes 58 --once`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.insee import COMMUNES
from gateway.contracts import run as contract_run
from gateway.demo.files import write_secrets
from gateway.demo.metropole import play
from gateway.demo.metropole.acts import LINE
from gateway.demo.metropole.files import (
    BackOffice,
    far_ends_of,
    members,
    secrets_of,
    write_gateway,
    write_mappings,
    write_member,
)
from gateway.demo.metropole.load import TimedPush, percentiles
from gateway.demo.samples import ANOMALY

PORTAL, GLC, GRU = "http://127.0.0.1:9", "http://127.0.0.1:10", "http://127.0.0.1:11"


def written(folder: Path, count: int) -> dict[str, str]:
    """The files of so many communes."""
    those = members(count)
    write_secrets(folder, secrets_of(those))
    config = write_gateway(folder, port=8701, portal=PORTAL, glc=GLC, limit=25)
    for one in those:
        write_member(folder, one, dict.fromkeys(far_ends_of(one), GRU))
    return read_bundle(config, write_mappings(folder))


def test_all_of_the_metropole_share_four_mappings_and_no_secret(tmp_path: Path) -> None:
    bundle = written(tmp_path, 58)
    catalogue = build(bundle, environ={})
    assert {one.insee: one.name for one in catalogue.communes.values()} == COMMUNES
    (warning,) = catalogue.warnings
    assert "no caller is declared" in warning.what
    routes = [route for one in catalogue.communes.values() for route in one.routes.values()]
    assert len({route.mapping.key for route in routes}) == 4
    assert (
        len({key.get_secret_value() for c in catalogue.communes.values() for key in c.keys}) == 58
    )
    # What will change, in the mapping and in its cases.
    assert LINE[0] in bundle[f"mappings/{ANOMALY}/rest.yaml"]
    assert LINE[0] in bundle[f"mappings/{ANOMALY}/rest.cases/3-retours.yaml"]


def test_the_mapping_that_is_not_shipped_passes_its_contract(tmp_path: Path) -> None:
    bundle = written(tmp_path, 3)
    (one,) = (one for one in members(3) if one.kind is BackOffice.DEMO)
    report = asyncio.run(contract_run.run(bundle, commune=one.insee, weak=False))
    assert list(report.failures()) == []


def _sent(id: str, reference: str | None, status: int | None = 201) -> TimedPush:
    return TimedPush("69003", ANOMALY, id, 0.0, 0.01, status, reference)


@pytest.mark.parametrize(
    ("held", "told", "missing"),
    [
        ({"A": 1, "B": 1}, [("1", "a"), ("2", "b")], (0, 0)),
        ({"A": 1}, [("1", "a"), ("2", "b")], (1, 0)),
        ({"A": 1, "B": 1}, [("1", "a")], (1, 0)),
        ({"A": 2, "B": 1}, [("1", "a"), ("2", "b")], (0, 1)),
        ({"A": 1, "B": 1}, [("1", "a"), ("1", "a"), ("2", "b")], (0, 1)),
    ],
)
def test_the_count_sees_what_is_lost_and_what_is_there_twice(
    held: dict[str, int], told: list[tuple[str, str]], missing: tuple[int, int]
) -> None:
    received = [
        SimpleNamespace(slug=ANOMALY, id=id, payload={"evenement": event}) for id, event in told
    ]
    town: Any = SimpleNamespace(
        held=lambda: Counter(held), portal=SimpleNamespace(received=received)
    )
    load: Any = SimpleNamespace(sent=[_sent("1", "A"), _sent("2", "B"), _sent("3", None, 503)])
    assert play.missing(town, load) == missing


def test_percentiles_are_of_pushes_in_milliseconds() -> None:
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}
    assert percentiles([_sent("1", "A")]) == {"p50": 10.0, "p95": 10.0, "p99": 10.0}


def test_the_longest_time_without_a_poll_ends_with_the_play() -> None:
    assert play.longest_gap([1.0, 3.0, 10.0, 12.0], 15.0) == 7.0
    assert play.longest_gap([1.0], 15.0) == 14.0
    assert play.longest_gap([], 15.0) == 0.0
