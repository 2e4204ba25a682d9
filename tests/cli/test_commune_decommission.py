"""`commune decommission`: the plan, a person's word, how far it is, and the certificate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.core.decommission import DecommissionStep
from gateway.store import accepting, cursors, decommissions
from tests.builders import NOW, incoming, service_request
from tests.cli.conftest import Home
from tests.cli.test_commune import written

ORDER = ("--by", "A. Agent", "--because", "Fin de la convention")


@pytest.fixture
def made(home: Home, template: Path) -> Home:
    (home.folder / "var").mkdir(exist_ok=True)
    shutil.copyfile(template, home.folder / "var" / "gateway.db")
    written(home, accepting.accept, incoming(service_request(portal="toodego")))
    return home


def _advance(connection: object, step: DecommissionStep) -> None:
    one = decommissions.current(connection, "69029")  # type: ignore[arg-type]
    assert one is not None
    counts = {"rows": 0, "objects": 0, "markers_found": 0, "markers": 3, "told": 1, "requests": 1}
    assert decommissions.advance(connection, one, step, NOW, counts)  # type: ignore[arg-type]


def test_the_plan_changes_nothing(made: Home) -> None:
    done = made.run("commune", "decommission", "69029", "--plan")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "Bron (69029) leaves the gateway" in done.stdout
    assert "1 deliveries to its GRU" in done.stdout
    assert "each open request (1), up to 3 d" in done.stdout
    told = json.loads(made.run("commune", "decommission", "69029", "--dry-run", "--json").stdout)
    assert told["open_work"]["open"] == 1
    assert (told["drain"], told["tell"]) == (86400, 3 * 86400)
    assert made.run("commune", "decommission", "69029", "--cancel", "--by", "A.").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ((), 2),  # who, and why?
        ((*ORDER, "--confirm", "Villeurbanne"), 2),
        ((*ORDER, "--json"), 2),  # a script names it
        (("--by", "A", "--because", "x" * 501, "--confirm", "Bron"), 2),
        (("--by", "\x1b[31m", "--because", "x", "--confirm", "Bron"), 2),
        ((*ORDER, "--confirm", "Bron", "--drain", "1 an"), 2),
        ((*ORDER, "--confirm", "Bron", "--tell", "91d"), 2),
        ((*ORDER, "--confirm", "Bron", "--from", "demain"), 2),
        ((*ORDER, "--confirm", "Bron", "--from", "0001-01-01T00:00:00+14:00"), 2),
        ((*ORDER, "--confirm", "Bron", "--from", "9999-12-31"), 2),
        ((*ORDER, "--confirm", "Bron", "--from", "2126-09-01"), 2),
        (("--cancel", "--settle-now", "--by", "A"), 2),
        ((*ORDER, "--confirm", "Bron", "--cancel"), 1),  # it does not leave
    ],
)
def test_what_is_no_order_orders_nothing(
    made: Home, arguments: tuple[str, ...], exit_code: int
) -> None:
    done = made.run("commune", "decommission", "69029", *arguments)
    assert done.exit_code == exit_code, done.output
    assert "Traceback" not in done.output
    plan = made.run("commune", "decommission", "69029", "--plan", "--json")
    assert json.loads(plan.stdout)["commune"] == "69029", "it does not leave"


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2026-10-25", "2026-10-24T22:00:00"),  # summer time ends that night
        ("2026-10-25 02:30", "2026-10-25T00:30:00"),  # twice there: the first
        ("2026-10-25 03:00", "2026-10-25T02:00:00"),
        ("2027-03-28 02:30", "2027-03-28T01:30:00"),  # never there: as the clock reads then, 03:30
        ("2027-03-28 03:30", "2027-03-28T01:30:00"),
        ("2027-03-28", "2027-03-27T23:00:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00"),
    ],
)
def test_a_time_is_one_of_paris_also_on_the_days_of_change(made: Home, given: str, at: str) -> None:
    told = made.run("commune", "decommission", "69029", "--plan", "--json", "--from", given)
    assert json.loads(told.stdout)["stop_at"].startswith(at), told.stdout


def test_from_the_order_to_the_certificate(made: Home) -> None:
    assert made.run("commune", "decommission", "69999", *ORDER).exit_code == 1
    done = made.run("commune", "decommission", "69029", *ORDER, "--confirm", "bron")
    assert done.exit_code == 1, "it has not ended"
    assert "no daemon runs now: it begins when one does" in done.stdout
    listed = json.loads(made.run("commune", "list", "--json").stdout)
    assert [one["state"] for one in listed if one["commune"] == "69029"] == ["announced"]
    told = json.loads(made.run("commune", "decommission", "69029", "--json").stdout)
    assert (told["step"], told["rows"], told["markers_found"]) == ("announced", 3, None)
    place = made.folder / "certificat.html"
    done = made.run("commune", "decommission", "69029", "--html", str(place))
    assert (done.exit_code, place.exists()) == (1, False)
    waits = '{"under_way": 2, "places": ["/srv/copie.db"]}'
    written(made, cursors.move, "decommission:69029", waits, NOW, "decommission_waits")
    done = made.run("commune", "decommission", "69029", "--no-wait")
    assert "past its time for: 2 deliveries that its GRU is taking" in done.stdout
    assert "/srv/copie.db" in done.stdout
    told = json.loads(made.run("commune", "decommission", "69029", "--json").stdout)
    assert told["waits"] == {"under_way": 2, "places": ["/srv/copie.db"]}
    assert made.run("commune", "decommission", "69029", "--cancel", *ORDER[:2]).exit_code == 0
    assert made.run("commune", "decommission", "69029", *ORDER, "--confirm", "69029").exit_code == 1
    done = made.run("commune", "decommission", "69029", "--settle-now", *ORDER[:2])
    assert done.exit_code == 1
    for step in list(DecommissionStep)[1:5]:
        written(made, _advance, step)
    done = made.run("commune", "decommission", "69029", "--html", str(place))
    assert done.exit_code == 0, done.output
    assert (
        "69029-bron.yaml is still there (remove it, and the secrets that only it names: file:"
        in (done.stdout)
    )
    page = place.read_text("utf-8").replace("\xa0", " ")
    assert "Certificat de fin de raccordement" in page
    assert "lignes restantes : 0, objets restants : 0, repères retrouvés : 0 sur 3" in page
    assert "Fin de la convention" in page
    told = json.loads(made.run("commune", "decommission", "69029", "--json").stdout)
    assert [*told.items()][:4] == [
        ("commune", "69029"),
        ("rows", 0),
        ("objects", 0),
        ("markers_found", 0),
    ]
    assert made.run("commune", "decommission", "69029", "--settle-now", "--by", "A").exit_code == 1
