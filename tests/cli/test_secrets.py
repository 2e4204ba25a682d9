"""A command that calls no far end needs no secret of one."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Home


@pytest.fixture
def bare(home: Home) -> Home:
    """A home whose secrets are not there."""
    for one in (home.folder / "secrets").iterdir():
        one.unlink()
    assert home.run("db", "upgrade").exit_code == 0
    return home


@pytest.mark.parametrize(
    "command",
    [
        "request list",
        "outbox list",
        "commune list",
        "erasure list",
        "db status",
        "config show",
        "release list",
        "release plan",
        "release verify",
        "commune pause 69029",
    ],
)
def test_a_command_that_calls_nobody(bare: Home, command: str) -> None:
    done = bare.run(*command.split())
    assert done.exit_code in (0, 1), done.output
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_command_that_calls_somebody(bare: Home, command: str) -> None:
    done = bare.run(*command.split())
    assert done.exit_code == 3
    assert "secret" in done.stderr
