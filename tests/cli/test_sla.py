"""`sla report`: printed, and written as a page, as rows and as JSON."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli.setting import load_settings
from gateway.core.availability import MinuteVerdict, minute_of
from gateway.core.incident import IncidentRules, Party, Symptom, SymptomWord, observe
from gateway.store import availability, incident_looks
from gateway.store.availability import Scope
from gateway.store.engine import Database
from tests.cli.conftest import MAPPINGS, Home

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
PORTAL = Symptom("portal:toodego", SymptomWord.PORTAL_AWAY, frozenset({"69029"}), Party.PORTAL)
GRU = Symptom("gru:69029:voirie", SymptomWord.GRU_AWAY, frozenset({"69029"}), Party.COMMUNE)


@pytest.fixture(autouse=True)
def _ledger(home: Home, template: Path) -> None:
    """Write 100 minutes: the portal is away for two, and nobody is there for one."""
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    database = Database(f"sqlite:///{data_dir / 'gateway.db'}")
    names = iter(("INC-1", "INC-2"))
    service, bron = Scope("portal:toodego"), Scope("portal:toodego", "69029")
    first = minute_of(BEGIN)

    async def write() -> None:
        def minutes(connection: object) -> None:
            for n in range(100):
                here = MinuteVerdict.PORTAL if n in (10, 11) else MinuteVerdict.UP
                commune = MinuteVerdict.COMMUNE if 20 <= n < 25 else here
                if n != 30:
                    verdicts = {service: here, bron: commune}
                    availability.record(connection, first + n, verdicts)  # type: ignore[arg-type]

        await database.write(minutes)
        # An hour of the portal, two days of the GRU.
        for minutes_later in (0, 6, 60, 80):
            seen = [GRU] if minutes_later >= 60 else [GRU, PORTAL]
            await database.write(
                incident_looks.observe, observe(seen, IncidentRules()), IncidentRules(),
                lambda: next(names), BEGIN + timedelta(minutes=minutes_later),
            )  # fmt: skip

    try:
        asyncio.run(write())
    finally:
        database.close()


def test_it_is_printed_in_both_languages(home: Home) -> None:
    english = home.run("sla", "report", "--month", "2026-03").stdout
    assert "portal:toodego" in english
    assert "Bron" in english
    assert "not kept" in english
    french = home.run("--lang", "fr", "sla", "report", "--month", "2026-03").stdout
    assert "DISPONIBILITÉ" in french
    assert "1 sur 1" in french
    empty = home.run("sla", "report", "--month", "2026-02")
    assert empty.stdout.startswith("nothing is recorded")


def test_its_figures_are_those_of_the_ledger(home: Home) -> None:
    told = json.loads(home.run("sla", "report", "--month", "2026-03", "--json").stdout)
    # The month goes on after the last record: all of it is ours.
    (service,) = told["services"]
    month = 29 * 1440 + 14 * 60 - 60  # from 2 March, 10:00 in Paris; an hour is lost
    assert service["minutes"] == month
    assert service["down"] == {
        "gateway": month - 100 + 1, "portal": 2, "glc": 0, "commune": 0, "announced": 0,
    }  # fmt: skip
    (bron,) = told["communes"]
    assert bron["down"]["commune"] == 5
    assert (bron["incidents_judged"], bron["incidents_solved"], bron["incidents_kept"]) == (
        1,
        1,
        True,
    )
    assert {one["id"]: one["counts"] for one in bron["incidents"]} == {
        "INC-1": False,
        "INC-2": True,
    }
    assert not bron["kept"]


def test_it_is_a_page_and_rows(home: Home, tmp_path: Path) -> None:
    page, sheet = tmp_path / "mars.html", tmp_path / "mars.csv"
    words = ("--month", "2026-03", "--commune", "69029", "--html", str(page), "--csv", str(sheet))
    done = home.run("sla", "report", *words)
    assert done.exit_code == 0, done.output
    html = page.read_text("utf-8")
    for part in (
        "Disponibilité de mars 2026",
        "size: A4",
        "Bron",
        "INC-2",
        "à la commune",
        "5 min",
    ):
        assert part in html
    rows = list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig")), delimiter=";"))
    assert [(row["commune"], row["côté commune"], row["portail"]) for row in rows] == [
        ("", "0", "2"),
        ("69029", "5", "2"),
    ]
    assert rows[0]["mois"] == "2026-03"


def test_what_is_no_month_is_told(home: Home) -> None:
    for month in ("mars", "2026-13", "0001-01", "2026-03-01"):
        refused = home.run("sla", "report", "--month", month)
        assert refused.exit_code == 2
        assert "2026-11" in refused.output
    assert home.run("sla", "report", "--commune", "69999").exit_code == 1
