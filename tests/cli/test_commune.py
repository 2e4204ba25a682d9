"""`commune`: what an operator sees of the communes, and a stop that a running daemon takes."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from gateway.app import only_process
from gateway.store import renewals
from gateway.store.engine import Database
from gateway.store.outbox import lanes
from tests.cli.conftest import Home

LANES = {"gru:69029:voirie", "portal:toodego:69029"}


def remembered(home: Home) -> dict[str, lanes.LaneMemory]:
    database = Database(f"sqlite:///{home.folder / 'var' / 'gateway.db'}")
    try:
        return asyncio.run(database.read(lanes.recall))
    finally:
        database.close()


#: Nothing was ever released here.
UNRELEASED = "no release is active, only serve --dev runs them (release plan, sign, apply)\n"


def written(home: Home, unit: Any, *args: Any) -> None:
    database = Database(f"sqlite:///{home.folder / 'var' / 'gateway.db'}")
    try:
        asyncio.run(database.write(unit, *args))
    finally:
        database.close()


def paused(home: Home) -> set[str]:
    return {name for name, memory in remembered(home).items() if memory.paused}


@pytest.fixture
def made(home: Home, template: Path) -> Home:
    """With its database."""
    (home.folder / "var").mkdir(exist_ok=True)
    shutil.copyfile(template, home.folder / "var" / "gateway.db")
    return home


def test_pause_and_resume_write_every_lane_of_the_commune(made: Home) -> None:
    written(made, renewals.record_answer, "a daemon", "", None, datetime.now(UTC))
    done = made.run("commune", "pause", "69029")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "within 5 s" in done.stdout
    assert paused(made) == LANES
    listed = json.loads(made.run("commune", "list", "--json").stdout)
    assert [(one["commune"], one["state"]) for one in listed] == [
        ("69029", "paused"),
        ("69266", "running"),
    ]
    done = made.run("commune", "resume", "69029", "--json")
    assert json.loads(done.stdout)["paused"] is False
    assert paused(made) == set()


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (None, "no daemon runs now\n"),
        (40, "a daemon runs, as it said 4? s ago\n"),
        (100, "a daemon runs, as it said 10? s ago, which is long: it may have been killed\n"),
        (200, "no daemon runs now\n"),
    ],
)
def test_how_old_the_word_of_the_daemon_is_is_said(made: Home, age: int | None, told: str) -> None:
    if age is not None:
        at = datetime.now(UTC) - timedelta(seconds=age)
        written(made, renewals.record_answer, "a daemon", "", None, at)
    listed = made.run("commune", "list")
    assert fnmatch(listed.stderr, told + UNRELEASED), listed.stderr
    states = [one["state"] for one in json.loads(made.run("commune", "list", "--json").stdout)]
    assert states == 2 * ["ready" if told.startswith("no") else "running"]


def test_a_killed_daemon_beside_sqlite_runs_no_more_at_once(made: Home) -> None:
    written(made, renewals.record_answer, "a daemon", "", None, datetime.now(UTC))
    with only_process(made.folder / "var"):
        assert "a daemon runs" in made.run("commune", "list").stderr
        assert "within 5 s" in made.run("commune", "probe", "69029").stdout
    # The system took the lock from it; its word is still there.
    listed = made.run("commune", "list")
    assert listed.stderr == f"no daemon runs now\n{UNRELEASED}"
    assert "running" not in listed.stdout
    assert "[" not in listed.stdout
    for command in ("pause", "resume", "probe"):
        assert "the next start takes it" in made.run("commune", command, "69029").stdout
    asked = made.run("secrets", "reload")
    assert (asked.exit_code, asked.stdout) == (
        1,
        "no daemon runs; they are read at its start\n",
    )


def test_a_daemon_that_says_nothing_runs_while_it_holds_its_lock(made: Home) -> None:
    """`serve --dev` follows no release, and has no word in the database."""
    with only_process(made.folder / "var"):
        assert made.run("commune", "list").stderr.startswith("a daemon runs")
        assert "within 5 s" in made.run("commune", "pause", "69029").stdout
        asked = made.run("secrets", "reload")
    assert (asked.exit_code, "(serve --dev) does not take it: start it anew" in asked.stdout) == (
        1,
        True,
    )


def test_a_long_silence_is_said_where_a_daemon_is_to_take_something(made: Home) -> None:
    at = datetime.now(UTC) - timedelta(seconds=100)
    written(made, renewals.record_answer, "a daemon", "", None, at)
    told = made.run("commune", "pause", "69029").stdout
    assert fnmatch(told, "*within 5 s, if it still runs: it said so 10? s ago\n"), told


def test_a_probe_ends_breaks_and_no_pause(made: Home) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for lane in LANES:
        opened = lanes.LaneMemory(lane, breaker="open", probe_at=later, hold_until=later)
        written(made, lanes.remember, opened)
    assert made.run("commune", "pause", "69029").exit_code == 0
    one = made.run("commune", "probe", "69029", "--gru", "voirie")
    assert (one.exit_code, "gru:69029:voirie to be tried" in one.stdout) == (0, True)
    assert remembered(made)["portal:toodego:69029"].hold_until == later
    assert made.run("commune", "probe", "69029").exit_code == 0
    known = remembered(made)
    assert all(one.hold_until is None for one in known.values())
    assert all(one.probe_at is not None and one.probe_at < later for one in known.values())
    assert paused(made) == LANES
    none = made.run("commune", "probe", "69029", "--gru", "ailleurs")
    assert (none.exit_code, "known here: voirie" in none.stderr) == (1, True)


def test_an_unknown_commune_is_a_no_with_the_known_ones(made: Home) -> None:
    done = made.run("commune", "pause", "99999")
    assert done.exit_code == 1
    assert "no commune 99999 here (there is: 69029 Bron, 69266 Villeurbanne)" in done.stderr


@pytest.mark.parametrize("command", [("outbox", "list"), ("request", "list")])
@pytest.mark.parametrize(
    ("code", "exit_code", "cure"),
    [("123", 2, "there is: 69029"), ("abc", 2, "there is: 69029"), ("69999", 1, "69029 Bron?")],
)
def test_a_list_of_an_unknown_commune_is_not_told_as_an_empty_one(
    made: Home, command: tuple[str, str], code: str, exit_code: int, cure: str
) -> None:
    done = made.run(*command, "--commune", code)
    assert (done.exit_code, done.stdout) == (exit_code, ""), done.output
    assert f"no commune {code} here" in done.stderr
    assert cure in done.stderr
    french = made.run(*command, "--commune", code, "--lang", "fr")
    assert f"erreur : il n'y a pas ici de commune {code}" in french.stderr


def test_a_commune_paused_in_its_file_says_so(made: Home) -> None:
    made.replace("communes/69029-bron.yaml", "portal: toodego\n", "portal: toodego\npaused: true\n")
    done = made.run("commune", "resume", "69029")
    assert "its file says `paused: true`" in done.stderr
    assert "paused in its file" in made.run("commune", "list").stdout
