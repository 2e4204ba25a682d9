"""Commands speak French or English: one of them at a time, all faults told, with what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.language import language
from gateway.core.errors import ConfigurationFault, Fault
from tests.cli.conftest import MAPPINGS, Home, run
from tests.core.test_messages import ENGLISH, FRENCH, prose


@pytest.mark.parametrize(
    ("environ", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr"}, "fr"),
        ({"LANG": "FR"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "fr_BE"}, "fr"),
        ({"LANG": "fy_NL"}, "en"),
        ({"LANG": "frp"}, "en"),
    ],
)
def test_the_environment_says_the_language(environ: Mapping[str, str], spoken: str) -> None:
    assert language(environ) == spoken


def _spoil(home: Home) -> None:
    """Six faults in three files, of as many kinds."""
    home.replace("gateway.yaml", "shutdown_grace", "shutdown_grave")
    home.replace("gateway.yaml", "public_url: http", "public_url: ftp")
    home.replace("communes/69029-bron.yaml", "adapter: open311", "adapter: open312")
    home.replace("communes/69029-bron.yaml", "signalement-anomalie/open311", "x/y")
    home.replace("communes/69266-villeurbanne.yaml", "portal: toodego", "portal: toodeg")
    (home.folder / "secrets" / "webhook-key").unlink()


def test_all_six_faults_of_three_files_are_told_in_either_language(home: Home) -> None:
    _spoil(home)
    english, french = home.run("check"), home.run("check", "--lang", "fr")
    assert english.exit_code == french.exit_code == 3
    *told, count = english.stderr.splitlines()
    *dits, compte = french.stderr.splitlines()
    assert (count, compte) == ("6 faults", "6 anomalies")
    assert [line.split(": ")[0] for line in told] == [line.split(": ")[0] for line in dits]
    assert len({line.split(":")[0] for line in told}) == 3
    assert not prose(english.stderr.replace(str(home.folder), "")) & FRENCH
    assert not prose(french.stderr.replace(str(home.folder), "")) & ENGLISH
    assert all(line.endswith(")") for line in (*told, *dits)), "each with what to do"


@pytest.mark.parametrize("before", [True, False])
def test_another_language_is_refused_in_that_of_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    command = ("--lang", "x\x1b", "check") if before else ("check", "--lang", "x\x1b")
    told = home.run(*command)
    said = "error: --lang x\\u001b: no such language (write en or fr)"
    assert (told.exit_code, told.stdout, told.stderr.splitlines()[0]) == (2, "", said)
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    dit = home.run(*command)
    assert (dit.exit_code, dit.stderr[:7]) == (2, "erreur ")
    assert not prose(dit.stderr) & ENGLISH


def test_it_may_be_asked_for_before_the_command_and_ends_with_it(home: Home) -> None:
    _spoil(home)
    where = ["check", *home.where]
    assert "6 anomalies" in run("--lang", "fr", *where).stderr
    assert "6 faults" in run(*where).stderr


def test_json_has_a_word_for_programs(home: Home) -> None:
    _spoil(home)
    one, other = (json.loads(home.run("check", "--json", "--lang", x).stdout) for x in ("en", "fr"))
    assert [f["reason"] for f in one["faults"]] == [f["reason"] for f in other["faults"]]
    assert [f["what"] for f in one["faults"]] != [f["what"] for f in other["faults"]]


def test_what_is_found_when_asking_is_in_one_language(home: Home) -> None:
    """No far end listens: each is a fault and comes first; what is well is not listed."""
    told = home.run("check", "--lang", "fr")
    assert told.exit_code == 4
    assert told.stderr.splitlines()[0].startswith("anomalie : ")
    assert not prose(told.stderr.replace(str(home.folder), "")) & ENGLISH
    assert "serveurs distants : " in told.stdout
    assert "bon : " not in told.stdout
    assert "Bron (69029) : 1 anomalie, 1 avertissement" in told.stdout
    assert told.stdout.splitlines()[-1].endswith(" avertissement")


def faults(home: Home) -> tuple[Fault, ...]:
    try:
        build(read_bundle(home.config, MAPPINGS), environ={}, secrets=NeededSecrets.NONE)
    except ConfigurationFault as error:
        return error.faults
    return ()


@pytest.mark.parametrize(
    ("old", "new", "what", "do"),
    [
        ("  portal: toodego", "\tportal: toodego", "une tabulation", "espaces"),
        ("portal: toodego", "portal: [toodego", "n'est pas refermé", "le refermer"),
        ("portal: toodego", "portal: too: dego", "deux-points", "guillemets"),
        ("portal: toodego", "portal: @toodego", "aucun texte ne commence", "guillemets"),
        ("portal: toodego", "portal: *toodego", "aucune ancre", "en entier"),
        ("portal: toodego", "portal: toodego\nportal: x", "déjà donné ligne", "n'en garder"),
        (
            "portal: toodego",
            "portal: toodego\n   x: 1",
            "alignée|deux-points",
            "décalage|guillemets",
        ),
    ],
)
def test_what_is_no_yaml_is_said_in_words(
    home: Home, old: str, new: str, what: str, do: str
) -> None:
    path = home.config / "communes/69029-bron.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("portal: toodego", new.removeprefix("  "), 1), "utf-8")
    (fault,) = faults(home)
    assert fault.line > 0
    assert any(one in fault.said.what("fr") for one in what.split("|")), fault.told("fr")
    assert any(one in fault.said.remedy("fr") for one in do.split("|")), fault.told("fr")
