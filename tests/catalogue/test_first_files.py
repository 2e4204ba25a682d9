"""A newcomer's files: the faults told, and their places."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.config_faults import validate
from gateway.catalogue.parts import build_parts
from gateway.catalogue.secrets import NeededSecrets, SecretSource
from gateway.catalogue.yaml_reader import LocatedData, load_yaml
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import plain
from gateway.sdk import Secret, Secrets
from tests.catalogue.config_samples import BUNDLE
from tests.life import ROOT


class Shown(BaseModel):
    """A GRU's options: what it is shown, and what it shows us."""

    token: Secret | None = None
    theirs: Secrets = ()


def resolved(
    tmp_path: Path, text: str | bytes, key: str = "token"
) -> tuple[tuple[str, ...], SecretSource]:
    file = tmp_path / "secret"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = SecretSource(os.environ)
    where = LocatedData({key: f"file:{file}"}, "bron.yaml", {(key,): 3})
    found = validate(Shown, where, source)
    secrets = found.theirs if found.token is None else (found.token,)
    assert {one.reference for one in secrets} == {f"file:{file}"}
    return tuple(one.get_secret_value() for one in secrets), source


def test_a_far_end_is_shown_the_first_of_two_lines(tmp_path: Path) -> None:
    value, source = resolved(tmp_path, "neuf-neuf\r\nancien\n")
    assert value == ("neuf-neuf",)
    assert source.scrubbed(plain("ancien, neuf-neuf")).what() == "***, ***"


def test_what_may_be_several_keeps_its_lines(tmp_path: Path) -> None:
    assert resolved(tmp_path, "neuf\nancien\n", "theirs")[0] == ("neuf", "ancien")


def test_a_pem_is_one_secret(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\nBBBB\n-----END PRIVATE KEY-----"
    assert resolved(tmp_path, pem)[0] == (pem,)


def test_a_mark_of_utf8_is_no_part_of_a_secret(tmp_path: Path) -> None:
    assert resolved(tmp_path, b"\xef\xbb\xbfneuf\n")[0] == ("neuf",)


@pytest.mark.parametrize(
    ("text", "said"), [("a\nb\nc\n", "3 secrets"), (b"a\0b\n", "not a file of")]
)
def test_what_is_no_secret_is_told_at_its_line(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigurationFault) as refused:
        resolved(tmp_path, text)
    (fault,) = refused.value.faults
    assert fault.line == 3
    assert said in fault.what


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: Bron\n  portal: toodego\n", 2, "does not stand under"),
        ("name: Bron: la belle\n", 1, "a colon stands where none is due"),
        (
            "gru:\n  main:\n\u00a0\u00a0\u00a0\u00a0adapter: x\n    poll: 5s\n",
            3,
            "a no-break space",
        ),
        ('commune: "69029\nname: Bron\nportal: toodego\n', 1, "is not closed"),
        ("codes: [a, b\nname: Bron\n", 1, "is not closed"),
    ],
)
def test_yaml_is_told_by_what_is_to_be_mended(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        load_yaml(text, "bron.yaml")
    (fault,) = raised.value.faults
    assert fault.line == line
    assert said in fault.what


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, text in BUNDLE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["lyon.yml", "lyon.YAML", "lyon.yaml.txt", "Lyon.Yml"])
def test_a_file_that_would_not_be_read_is_told(folders: Path, name: str) -> None:
    (folders / "config/communes" / name).write_text("", "utf-8")
    with pytest.raises(ConfigurationFault) as raised:
        read_bundle(folders / "config", folders / "mappings")
    assert [fault.file for fault in raised.value.faults] == [f"config/communes/{name}"]


@pytest.mark.parametrize("name", ["lyon.yaml~", ".lyon.yaml.swp", "lyon.yaml.bak", "LISEZMOI"])
def test_what_is_kept_beside_is_left_alone(folders: Path, name: str) -> None:
    before = read_bundle(folders / "config", folders / "mappings")
    (folders / "config/communes" / name).write_text("", "utf-8")
    assert read_bundle(folders / "config", folders / "mappings") == before


@pytest.mark.parametrize("part", ["open311.cases/1-demandes.yaml", "formulaire.json"])
def test_a_mapping_is_not_whole_without_its_cases(tmp_path: Path, part: str) -> None:
    """Seen: a file of cases that cannot be read was left out, and the contract passed without."""
    config, mappings = tmp_path / "config", tmp_path / "mappings"
    shutil.copytree(ROOT / "config/communes.example", config / "communes")
    shutil.copy(ROOT / "config/gateway.example.yaml", config / "gateway.yaml")
    shutil.copytree(ROOT / "mappings", mappings)
    lost = mappings / "signalement-anomalie" / part
    lost.unlink()
    lost.mkdir()
    unread: list[Fault] = []
    bundle = read_bundle(config, mappings, unread)
    parts = build_parts(bundle, environ={}, secrets=NeededSecrets.NONE, unread=tuple(unread))
    assert "69029" in parts.communes.values()
    assert "69029" not in parts.catalogue.communes
    both = part.endswith(".json")
    assert ("69266" in parts.catalogue.communes) is not both
