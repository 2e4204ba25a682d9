"""Incidents in `gateway.yaml`: what is refused, at its line, and what it means."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import Catalogue
from gateway.core.errors import ConfigurationFault
from gateway.core.incident import Severity, SymptomWord

PORTALS = "portals: {toodego: {base_url: https://portail.exemple.invalid}}"


def read(text: str) -> Catalogue:
    """Build a configuration of settings alone, with this part of them."""
    bundle = {"config/gateway.yaml": f"{PORTALS}\n{text}"}
    return build(bundle, environ={}, adapters={})


def test_the_rules_are_those_of_the_file_and_else_the_default_ones() -> None:
    rules = read("""incidents:
  severity: {gru_away: bloquant}
  settle: 2m
  closures: [2026-12-24, 2026-12-28/2026-12-31]
  operators: [astreinte@exemple.org]
""").settings.incidents
    assert rules.severities[SymptomWord.GRU_AWAY] is Severity.BLOQUANT
    assert rules.severities[SymptomWord.PORTAL_AWAY] is Severity.BLOQUANT
    assert rules.severities[SymptomWord.POLL_FAILS] is Severity.MAJEUR
    assert (rules.settle, rules.late) == (timedelta(minutes=2), timedelta(hours=2))
    days = {date(2026, 12, day) for day in (24, 28, 29, 30, 31)}
    assert rules.working.closures == days
    assert rules.operators == ("astreinte@exemple.org",)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("severity: {gru_awya: majeur}", "gru_awya"),
        ("severity: {gru_away: grave}", "bloquant"),
        ("closures: [Noël]", "2026-12-24"),
        ("closures: [2026-02-30]", "2026-12-24"),
        ("closures: [2026-12-31/2026-12-28]", "62"),
        ("closures: [2026-01-01/2099-12-31]", "62"),
        ("operators: [personne]", "operators"),
        ("settle: soon", "10m"),
        ("parked: 0", "parked"),
        ("deadline: 8h", "deadline"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(line: str, told: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        read(f"incidents:\n  late: 1h\n  {line}\n")
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == ("config/gateway.yaml", 4)
    assert told in str(fault), str(fault)
