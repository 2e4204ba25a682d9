"""An adapter's `quality.yaml`: what the fault matrix showed of it, and the tier that follows.

The file is written by `gru-gateway adapter conformance NAME --write`. A tier counts for the code
that was tested alone, and a file that somebody edited counts for nothing: it bears the digest of
the adapter's code, and a seal over its results. `suites` and `notes` are the author's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from sys import modules
from typing import Any

import yaml

from gateway.sdk import Adapter
from gateway.sdk.matrix import CHECKS, CheckResult, CheckState, Tier, tier_of

FILE = "quality.yaml"
_HEAD = (
    "# Written by `gru-gateway adapter conformance {kind} --write`. `suites` and `notes` are the\n"
    "# author's; the rest is what was shown of the code of that digest, and is not edited.\n"
)


class QualityState(StrEnum):
    """The worth of results: of this code, of an earlier one, altered by hand, or none."""

    CURRENT = "current"
    STALE = "stale"
    EDITED = "edited"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AdapterQuality:
    """The results of an adapter. `tier` is NONE unless the results count."""

    state: QualityState
    tier: Tier = Tier.NONE
    suites: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, CheckState] = field(default_factory=dict)


def package_folder(adapter: type[Adapter]) -> Path:
    """Return the folder that an adapter's code is in."""
    return Path(str(modules[adapter.__module__].__file__)).parent


def code_digest(folder: Path) -> str:
    """Return the digest of the Python files of a package, names and contents."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def read_quality(adapter: type[Adapter]) -> AdapterQuality:
    """Return what the adapter's `quality.yaml` shows; nothing where there is none."""
    folder = package_folder(adapter)
    try:
        told = yaml.safe_load((folder / FILE).read_text("utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        return AdapterQuality(QualityState.NONE)
    if not isinstance(told, dict):
        return AdapterQuality(QualityState.NONE)
    suites = told.get("suites") if isinstance(told.get("suites"), str) else None
    notes = _notes(folder / FILE)
    if "results" not in told:
        return AdapterQuality(QualityState.NONE, suites=suites, notes=notes)
    if told.get("seal") != _seal(told):
        return AdapterQuality(QualityState.EDITED, suites=suites, notes=notes)
    results = {name: CheckState(state) for name, state in told["results"].items()}
    if told["code"] != code_digest(folder) or results.keys() != CHECKS.keys():
        return AdapterQuality(QualityState.STALE, suites=suites, notes=notes, results=results)
    tier = tier_of_results(results, http=told["http"])
    return AdapterQuality(QualityState.CURRENT, tier, suites, notes, results)


def tier_of_results(results: Mapping[str, CheckState], *, http: bool) -> Tier:
    """Return the tier that results by the names of checks come to."""
    return tier_of(((CHECKS[name].tier, state) for name, state in results.items()), http=http)


def write_quality(
    adapter: type[Adapter], results: Sequence[CheckResult], suites: str, *, http: bool
) -> Path:
    """Write the results beside the adapter's code; the author's notes are kept. Raises OSError."""
    folder = package_folder(adapter)
    found = {result.check.name: result.state for result in results}
    told: dict[str, Any] = {
        "suites": suites,
        "notes": dict(_notes(folder / FILE)),
        "tier": tier_of_results(found, http=http).name.lower(),
        "sdk": adapter.sdk,
        "http": http,
        "code": code_digest(folder),
        "results": {name: state.value for name, state in found.items()},
    }
    told["seal"] = _seal(told)
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100)
    (folder / FILE).write_text(_HEAD.format(kind=adapter.kind) + text, "utf-8")
    return folder / FILE


def _notes(file: Path) -> Mapping[str, Any]:
    """Return the author's notes; a file without results is notes as a whole."""
    try:
        told = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        return {}
    if not isinstance(told, dict):
        return {}
    if "results" not in told and "notes" not in told:
        return {name: value for name, value in told.items() if name != "suites"}
    notes = told.get("notes")
    return notes if isinstance(notes, dict) else {}


def _seal(told: Mapping[str, Any]) -> str:
    sealed = {name: told.get(name) for name in ("tier", "sdk", "http", "code", "results")}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()


__all__ = [
    "AdapterQuality",
    "QualityState",
    "code_digest",
    "package_folder",
    "read_quality",
    "tier_of_results",
    "write_quality",
]
