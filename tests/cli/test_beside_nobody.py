"""Commands while no daemon runs, or while somebody else holds the database: they say so."""

from __future__ import annotations

import sqlite3

import pytest

from tests.cli.conftest import Home


@pytest.fixture
def made(home: Home) -> Home:
    assert home.run("db", "upgrade").exit_code == 0
    return home


@pytest.mark.parametrize("word", ["pause", "resume", "probe"])
def test_what_no_daemon_takes_is_not_promised(made: Home, word: str) -> None:
    done = made.run("commune", word, "69029")
    assert done.exit_code == 0
    assert "no daemon runs now, the next start takes it" in done.stdout
    assert "tried" not in done.stdout.replace("to be tried", "")


@pytest.mark.parametrize("command", ["request list", "commune list", "release list", "db status"])
def test_who_only_reads_waits_for_no_writer(made: Home, command: str) -> None:
    """Seen: while another wrote, each of these waited for 10 s and gave up."""
    held = sqlite3.connect(made.folder / "var/gateway.db", isolation_level=None)
    try:
        held.execute("BEGIN IMMEDIATE")
        assert made.run(*command.split()).exit_code == 0
    finally:
        held.close()
