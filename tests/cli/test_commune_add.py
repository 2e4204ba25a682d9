"""`commune add`: from a few answers to a file that runs, or all that is at fault, and nothing."""

from __future__ import annotations

import json
import re
import resource
import shutil
import stat
from pathlib import Path

import pytest
import yaml

from gateway.catalogue.new_commune import (
    CommuneDraft,
    commune_file_name,
    commune_text,
    write_secret,
)
from gateway.cli.root import app
from gateway.core.decommission import DecommissionStep
from gateway.store import decommissions
from gateway.store.engine import Database
from tests.builders import NOW, leaving
from tests.cli.conftest import Home
from tests.cli.test_commune import written
from tests.command import CliRunner

SLUG = "signalement-anomalie"
ADDED = (
    *("commune", "add", "69275", "--no-input", "--adapter", "open311"),
    *("--route", "signalement-anomalie=signalement-anomalie/open311"),
    *("--option", "api_key=new", "--option", "endpoint=http://127.0.0.1:9/x"),
    *("--contact", "technical=dsi@exemple.invalid", "--offline"),
)


def files(home: Home) -> set[str]:
    return {path.relative_to(home.config).as_posix() for path in home.config.rglob("*")}


def test_the_file_its_secrets_its_cases_and_the_portals_part(home: Home) -> None:
    done = home.run(*ADDED)
    assert done.exit_code == 0, done.output
    file = home.config / "communes" / "69275-decines-charpieu.yaml"
    value = yaml.safe_load(file.read_text("utf-8"))
    assert (value["commune"], value["name"], value["portal"]) == (
        "69275",
        "Décines-Charpieu",
        "toodego",
    )
    secrets = sorted((home.config / "secrets").iterdir())
    assert [one.name for one in secrets] == ["69275-api-key", "69275-key"]
    assert value["key"] == f"file:{secrets[1]}"
    assert value["gru"]["main"]["options"]["api_key"] == f"file:{secrets[0]}"
    assert {stat.S_IMODE(one.stat().st_mode) for one in secrets} == {0o600}
    assert stat.S_IMODE(secrets[0].parent.stat().st_mode) == 0o700
    texts = [one.read_text().strip() for one in secrets]
    assert len(set(texts)) == 2
    assert all(len(one) >= 40 and one not in done.output for one in texts)
    assert "0 failed" in done.stdout
    for told in (
        "cle_passerelle_69275",
        "/portal/v1/communes/69275/teleservices/signalement-anomalie/requests",
        "portal workflow signalement-anomalie",
        "fields.commune_raw",
        "release sign 69275",
    ):
        assert told in done.stdout, told
    # Never over another file.
    again = home.run(*ADDED)
    assert (again.exit_code, str(file) in again.stderr) == (1, True)


def test_all_that_is_at_fault_is_told_at_once_and_nothing_is_written(home: Home) -> None:
    before = files(home)
    done = home.run("commune", "add", "69275", "--no-input")
    assert done.exit_code == 3
    assert [line.partition(":")[0] for line in done.stderr.splitlines()[:2]] == [
        "--adapter",
        "--route",
    ]
    done = home.run(
        *("commune", "add", "69275", "--no-input", "--adapter", "open311"),
        *("--portal", "autre", "--option", "api_key=en-clair", "--contact", "personne"),
        *("--option", "=", "--options", str(home.folder / "absent.yaml")),
    )
    assert done.exit_code == 3
    for place in ("--portal", "--contact", "--option api_key", "--option endpoint", "--options"):
        assert any(line.startswith(f"{place}: ") for line in done.stderr.splitlines()), place
    assert "en-clair" not in done.output
    # What the configuration itself refuses takes the file and its secrets back.
    options = home.folder / "options.yaml"
    options.write_text("endpoint: ftp://nulle.part\nformat: exotique\nnimporte: 1\n")
    done = home.run(
        *("commune", "add", "69275", "--no-input", "--adapter", "open311", "--offline"),
        *("--route", "signalement-anomalie", "--option", "api_key=new", "--options", str(options)),
    )
    assert done.exit_code == 3, done.output
    assert done.stderr.count("69275-decines-charpieu.yaml:") >= 3
    assert files(home) - before <= {"secrets"}


@pytest.mark.parametrize("code", ["6902", "bron", "../../69029", "69029\n", "٦٩٠٢٩"])
def test_what_is_no_code_is_refused(home: Home, code: str) -> None:
    before = files(home)
    done = home.run("commune", "add", code, "--no-input")
    assert done.exit_code == 2
    assert files(home) == before


def test_a_person_is_asked_and_a_typed_secret_is_shown_nowhere(home: Home) -> None:
    answers = [
        "",  # Insee's name
        "nulle-part",
        "open311",
        "-",
        "ftp://127.0.0.1:9/x",
        "secret-tape-1",
        "signalement-anomalie",
    ]
    done = CliRunner().invoke(
        app,
        ["commune", "add", "69275", "--offline", *home.where],
        input="\n".join(answers) + "\n",
        prog_name="gru-gateway",
    )
    assert "nulle-part is none of: demo, email" in done.output
    # The configuration refuses the address.
    assert done.exit_code == 3, done.output
    assert "endpoint" in done.stderr
    assert "secret-tape-1" not in done.output
    assert not [one for one in files(home) if "69275" in one]


def test_one_that_has_left_comes_again_only_when_somebody_says_so(
    home: Home, template: Path
) -> None:
    (home.folder / "var").mkdir()
    shutil.copyfile(template, home.folder / "var" / "gateway.db")
    written(home, decommissions.announce, leaving(commune="69275", announced_at=NOW))
    assert home.run(*ADDED).exit_code == 1
    for step in list(DecommissionStep)[1:5]:
        written(home, _advance, step)
    done = home.run(*ADDED)
    assert done.exit_code == 1
    assert "--again" in done.stderr
    assert home.run(*ADDED, "--again").exit_code == 2
    done = home.run(*ADDED, "--again", "--by", "A. Agent", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["cases_passed"] is True
    assert "69275" in told["for_the_portal"]
    # Its file is there: it may run again by that.
    written(home, decommissions.announce, leaving(id="DEC-2", commune="69275", announced_at=NOW))
    for step in list(DecommissionStep)[1:5]:
        written(home, _advance, step)
    done = home.run("commune", "add", "69275", "--again", "--by", "A. Agent")
    assert (done.exit_code, "69275-decines-charpieu.yaml" in done.stdout) == (0, True)
    database = Database(f"sqlite:///{home.folder / 'var' / 'gateway.db'}")
    with database.engine.connect() as connection:
        assert decommissions.every(connection) == []
    database.close()


@pytest.mark.parametrize(
    "name",
    [
        '$(touch pwn); `id` "x": [y] # z',
        "- !!python/name:os.system",
        "null",
        "=cmd|' /C calc'!A0",
        "é" * 90,
        "..%2f\u2028../../etc",
    ],
)
def test_a_hostile_name_is_a_name_in_its_file(name: str) -> None:
    draft = CommuneDraft(
        "69275", name, "toodego", "main", "open311", False, {name: name}, {"voirie": "voirie/x"}
    )
    value = yaml.safe_load(commune_text(draft))
    assert (value["commune"], value["name"]) == ("69275", name)
    assert value["gru"]["main"]["options"] == {name: name}
    file = commune_file_name("69275", name)
    assert re.fullmatch(r"69275[a-z0-9-]{0,70}\.yaml", file), file


@pytest.mark.parametrize("gru", ["../x: y", "main:\n  evil", "", "É"])
def test_a_hostile_name_of_a_gru_leaves_nothing(home: Home, gru: str) -> None:
    done = home.run(*ADDED, "--gru", gru)
    assert done.exit_code == 3, done.output
    assert not [one for one in files(home) if "69275" in one]


def test_a_code_that_insee_does_not_know_is_told(home: Home) -> None:
    given = [one if one != "69275" else "69998" for one in ADDED]
    done = home.run(*given, "--name", "Nulle-Part")
    assert (done.exit_code, "69998 is in no list of Insee's" in done.stdout) == (0, True)


def test_who_is_asked_for_teleservices_is_asked_again(home: Home) -> None:
    answers = [
        "",
        "open311",
        "-",
        "http://127.0.0.1:9/x",
        "",
        "rien-de-tel",
        "signalement-anomalie",
    ]
    done = CliRunner().invoke(
        app,
        ["commune", "add", "69275", "--offline", *home.where],
        input="\n".join(answers) + "\n",
        prog_name="gru-gateway",
    )
    assert done.exit_code == 0, done.output
    assert "rien-de-tel is none of: " in done.output
    for cut in range(len(answers) - 1):  # a terminal that is closed, or no terminal at all
        home.config.joinpath("communes/69275-decines-charpieu.yaml").unlink(missing_ok=True)
        shutil.rmtree(home.config / "secrets", ignore_errors=True)
        done = CliRunner().invoke(
            app,
            ["commune", "add", "69275", "--offline", *home.where],
            input="".join(f"{one}\n" for one in answers[:cut]),
            prog_name="gru-gateway",
        )
        assert done.exit_code == 1, done.output
        assert not [one for one in files(home) if "69275" in one]


def test_a_file_is_there_wholly_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    place = write_secret(folder, "one", None)
    with pytest.raises(FileExistsError):
        write_secret(folder, "one", "another")
    assert len(place.read_text()) > 40
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # as a disk that is full
    try:
        with pytest.raises(OSError, match="too large"):
            write_secret(folder, "two", "x" * 4000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.name for one in folder.iterdir()] == ["one"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def _advance(connection: object, step: DecommissionStep) -> None:
    one = decommissions.current(connection, "69275")  # type: ignore[arg-type]
    assert one is not None
    assert decommissions.advance(connection, one, step, NOW)  # type: ignore[arg-type]


def test_names_of_files() -> None:
    assert commune_file_name("69091", "Givors") == "69091-givors.yaml"
    assert commune_file_name("69275", "Décines-Charpieu") == "69275-decines-charpieu.yaml"
    assert (
        commune_file_name("69250", "La Tour-de-Salvagny / ..") == "69250-la-tour-de-salvagny.yaml"
    )
