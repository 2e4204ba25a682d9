"""docs/architecture.md: what the map names is there, and the map names what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gateway.flow.crash_points import CRASH_POINTS
from tests.test_house import is_there

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
_WORD = re.compile(r"`(\w+)`")


def files(folder: str) -> set[str]:
    """Return the names of the modules of a folder in `gateway`."""
    return {path.stem for path in (ROOT / "gateway" / folder).glob("*.py")} - {"__init__"}


def paragraph(beginning: str) -> str:
    """Return the paragraph of the page that begins so."""
    (found,) = (one for one in PAGE.split("\n\n") if one.startswith(beginning))
    return found


def test_the_rooms_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (rooms,) = (one for one in contracts if one["id"] == "rooms")
    table = PAGE.partition("## Rooms")[2].partition("\n## ")[0]
    named = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert _WORD.findall(" ".join(named)) == re.findall(r"\w+", " ".join(rooms["layers"]))


@pytest.mark.parametrize(
    ("beginning", "folder"),
    [
        ("The outbox, file by file", "store/outbox"),
        ("The lanes, file by file", "flow/lanes"),
    ],
)
def test_each_file_of_a_room_is_named_and_no_other(beginning: str, folder: str) -> None:
    assert sorted(_WORD.findall(paragraph(beginning))) == sorted(files(folder))


def test_the_named_files_of_the_half_connector_s_proof_are_there() -> None:
    assert set(_WORD.findall(paragraph("`contracts/half_connector`"))) <= files(
        "contracts/half_connector"
    )


def test_dotted_names_and_folders_are_there() -> None:
    gone = [
        name
        for name in re.findall(r"`([a-z]\w*(?:[./]\w+)+/?)`", PAGE)
        if name not in CRASH_POINTS
        and not any((ROOT / base / name).exists() for base in ("", "gateway"))
        and not is_there(name)
        and not is_there(f"gateway.{name}")
    ]
    assert gone == []


def test_the_links_of_the_map_lead_somewhere() -> None:
    links = [one.partition("#")[0] for one in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert links
    assert [one for one in links if not (ROOT / "docs" / one).exists()] == []
