"""Files that a commune's options name: found beside the configuration, and part of its release."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import config_files, read_bundle
from gateway.catalogue.parts import build_parts
from gateway.catalogue.release import Release, make_releases, read_release
from gateway.catalogue.released import build_released
from gateway.core.errors import ConfigurationFault, Fault
from gateway.sdk import Adapter, ConfigFile
from tests.catalogue.config_samples import ADAPTERS, BUNDLE, ENVIRON, DummyAdapter, DummyOptions
from tests.catalogue.test_config_files import lay_out

COMMUNE = "config/communes/bron.yaml"


class FiledOptions(DummyOptions):
    wsdl: ConfigFile


class FiledAdapter(DummyAdapter):
    Options = FiledOptions  # type: ignore[assignment]


FILED: dict[str, type[Adapter]] = {**ADAPTERS, "dummy": FiledAdapter}
FILES = {
    "config/files/a.wsdl": "<a schemaLocation='b.xsd'/>",
    "config/files/b.xsd": "<b/>",
    "config/files/other.xsd": "<o/>",
}


def bundle(name: str = "a.wsdl", **files: str) -> dict[str, str]:
    named = BUNDLE[COMMUNE].replace("options:\n", f"options:\n      wsdl: {name}\n", 1)
    return {**BUNDLE, COMMUNE: named, **FILES, **files}


def release(**files: str) -> Release:
    made = bundle(**files)
    catalogue = build(made, environ=ENVIRON, adapters=FILED)
    return make_releases(made, catalogue, {"dummy": "1"})["69029"]


def test_they_are_read_with_the_configuration(tmp_path: Path) -> None:
    found = read_bundle(*lay_out(tmp_path, {**bundle(), "config/files/notes.txt": "x"}))
    assert config_files(found) == {"a.wsdl": FILES["config/files/a.wsdl"], "b.xsd": "<b/>"} | {
        "other.xsd": "<o/>"
    }
    catalogue = build(found, environ=ENVIRON, adapters=FILED)
    options = catalogue.communes["69029"].grus["main"].options
    assert isinstance(options, FiledOptions)
    assert options.wsdl.text == FILES["config/files/a.wsdl"]


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationFault) as caught:
        build(bundle("a.wsld"), environ=ENVIRON, adapters=FILED)
    (fault,) = caught.value.faults
    line = bundle("a.wsld")[COMMUNE].splitlines().index("      wsdl: a.wsld") + 1
    assert (fault.file, fault.line) == (COMMUNE, line)
    assert "config/files/a.wsld" in fault.what
    assert "a.wsdl" in fault.remedy


def test_one_that_cannot_be_read_stops_those_that_name_it_alone(tmp_path: Path) -> None:
    config, mappings = lay_out(tmp_path, bundle())
    (config / "files" / "a.wsdl").write_bytes(b"\xff\xfe\xe9")
    unread: list[Fault] = []
    found = read_bundle(config, mappings, unread)
    assert [fault.file for fault in unread] == ["config/files/a.wsdl"]
    parts = build_parts(found, environ=ENVIRON, unread=tuple(unread))
    assert parts.broken.keys() >= {"config/files/a.wsdl", COMMUNE}


def test_a_release_holds_what_is_named_and_what_that_names() -> None:
    made = release()
    assert made.named_files().keys() == {"config/files/a.wsdl", "config/files/b.xsd"}
    assert release(**{"config/files/other.xsd": "<changed/>"}).digest == made.digest
    assert release(**{"config/files/b.xsd": "<changed/>"}).digest != made.digest


def test_a_release_runs_with_the_files_that_it_holds() -> None:
    made = read_release(release().content())
    changed = bundle(**{"config/files/a.wsdl": "<changed/>"})
    catalogue = build_released(
        changed, {"69029": made}, environ=ENVIRON, adapters=FILED, versions={"dummy": "1"}
    )
    options = catalogue.communes["69029"].grus["main"].options
    assert isinstance(options, FiledOptions)
    assert options.wsdl.text == FILES["config/files/a.wsdl"]
