"""The packs of `adapters/packs` as a commune has them, and their servers as they were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gateway.catalogue.mapping_files import load_mapping
from gateway.contracts.recorded import RecordedAnswers
from gateway.core.mapping import RequestMapping

ROOT = Path(__file__).resolve().parents[2]
PACKS = ROOT / "adapters" / "packs"
NAMES = tuple(sorted(path.parent.name for path in PACKS.glob("*/commune.yaml")))
#: The request of the recordings.
REFERENCE = "TDG-06H1NGNBPMHP4J06"
_SHARED = ROOT / "mappings" / "signalement-anomalie" / "formulaire.json"
_SETTINGS = """\
portals:
  toodego:
    base_url: https://demarches-toodego.example.org
    orig: passerelle
    key: env:PORTAIL_CLE
    callers: [{orig: toodego, key: env:APPEL_CLE}]
    teleservices: {signalement-anomalie: {commune: fields.commune_raw}}
"""


def text(name: str, file: str) -> str:
    return (PACKS / name / file).read_text("utf-8")


def bundle(name: str) -> dict[str, str]:
    """A configuration of one commune, as it is with this pack."""
    folder = f"mappings/signalement-anomalie/{name}"
    files = {
        "config/gateway.yaml": _SETTINGS,
        "config/communes/bron.yaml": text(name, "commune.yaml"),
        f"{folder}.yaml": text(name, "mapping.yaml"),
        "mappings/signalement-anomalie/formulaire.json": _SHARED.read_text("utf-8"),
    }
    for path in (PACKS / name / "cases").glob("*.yaml"):
        files[f"{folder}.cases/{path.name}"] = path.read_text("utf-8")
    return files


def options(name: str) -> dict[str, Any]:
    """The pack's options, its secrets given."""
    given: dict[str, Any] = yaml.safe_load(text(name, "commune.yaml"))["gru"][name]["options"]
    return given


def mapping(name: str) -> RequestMapping:
    path = f"mappings/signalement-anomalie/{name}.yaml"
    return load_mapping(text(name, "mapping.yaml"), path)


def recorded(name: str) -> RecordedAnswers:
    """The server as it was recorded."""
    return RecordedAnswers.read(PACKS / name / "recorded.json")
