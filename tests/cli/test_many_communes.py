"""Tables of many communes: those first that need somebody, the others in a paragraph."""

from __future__ import annotations

import pytest

from gateway.cli.output import FEW, WIDTH, CommuneRow, communes
from gateway.core.messages import plain

HEADERS = ("commune", "state")
CALM = plain("run")


def rows(count: int, needing: dict[str, int]) -> list[CommuneRow]:
    codes = [f"69{n:03}" for n in range(1, count + 1)]
    return [CommuneRow(c, f"Commune {c}", needing.get(c, 0), (c, "as it is")) for c in codes]


def told(
    capsys: pytest.CaptureFixture[str], made: list[CommuneRow], *, each: bool = False
) -> list[str]:
    communes(HEADERS, made, CALM, plain("no commune"), each=each)
    return capsys.readouterr().out.splitlines()


def test_those_that_need_somebody_most_are_first(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, rows(58, {"69050": 1, "69007": 3, "69040": 1}))
    assert [line.split()[0] for line in lines[:4]] == ["COMMUNE", "69007", "69040", "69050"]
    assert lines[4:6] == ["", "55 more run (--each: a row each):"]
    assert lines[6].startswith("  Commune 69001 (69001), Commune 69002 (69002), ")
    assert "69007" not in "".join(lines[6:])
    assert len(lines) < 24, "one screen"
    assert max(map(len, lines)) <= WIDTH + 2


def test_all_that_need_nobody_are_named_without_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(capsys, rows(FEW + 1, {}))[0] == f"{FEW + 1} run (--each: a row each):"


@pytest.mark.parametrize(("count", "each"), [(FEW, False), (58, True)])
def test_few_or_each_have_a_row(count: int, each: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(told(capsys, rows(count, {}), each=each)) == count + 1


def test_no_commune_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, []) == ["no commune"]
