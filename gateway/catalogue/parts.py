"""Builds the valid part of a configuration: a broken file stops its own commune alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue.build import build
from gateway.catalogue.bundle import CASES, COMMUNES, MAPPINGS, is_mapping, mapping_key, of_one
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.release import commune_files
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault, Fault

_CODE = re.compile(r"""^commune:\s*["']?([0-9AB]{5})\b""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CatalogueParts:
    """`bundle` and `catalogue` without what is broken; `broken` are faults by file. `communes`: the
    INSEE code of each broken commune's file that names one."""

    bundle: Mapping[str, str]
    catalogue: Catalogue
    broken: Mapping[str, tuple[Fault, ...]]
    communes: Mapping[str, str]

    def faults(self) -> list[Fault]:
        """All faults, once each."""
        return sorted({fault for faults in self.broken.values() for fault in faults})

    @property
    def strays(self) -> dict[str, tuple[Fault, ...]]:
        """The faults of communes' files that name no commune, by file."""
        return {
            file: faults
            for file, faults in self.broken.items()
            if file.startswith(COMMUNES) and file not in self.communes
        }


def build_parts(
    bundle: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    secrets: NeededSecrets = NeededSecrets.DATABASE,
    folder: Path = Path(),
    unread: tuple[Fault, ...] = (),
) -> CatalogueParts:
    """Build the catalogue of all valid files.

    A broken mapping takes the communes that use it with it. `unread` are files that could not be
    read. Raises ConfigurationFault for what concerns all: the settings, the portals, the adapters.
    """
    broken: dict[str, list[Fault]] = {}
    for fault in unread:
        broken.setdefault(fault.file, []).append(fault)
    broken |= _with_them(bundle, broken)
    left = {file: text for file, text in bundle.items() if file not in broken}
    catalogue: Catalogue | None = None
    while catalogue is None:
        try:
            catalogue = build(left, environ=environ, secrets=secrets, folder=folder)
        except ConfigurationFault as error:
            faults = [fault for fault in error.faults if of_one(fault.file) and fault.file in left]
            if len(faults) < len(error.faults):
                raise
            for fault in faults:
                broken.setdefault(fault.file, []).append(fault)
            for file, why in _with_them(left, broken).items():
                broken.setdefault(file, []).extend(why)
            left = {file: text for file, text in left.items() if file not in broken}
    whose = {
        file: code
        for file in broken
        if file.startswith(COMMUNES) and (code := _code(file, bundle.get(file, "")))
    }
    faults_by_file = {file: tuple(faults) for file, faults in sorted(broken.items())}
    return CatalogueParts(left, catalogue, faults_by_file, whose)


def _with_them(
    bundle: Mapping[str, str], broken: Mapping[str, list[Fault]]
) -> dict[str, list[Fault]]:
    """Return the communes whose mappings are broken or incomplete, with the mappings' faults."""
    mappings = [file for file in bundle if is_mapping(file)]
    mappings += [file for file in broken if is_mapping(file) and file not in bundle]
    keys: dict[str, list[Fault]] = {}
    for mapping in mappings:
        if why := [
            one for file, faults in broken.items() if _needs(mapping, file) for one in faults
        ]:
            keys[mapping_key(mapping)] = why
    found: dict[str, list[Fault]] = {}
    for file in bundle if keys else ():
        if file.startswith(COMMUNES) and file not in broken:
            faults = [
                fault for key in _mappings_of(file, bundle[file]) for fault in keys.get(key, ())
            ]
            if faults:
                found[file] = faults
    return found


def _needs(mapping: str, file: str) -> bool:
    """Does the mapping need this file: itself, a case, or a case's data?"""
    own = file == mapping or file.startswith(MAPPINGS + mapping_key(mapping) + CASES)
    return own or (file.endswith(".json") and file.rpartition("/")[0] == mapping.rpartition("/")[0])


def _mappings_of(file: str, text: str) -> list[str]:
    try:
        value = load_yaml(text, file).value
    except ConfigurationFault:
        return []
    routes = value.get("routes") if isinstance(value, dict) else None
    named = (
        [r.get("mapping") for r in routes.values() if isinstance(r, dict)]
        if isinstance(routes, dict)
        else []
    )
    return list(dict.fromkeys(one for one in named if isinstance(one, str)))


def _code(file: str, text: str) -> str | None:
    """Return the commune of a broken file, as parsed or else as its first lines say."""
    parsed = commune_files({file: text})
    if parsed:
        return next(iter(parsed))
    found = _CODE.search(text)
    return None if found is None else found[1]
