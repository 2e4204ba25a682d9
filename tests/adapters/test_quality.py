"""Tiers are computed: a quality.yaml is what the matrix showed of the code as it stands."""

from __future__ import annotations

import pytest

from gateway.catalogue import registry
from gateway.catalogue.quality import QualityState, read_quality
from gateway.sdk.matrix import CheckState, Tier

ADAPTERS = registry.survey().adapters
#: Adapters that play no far end of HTTP, and so have no suite: their tier is none.
WITHOUT = {"demo", "email", "sftp"}


@pytest.mark.parametrize("kind", sorted(ADAPTERS.keys() - WITHOUT))
def test_results_are_of_this_code_and_unedited(kind: str) -> None:
    known = read_quality(ADAPTERS[kind])
    again = f"run `gru-gateway adapter conformance {kind} --write`"
    assert known.state is QualityState.CURRENT, f"{known.state.value}: {again}"
    failed = {name for name, state in known.results.items() if state is CheckState.FAILED}
    assert failed == set()
    assert known.tier >= Tier.BRONZE


@pytest.mark.parametrize("kind", sorted(WITHOUT & ADAPTERS.keys()))
def test_what_is_not_tested_has_no_tier(kind: str) -> None:
    assert read_quality(ADAPTERS[kind]).tier is Tier.NONE
