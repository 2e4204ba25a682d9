"""Known holes in what is pinned, from advisories in a file: OSV's zip of its entries for PyPI, or a
folder of them. No package is named to anybody for it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from tests.supply.lock import Pin, normal


@dataclass(frozen=True, slots=True)
class Hole:
    """An advisory that a pinned version is under; `fixed` names versions that are not."""

    pin: Pin
    advisory: str
    summary: str
    fixed: tuple[str, ...]


def advisories(source: Path) -> Iterator[Mapping[str, Any]]:
    """The entries of a zip or a folder. Raises OSError, ValueError for what is neither."""
    if source.is_dir():
        for path in sorted(source.glob("*.json")):
            yield json.loads(path.read_bytes())
        return
    with zipfile.ZipFile(source) as packed:
        for name in packed.namelist():
            if name.endswith(".json"):
                yield json.loads(packed.read(name))


def holes(found: Sequence[Pin], entries: Iterator[Mapping[str, Any]]) -> list[Hole]:
    """Return the known holes of the pinned packages."""
    known = {pin.name: pin for pin in found}
    open_: list[Hole] = []
    for entry in entries:
        if entry.get("withdrawn"):
            continue
        for affected in entry.get("affected") or ():
            package = affected.get("package") or {}
            pin = known.get(normal(str(package.get("name"))))
            if pin is None or package.get("ecosystem") != "PyPI":
                continue
            inside, fixed = _within(pin.version, affected)
            if inside:
                summary = str(entry.get("summary") or "")
                open_.append(Hole(pin, str(entry.get("id")), summary, fixed))
    return sorted(open_, key=lambda one: (one.pin.name, one.advisory))


def _within(version: str, affected: Mapping[str, Any]) -> tuple[bool, tuple[str, ...]]:
    """Is the version under it, and which versions end it?"""
    here = Version(version)
    inside = version in (affected.get("versions") or ())
    fixed: list[str] = []
    for ranged in affected.get("ranges") or ():
        if ranged.get("type") != "ECOSYSTEM":
            continue
        under = False
        for event in ranged.get("events") or ():
            for word, text in event.items():
                try:
                    there = Version("0" if text == "0" else text)
                except InvalidVersion:
                    continue
                if word == "introduced":
                    under = under or here >= there
                elif word == "fixed":
                    fixed.append(text)
                    under = under and here < there
                elif word == "last_affected":
                    under = under and here <= there
        inside = inside or under
    return inside, tuple(fixed)
