"""`commune`: what an operator sees of the communes, and a stop that a running daemon takes."""

from __future__ import annotations

import json

from gateway.store import lanes
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from tests.cli.conftest import Home

LANES = {"gru:69029:voirie", "portal:toodego:69029"}


async def paused(home: Home) -> set[str]:
    database = Database(address(home))
    try:
        known = await database.read(lanes.recall)
    finally:
        database.close()
    return {name for name, memory in known.items() if memory.paused}


def address(home: Home) -> str:
    return f"sqlite:///{home.folder / 'var' / 'gateway.db'}"


async def test_pause_and_resume_write_every_lane_of_the_commune(home: Home) -> None:
    upgrade(address(home))
    done = home.spawn("commune", "pause", "69029")
    assert (done.returncode, done.stderr) == (0, "")
    assert "within 5 s" in done.stdout
    assert await paused(home) == LANES
    listed = json.loads(home.spawn("commune", "list", "--json").stdout)
    assert [(one["commune"], one["state"]) for one in listed] == [
        ("69029", "paused"),
        ("69266", "running"),
    ]
    done = home.spawn("commune", "resume", "69029", "--json")
    assert json.loads(done.stdout)["paused"] is False
    assert await paused(home) == set()


def test_an_unknown_commune_is_a_no_with_the_known_ones(home: Home) -> None:
    upgrade(address(home))
    done = home.spawn("commune", "pause", "99999")
    assert done.returncode == 1
    assert "no commune 99999 is connected; there is: 69029, 69266" in done.stderr


def test_a_commune_paused_in_its_file_says_so(home: Home) -> None:
    upgrade(address(home))
    home.replace("communes/69029-bron.yaml", "portal: toodego\n", "portal: toodego\npaused: true\n")
    done = home.spawn("commune", "resume", "69029")
    assert "its file says `paused: true`" in done.stderr
    assert "paused in its file" in home.spawn("commune", "list").stdout
