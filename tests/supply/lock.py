"""The packages that a lock pins, and those of it that are installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NEEDS = re.compile(r"^[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: `name` as registries compare it, and the hashes of its files."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def normal(name: str) -> str:
    """The name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> list[Pin]:
    """The packages of a lock, in its order. Raises ValueError for one that pins no hash."""
    found: list[Pin] = []
    lines = lock.read_text("utf-8").replace("\\\n", "\\").splitlines()
    for line in lines:
        if not line or line.startswith("#"):
            continue
        first, *rest = line.split("\\")
        pin = _PIN.match(first.strip())
        hashes = tuple(_HASH.findall(" ".join(rest)))
        if pin is None or not hashes:
            raise ValueError(f"{lock.name}: not pinned by a hash: {first.strip()}")
        found.append(Pin(normal(pin["name"]), pin["version"], pin["marker"] or "", hashes))
    return found


def licence(name: str) -> str:
    """Return the licence of an installed package; empty if it names none."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    said = about["License-Expression"] or ""
    kinds = [
        one.rpartition("::")[2].strip()
        for one in about.get_all("Classifier") or ()
        if one.startswith("License ::")
    ]
    return said or " OR ".join(kinds) or (about["License"] or "").partition("\n")[0][:100]


def needs(name: str) -> Iterator[str]:
    """Yield the requirements of an installed package, without its extras."""
    try:
        asked = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for one in asked:
        if "extra ==" not in one and (found := _NEEDS.match(one)):
            yield normal(found.group())
