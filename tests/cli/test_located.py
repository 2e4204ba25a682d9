"""A fault is told at the real path of its file, whatever folder --config names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.contracts import five
from tests.contracts.conftest import KEY
from tests.contracts.five import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Lay out a folder with several configurations, as an operator may have it."""
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


#: What an author is told of a file of the mappings.
PLACE = re.compile(r"([^\s(]*mappings/[^:\s]+):\d+")


@pytest.fixture
def elsewhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The mappings beside the folder that the operator is in: `--mappings ../mappings`."""
    (home.folder / "here").mkdir()
    monkeypatch.chdir(home.folder / "here")
    return Home(home.folder, Path("../config/prod"), Path("../mappings"))


def _places(text: str) -> set[str]:
    found = set(PLACE.findall(text))
    assert all(Path(file).is_file() for file in found), found
    return {Path(file).name for file in found}


def test_cases_that_fail_and_rules_that_are_weak_are_told_where_they_lie(elsewhere: Home) -> None:
    elsewhere.edit(f"mappings/{five.SLUG}/seconde.yaml", "voirie: VOIRIE", "voirie: AUTRE")
    done = elsewhere.run("contract", "run", "--junit", "j.xml", "--html", "pv.html")
    assert done.exit_code == 1, done.output
    failing = "\n".join(line for line in done.stdout.splitlines() if line[:1] != "!")
    weak = "\n".join(line for line in done.stdout.splitlines() if line[:1] == "!")
    assert _places(failing) == {"nominal.yaml", "seconde.yaml"}
    assert _places(weak) == {"premiere.yaml"}
    assert f'file="../mappings/{five.SLUG}/seconde.cases/nominal.yaml"' in Path("j.xml").read_text()
    # What a commune signs is the same wherever it was made.
    assert "../mappings" not in Path("pv.html").read_text()
    told = json.loads(elsewhere.run("contract", "run", "--no-weak", "--json").stdout)
    files = [one["file"] for one in told["contracts"]]
    assert all(Path(file).is_file() for file in files), files


def test_mapping_test_and_coverage_name_files_that_can_be_opened(elsewhere: Home) -> None:
    where = ("--mappings", str(elsewhere.mappings))
    elsewhere.edit(f"mappings/{five.SLUG}/seconde.yaml", "voirie: VOIRIE", "voirie: AUTRE")
    done = run("mapping", "test", f"{five.SLUG}/seconde", *where)
    assert done.exit_code == 1, done.output
    assert _places(done.stdout) == {"nominal.yaml", "seconde.yaml"}
    done = run("mapping", "coverage", f"{five.SLUG}/premiere", *where)
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith(f"../mappings/{five.SLUG}/premiere.yaml:"), done.stdout


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
