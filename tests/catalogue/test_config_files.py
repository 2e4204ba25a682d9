"""Bundles read from folders, secrets in files, installed adapters, examples and schemas."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from gateway.catalogue import registry
from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.schema import json_schemas
from gateway.catalogue.settings import CommuneFile, SettingsFile
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault
from tests.catalogue.config_samples import (
    ADAPTERS,
    BUNDLE,
    ENVIRON,
    SETTINGS_FILE,
    DummyAdapter,
    make,
    spoilt,
)

CONFIG = Path(__file__).parents[2] / "config"
MAPPINGS = CONFIG.parent / "mappings"


def lay_out(folder: Path, bundle: dict[str, str]) -> tuple[Path, Path]:
    for name, text in bundle.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder / "config", folder / "mappings"


def test_a_bundle_is_what_lies_in_the_folders(tmp_path: Path) -> None:
    folders = lay_out(tmp_path, BUNDLE | {"config/communes/.draft.yaml": "no", "config/x": "no"})
    assert read_bundle(*folders) == BUNDLE
    assert build(read_bundle(*folders), environ=ENVIRON, adapters=ADAPTERS).communes


def test_files_that_cannot_be_taken_are_all_told(tmp_path: Path) -> None:
    folders = lay_out(tmp_path, {**BUNDLE, "config/communes/bad.yml": "x", "outside.yaml": "x"})
    (folders[0] / "communes" / "latin.yaml").write_bytes(b"name: \xe9")
    (folders[0] / "communes" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folders[0] / "communes" / "loop.yaml").symlink_to("loop.yaml")
    (folders[0] / "gateway.yaml").unlink()
    with pytest.raises(ConfigurationFault) as caught:
        read_bundle(*folders)
    assert [(f.file, f.what) for f in caught.value.faults] == [
        ("config/communes/bad.yml", "would not be read"),
        ("config/communes/latin.yaml", "the file is not text in UTF-8"),
        ("config/communes/link.yaml", "a link leads out of the folder"),
        ("config/communes/loop.yaml", "cannot be read: RuntimeError"),
        ("config/gateway.yaml", "the settings file does not exist"),
    ]


def test_folders_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        read_bundle(tmp_path / "a", tmp_path / "b")
    assert [f.file for f in caught.value.faults] == ["config/", "mappings/"]


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    config, mappings = lay_out(tmp_path, BUNDLE)
    closed = tmp_path / ("x" * 300)  # refused to everybody, root included
    for folders, file in (((closed, mappings), "config/"), ((config, closed), "mappings/")):
        with pytest.raises(ConfigurationFault) as caught:
            read_bundle(*folders, [])
        (fault,) = caught.value.faults
        assert (fault.file, str(fault.what)) == (file, "cannot be read: OSError")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_communes_that_cannot_be_listed_are_not_taken_for_none(tmp_path: Path) -> None:
    config, mappings = lay_out(tmp_path, BUNDLE)
    (config / "communes").chmod(0o300)
    with pytest.raises(ConfigurationFault) as caught:
        read_bundle(config, mappings, [])
    (config / "communes").chmod(0o700)
    (fault,) = caught.value.faults
    assert fault.file == "config/communes/"


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sesame file\n")
    bundle = spoilt(SETTINGS_FILE, "env:TOODEGO_KEY", f"file:{secret}")
    key = make(bundle).portals["toodego"].key
    assert key is not None
    assert key.get_secret_value() == "sesame file"
    for content in (b"\n", b"\xff", b"x" * 70_000):
        secret.write_bytes(content)
        with pytest.raises(ConfigurationFault, match=f"the secret file:{secret} is"):
            make(bundle)
    secret.unlink()
    os.mkfifo(secret)
    with pytest.raises(ConfigurationFault, match=f"the secret file:{secret} is not a file"):
        make(bundle)


def test_secrets_do_not_print() -> None:
    catalogue = make()
    for shown in (repr(catalogue), str(catalogue), repr(catalogue.communes["69029"].grus)):
        assert "sesame" not in shown


# --- adapters -------------------------------------------------------------------------------


def point(monkeypatch: pytest.MonkeyPatch, name: str, module: str, thing: Any) -> EntryPoint:
    made = ModuleType(module)
    made.__dict__["Thing"] = thing
    monkeypatch.setitem(sys.modules, module, made)
    return EntryPoint(name, f"{module}:Thing", registry.GROUP)


def test_an_adapter_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    one = point(monkeypatch, "dummy", "dummy_gru", DummyAdapter)
    # The same package twice on the path is no conflict.
    assert registry.installed([one, one]) == {"dummy": DummyAdapter}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import json\nimport no_such_client", "ModuleNotFoundError: no_such_client at acme_gru:2"),
        ("from json import no_such_name", "ImportError: json at acme_gru:1"),
        ("\nsecret = {}['cle-secrete']", "KeyError at acme_gru:2"),
        ("def f(:", "SyntaxError at "),
    ],
)
def test_a_broken_import_names_the_module_and_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, told: str
) -> None:
    (tmp_path / "acme_gru.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_gru", raising=False)
    survey = registry.survey([EntryPoint("acme", "acme_gru:Adapter", registry.GROUP)])
    (fault,) = survey.faults
    assert told in fault.what
    assert "acme_gru" in fault.what
    assert "cle-secrete" not in fault.told("fr")


def test_adapters_that_do_not_fit_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(DummyAdapter):
        kind = "newer"
        sdk = "2.0"

    points = [
        point(monkeypatch, "dummy", "first_gru", DummyAdapter),
        point(monkeypatch, "dummy", "second_gru", DummyAdapter),
        point(monkeypatch, "newer", "newer_gru", Newer),
        point(monkeypatch, "misnamed", "misnamed_gru", DummyAdapter),
        point(monkeypatch, "dict", "dict_gru", dict),
        EntryPoint("absent", "no_such_gru:Thing", registry.GROUP),
    ]
    with pytest.raises(ConfigurationFault) as caught:
        registry.installed(points)
    told = str(caught.value)
    assert "second_gru:Thing: the kind `dummy` is claimed by first_gru:Thing too" in told
    assert "version 2.0 of the SDK, and this gateway has" in told
    assert "registered as `misnamed` calls itself otherwise" in told
    assert "`dict` is not an adapter" in told
    assert "`absent` cannot be loaded: ModuleNotFoundError: no_such_gru" in told
    assert len(caught.value.faults) == 5
    # Those that are well are still known, so that the rest can be checked with them.
    found = registry.survey(points)
    assert dict(found.adapters) == {"dummy": DummyAdapter}
    assert found.unfit == {"newer", "misnamed", "dict", "absent"}


# --- examples and schemas -------------------------------------------------------------------


def example_bundle() -> dict[str, str]:
    bundle = {SETTINGS_FILE: (CONFIG / "gateway.example.yaml").read_text("utf-8")}
    for path in (CONFIG / "communes.example").glob("*.yaml"):
        bundle[f"config/communes/{path.name}"] = path.read_text("utf-8")
    for path in MAPPINGS.glob("*/*.yaml"):
        bundle[f"mappings/{path.relative_to(MAPPINGS).as_posix()}"] = path.read_text("utf-8")
    return bundle


def test_the_examples_load_with_the_real_adapters_and_mappings() -> None:
    bundle = example_bundle()
    words = " ".join(bundle.values()).replace(",", " ").replace("}", " ").split()
    environ = {
        w.removeprefix("env:"): "a-secret-of-24-characters" for w in words if w.startswith("env:")
    }
    environ.pop("NAME", None)
    adapters = registry.survey().adapters
    catalogue = build(bundle, environ=environ, adapters=adapters)
    assert set(catalogue.communes) == {
        "69029",
        "69199",
        "69256",
        "69259",
        "69266",
        "69275",
        "69282",
    }
    assert catalogue.communes["69275"].grus["main"].adapter == "soap"
    assert catalogue.communes["69029"].grus["main"].adapter == "open311"
    assert catalogue.communes["69266"].grus["main"].adapter == "rest"
    assert catalogue.communes["69259"].grus["main"].adapter == "pivot"
    assert catalogue.communes["69199"].grus["main"].adapter == "email"
    assert catalogue.communes["69256"].grus["main"].adapter == "sftp"
    assert catalogue.communes["69282"].grus["main"].adapter == "publik"
    assert catalogue.warnings == ()


def undocumented(model: type[BaseModel], value: Any, path: str = "") -> list[str]:
    """Fields of `model`, at any depth, that `value` does not have as a key."""
    missing = []
    for name, info in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        values = [v[name] for v in value if isinstance(v, dict) and name in v]
        if not values:
            missing.append(here)
            continue
        for inner in models(info.annotation):
            deeper: list[Any] = []
            for one in values:
                if isinstance(one, list):
                    deeper += one
                elif isinstance(one, dict) and not set(one) & set(inner.model_fields):
                    deeper += one.values()
                elif isinstance(one, dict):
                    deeper.append(one)
            if deeper:  # `retry: null` and the like: shown in full elsewhere
                missing += undocumented(inner, deeper, here)
    return missing


def models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in models(part)]


@pytest.mark.parametrize(
    ("file", "model"),
    [("gateway.example.yaml", SettingsFile), ("communes.example/bron.yaml", CommuneFile)],
)
def test_every_key_is_in_the_example(file: str, model: type[BaseModel]) -> None:
    located = load_yaml((CONFIG / file).read_text("utf-8"), file)
    assert undocumented(model, [located.value]) == []


def test_a_key_left_out_of_the_example_would_be_seen() -> None:
    value = load_yaml((CONFIG / "gateway.example.yaml").read_text("utf-8"), "example").value
    del value["log"]["level"]
    del value["portals"]["toodego"]["lane"]["rate"]
    del value["portals"]["toodego"]["callers"][1]["password"]
    assert undocumented(SettingsFile, [value]) == [
        "log.level",
        "portals.callers.password",
        "portals.lane.rate",
    ]


def test_the_example_shows_the_defaults() -> None:
    located = load_yaml((CONFIG / "gateway.example.yaml").read_text("utf-8"), "example")
    portals = {"toodego": {"base_url": "https://example.org"}}
    shown = SettingsFile.model_validate(located.value)
    default = SettingsFile.model_validate({"portals": portals})
    for name in set(SettingsFile.model_fields) - {"portals"}:
        assert getattr(shown, name) == getattr(default, name), name


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_schemas_are_current(name: str) -> None:
    said = "run: python -m gateway.catalogue.schema"
    assert (CONFIG.parent / name).read_text("utf-8") == json_schemas()[name], said
