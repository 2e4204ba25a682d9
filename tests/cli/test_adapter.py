"""`adapter`: what is installed, what is shown of it, and how it is found out."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.catalogue import registry
from gateway.catalogue.quality import FILE, QualityState, package_folder, read_quality
from gateway.cli import adapter as command
from gateway.cli.root import app
from gateway.sdk.example.adapter import ExampleAdapter
from gateway.sdk.matrix import CHECKS, Tier

POINT = EntryPoint("example", "gateway.sdk.example.adapter:ExampleAdapter", registry.GROUP)
QUICK = ("--check", "declared.*", "--check", "submit.accepted")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The example as an installed adapter, its code in a folder of its own."""
    found = registry.survey([POINT])
    monkeypatch.setattr(command, "survey", lambda: found)
    (tmp_path / "adapter.py").write_text("VALUE = 1\n", "utf-8")
    module = "gateway.catalogue.quality.package_folder"
    monkeypatch.setattr(module, lambda _: tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["adapter", *words])
    return done.exit_code, done.output


def test_a_right_adapter_passes_and_a_table_says_so(example: Path) -> None:
    code, said = run("conformance", "example", *QUICK)
    assert code == 0
    assert "submit.accepted" in said
    assert "a request that is taken gives the GRU's number" in said
    assert "5 passed, 0 failed" in said
    code, said = run("conformance", "example", *QUICK, "--lang", "fr")
    assert "une demande prise donne le numéro de la GRU" in said
    assert "5 réussis, 0 échecs" in said


def test_json_has_each_check(example: Path) -> None:
    code, said = run("conformance", "example", *QUICK, "--json")
    told: dict[str, Any] = json.loads(said)
    assert code == 0
    assert told["kind"] == "example"
    assert {row["result"] for row in told["checks"]} == {"passed"}
    assert len(told["checks"]) == 5


def test_a_broken_promise_is_exit_code_1(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExampleAdapter, "kind", "Example ")
    code, said = run("conformance", "example", "--check", "declared.adapter")
    assert code == 1
    assert "declared.adapter: its kind is 'Example '" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("conformance", "nowhere"), "no adapter is called `nowhere`"),
        (("conformance", "example", "--suites", "no.such.module"), "cannot be imported"),
        (("conformance", "example", "--suites", "json"), "holds no AdapterUnderTest"),
        (("conformance", "example", "--check", "nothing.*"), "no check is called like nothing.*"),
        (("conformance", "example", "--write", "--check", "declared.*"), "leave --check out"),
    ],
)
def test_what_cannot_be_run_is_a_sentence(example: Path, words: tuple[str, ...], told: str) -> None:
    code, said = run(*words)
    assert code not in (0, 1) or "example" in said
    assert told in " ".join(said.split())
    assert "Traceback" not in said


def test_a_tier_counts_for_the_code_that_was_tested_alone(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_quality(ExampleAdapter).state is QualityState.NONE
    (example / FILE).write_text("erase: done\n", "utf-8")
    quick = {name: CHECKS[name] for name in CHECKS if name.startswith("declared.")}
    monkeypatch.setattr("gateway.cli.adapter.CHECKS", quick)
    monkeypatch.setattr("gateway.catalogue.quality.CHECKS", quick)
    code, said = run("conformance", "example", "--write")
    assert code == 0, said
    known = read_quality(ExampleAdapter)
    assert known.state is QualityState.CURRENT
    assert known.tier is Tier.PLATINUM  # of those few checks
    assert known.notes == {"erase": "done"}
    written = (example / FILE).read_text("utf-8")
    (example / FILE).write_text(written.replace("tier: platinum", "tier: gold"), "utf-8")
    assert read_quality(ExampleAdapter).state is QualityState.EDITED
    (example / FILE).write_text(written.replace(": passed", ": failed"), "utf-8")
    assert read_quality(ExampleAdapter).state is QualityState.EDITED
    (example / FILE).write_text(written, "utf-8")
    (example / "adapter.py").write_text("VALUE = 2\n", "utf-8")
    stale = read_quality(ExampleAdapter)
    assert (stale.state, stale.tier) == (QualityState.STALE, Tier.NONE)
    code, said = run("list")
    assert code == 0
    assert "not known: the code has changed since" in said


def test_checks_are_told_in_both_languages() -> None:
    code, said = run("checks", "--json")
    assert code == 0
    assert len(json.loads(said)) == len(CHECKS) >= 60
    for one in CHECKS.values():
        assert one.promise.what("en") != one.promise.what("fr")


def test_the_folder_of_an_adapter_is_that_of_its_code() -> None:
    assert (package_folder(ExampleAdapter) / "adapter.py").is_file()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that was just made."""
    into = tmp_path_factory.mktemp("packages")
    code, said = run("new", "acme_crm", "--into", str(into), "--lang", "fr")
    assert code == 0, said
    assert "créé" in said
    return into / "gru-acme-crm"


@pytest.fixture
def package(made: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its suite under pytest, imported as pytest would."""
    monkeypatch.syspath_prepend(str(made))
    spec = importlib.util.spec_from_file_location("acme", made / "tests/test_conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_new_package_is_green_right_away(package: ModuleType) -> None:
    suite = package.TestAcmeCrm()
    assert suite.adapter_class.kind == "acme_crm"
    assert registry.unfit(suite.adapter_class, "acme_crm") is None
    slow = ("answer.", "wire.", "file.large")
    for name, one in CHECKS.items():
        if not name.startswith(slow):
            await suite.test_the_matrix(one)


def test_a_new_package_names_nothing_of_the_example(made: Path) -> None:
    project = tomllib.loads((made / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "gru-acme-crm"
    points = project["entry-points"][registry.GROUP]
    assert points == {"acme_crm": "gru_acme_crm.adapter:AcmeCrmAdapter"}
    for file in made.rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            text = file.read_text("utf-8").replace("example.org", "")
            assert not re.search("example", text, re.IGNORECASE), file
    assert (made / "README.fr.md").exists()


@pytest.mark.parametrize(
    "name", ["Acme", "a", "1acme", "class", "acme-crm", "a" * 41, "../x", "example"]
)
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    code, said = run("new", "--into", str(tmp_path), "--", name)
    assert code not in (0, 1)
    assert "cannot be the name of an adapter" in said
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_touched(made: Path) -> None:
    code, said = run("new", "acme_crm", "--into", str(made.parent))
    assert code == 1
    assert "is there already" in said
    code, said = run("new", "open311", "--into", str(made.parent))
    assert code == 1
    assert "an adapter `open311` is installed already" in said
