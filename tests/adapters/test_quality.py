"""Tiers are computed: a quality.yaml is what the matrix showed of the code as it stands."""

from __future__ import annotations

import pytest

from gateway.catalogue import registry
from gateway.catalogue.quality import QualityState, read_quality
from gateway.sdk.matrix import CheckState, Tier

ADAPTERS = registry.survey().adapters
#: Adapters that speak no HTTP: the faults of a line are not played to them.
WITHOUT_HTTP = {"demo", "email", "sftp"}


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_results_are_of_this_code_and_unedited(kind: str) -> None:
    known = read_quality(ADAPTERS[kind])
    again = f"run `gru-gateway adapter conformance {kind} --write`"
    assert known.state is QualityState.CURRENT, f"{known.state.value}: {again}"
    failed = {name for name, state in known.results.items() if state is CheckState.FAILED}
    assert failed == set()
    assert known.tier >= Tier.BRONZE


@pytest.mark.parametrize("kind", sorted(WITHOUT_HTTP))
def test_without_http_the_tier_is_bronze_and_nothing_is_left_out(kind: str) -> None:
    known = read_quality(ADAPTERS[kind])
    assert known.tier is Tier.BRONZE
    assert CheckState.NOT_SHOWN not in known.results.values()
