"""`commune`: what an operator sees of the communes, and a stop that a running daemon takes."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from gateway.store import lanes
from gateway.store.engine import Database
from tests.cli.conftest import Home

LANES = {"gru:69029:voirie", "portal:toodego:69029"}


def paused(home: Home) -> set[str]:
    database = Database(f"sqlite:///{home.folder / 'var' / 'gateway.db'}")
    try:
        known = asyncio.run(database.read(lanes.recall))
    finally:
        database.close()
    return {name for name, memory in known.items() if memory.paused}


@pytest.fixture
def made(home: Home, template: Path) -> Home:
    """With its database."""
    (home.folder / "var").mkdir(exist_ok=True)
    shutil.copyfile(template, home.folder / "var" / "gateway.db")
    return home


def test_pause_and_resume_write_every_lane_of_the_commune(made: Home) -> None:
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


def test_an_unknown_commune_is_a_no_with_the_known_ones(made: Home) -> None:
    done = made.run("commune", "pause", "99999")
    assert done.exit_code == 1
    assert "no commune 99999 is connected; there is: 69029, 69266" in done.stderr


def test_a_commune_paused_in_its_file_says_so(made: Home) -> None:
    made.replace("communes/69029-bron.yaml", "portal: toodego\n", "portal: toodego\npaused: true\n")
    done = made.run("commune", "resume", "69029")
    assert "its file says `paused: true`" in done.stderr
    assert "paused in its file" in made.run("commune", "list").stdout
