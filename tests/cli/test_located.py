"""A fault is told at the real path of its file, whatever folder --config names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts import five
from tests.contracts.conftest import KEY
from tests.contracts.five import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """As an operator has it who is in the folder of several configurations."""
    monkeypatch.setenv("FIVE_KEY", KEY)
    made = five.build(tmp_path)
    made.config.rename(tmp_path / "prod")
    made.config.mkdir()
    (tmp_path / "prod").rename(made.config / "prod")
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path, Path("config/prod"), Path("mappings"))


@pytest.mark.parametrize(
    ("file", "whom"),
    [
        ("gateway.yaml", ("--commune", "69001")),
        ("communes/69001.yaml", ("--commune", "69001")),
        ("gateway.yaml", ()),
    ],
)
def test_contract_run_names_the_file_that_can_be_opened(
    home: Home, file: str, whom: tuple[str, ...]
) -> None:
    home.edit(f"config/prod/{file}", "toodego", "[")
    done = home.run("contract", "run", "--no-weak", *whom)
    assert done.exit_code == 3, done.output
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith(f"config/prod/{file}:")], done.stderr
    assert "prod/prod" not in done.stderr


def test_what_is_left_out_is_said_in_one_language(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert home.run("db", "upgrade").exit_code == 0
    home.edit(f"mappings/{five.SLUG}/seconde.cases/nominal.yaml", "case: 1", "case: [")
    home.edit("config/prod/communes/69001.yaml", "toodego", "[")
    done = home.run("release", "plan")
    assert done.exit_code == 3
    assert "laissé de côté : config/prod/communes/69001.yaml:" in done.stderr
    assert f"laissé de côté : mappings/{five.SLUG}/seconde.cases/nominal.yaml:" in done.stderr
    assert "left out" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("portal", "workflow", five.SLUG),  # five communes, and no field tells which is meant
        ("glc", "status"),  # nothing is said of it
        ("glc", "poll"),
    ],
)
def test_what_settings_lack_is_told_at_their_file(home: Home, command: tuple[str, ...]) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    done = home.run(*command)
    assert done.exit_code == 3
    assert done.stderr.splitlines()[0].startswith("config/prod/gateway.yaml: "), done.stderr


def test_scripts_are_given_the_file_of_a_commune_that_can_be_opened(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    home.edit("config/prod/communes/69001.yaml", "toodego", "[")
    shown = home.json("commune", "show", "69001")
    assert {one["file"] for one in shown["faults"]} == {"config/prod/communes/69001.yaml"}


def test_what_changes_is_told_at_the_file_that_can_be_opened(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    assert home.sign("69001").exit_code == 0
    assert home.run("release", "apply", "--commune", "69001").exit_code == 0
    home.edit("config/prod/communes/69001.yaml", "path: /demandes", "path: /tickets")
    planned = home.run("release", "plan", "--commune", "69001").stdout
    assert "  config/prod/communes/69001.yaml:" in planned
    refused = home.run("release", "apply", "--commune", "69001").stdout
    assert "change: config/prod/communes/69001.yaml:" in refused
