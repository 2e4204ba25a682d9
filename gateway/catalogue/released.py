"""The catalogue of what is released: each commune as in its own release.

Stored releases give mappings and all that decides the output. The files as last applied, or else as
they are today, give settings, portals and matters of operation (contacts, lanes, polls, timeouts,
retries, a pause). Secrets come from the environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.catalogue.build import Base, build_base, build_over
from gateway.catalogue.bundle import MAPPINGS, SETTINGS
from gateway.catalogue.catalogue import Catalogue, Commune, Refusal
from gateway.catalogue.release import (
    GRU_OPERATIONAL,
    OPERATIONAL,
    Release,
    adapter_versions,
    commune_files,
    output_of,
    teleservices_of,
)
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.mapping import RequestMapping
from gateway.core.messages import plain
from gateway.sdk import Adapter

_NOTHING: Mapping[str, tuple[Fault, ...]] = MappingProxyType({})


@dataclass(slots=True)
class BuiltParts:
    """Parts of the catalogue that were built before. A commune is built anew only when its
    release or the operational part of its file changed; it keeps its secrets and certificates
    until then."""

    base: Base | None = None
    #: By commune, with what it was built from.
    communes: dict[str, tuple[_BuiltOf, Catalogue]] = field(default_factory=dict)
    #: Likewise those without a release; None: their files are at fault.
    unreleased: dict[str, tuple[str, Commune | None]] = field(default_factory=dict)
    mappings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _BuiltOf:
    """A release, and the commune's file that gives its matters of operation."""

    digest: str
    ours: str | None


def settings_of(
    bundle: Mapping[str, str],
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    folder: Path = Path(),
    secrets: NeededSecrets = NeededSecrets.ALL,
) -> Catalogue:
    """Return the settings and portals, with no commune. Raises ConfigurationFault."""
    base = build_base(bundle, environ=environ, adapters=adapters, folder=folder, secrets=secrets)
    return base.catalogue


def build_released(
    bundle: Mapping[str, str],
    releases: Mapping[str, Release],
    *,
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    versions: Mapping[str, str] | None = None,
    folder: Path = Path(),
    unfit: Mapping[str, tuple[Fault, ...]] = _NOTHING,
    applied: Mapping[str, str] = MappingProxyType({}),
    kept: BuiltParts | None = None,
) -> Catalogue:
    """Build the catalogue that runs: `releases` by commune over the settings of `bundle`.

    A release that cannot be run stops its commune alone, which goes into `refused` with every
    fault: an adapter that is missing or of another version, changed settings of a teleservice, a
    missing secret, or what `unfit` says. `applied` are communes' files whose matters of operation
    replace those of `bundle`. `kept` is what was built before with the same settings, and is added
    to. Raises ConfigurationFault for the settings.
    """
    if kept is None:
        kept = BuiltParts()
    if kept.base is None:
        kept.base = build_base(bundle, environ=environ, adapters=adapters, folder=folder)
    base = kept.base.catalogue
    known = adapter_versions(base.adapters) if versions is None else versions
    refused: dict[str, Refusal] = {}
    warnings = set(base.warnings)
    communes: dict[str, Commune] = {}
    mappings: dict[str, RequestMapping] = {}
    local = commune_files(bundle)
    built: dict[str, tuple[_BuiltOf, Catalogue]] = {}
    for insee, release in sorted(releases.items()):
        where = f"release {release.short} of {release.name} ({insee})"
        faults = [*unfit.get(insee, ()), *_adapters(release, known, where)]
        one: Catalogue | None = None
        if not faults:
            today = bundle[local[insee]] if insee in local else None
            of = _BuiltOf(release.digest, applied.get(insee, today))
            before = kept.communes.get(insee)
            try:
                if before is not None and before[0] == of:
                    one = before[1]
                else:
                    one = build_over(kept.base, _files(release, of.ours), environ=environ)
            except ConfigurationFault as error:
                faults += [_in_release(where, fault) for fault in error.faults]
            else:
                built[insee] = of, one
        if one is not None and teleservices_of(one.communes[insee], one) != release.teleservices:
            what = f"the portal {release.portal} has other settings for its teleservices"
            remedy = "take the change back in gateway.yaml, or sign and apply a release with it"
            faults.append(Fault(where, 0, plain(what, remedy)))
        if one is None or faults:
            refused[insee] = Refusal(release.name, release.portal, release.digest, tuple(faults))
            continue
        communes[insee] = one.communes[insee]
        mappings.update(one.mappings)
        warnings.update(one.warnings)
    kept.communes = built
    return replace(
        base,
        communes=communes,
        mappings=mappings,
        warnings=tuple(sorted(warnings)),
        unreleased=_unreleased(kept, bundle, local, releases, environ),
        releases={insee: releases[insee].digest for insee in communes},
        refused=refused,
    )


def _adapters(release: Release, known: Mapping[str, str], where: str) -> list[Fault]:
    faults = []
    for kind, version in sorted(release.adapters.items()):
        if kind not in known:
            remedy = "install its package, or roll the commune back"
            faults.append(Fault(where, 0, plain(f"the adapter `{kind}` is not installed", remedy)))
        elif known[kind] != version:
            what = f"it was made with version {version} of the adapter `{kind}`, not {known[kind]}"
            remedy = "have the commune sign a release with it (release plan), or put it back"
            faults.append(Fault(where, 0, plain(what, remedy)))
    return faults


def _in_release(where: str, fault: Fault) -> Fault:
    """Move a fault to the release: the file of the same name on this machine is another."""
    if fault.file == SETTINGS:
        return fault
    return Fault(f"{where}, {fault.file}", fault.line, fault.said)


def _files(release: Release, ours: str | None) -> dict[str, str]:
    name = release.commune_file
    kept = {**release.mappings(), **release.named_files()}
    return {**kept, name: _operated(release.files[name], ours, name)}


def _operated(released: str, ours: str | None, name: str) -> str:
    """Return the released text of a commune's file, with the matters of operation of `ours`."""
    if ours is None or ours == released:
        return released
    then, today = load_yaml(released, name).value, load_yaml(ours, name).value
    if not isinstance(then, dict) or not isinstance(today, dict):
        return released
    if output_of(then) == output_of(today):
        return ours
    merged: dict[str, Any] = {**_without(then, OPERATIONAL), **_only(today, OPERATIONAL)}
    grus, grus_today = then.get("gru"), today.get("gru")
    if isinstance(grus, dict) and isinstance(grus_today, dict):
        merged["gru"] = {}
        for key, gru in grus.items():
            other = grus_today.get(key)
            if isinstance(gru, dict) and isinstance(other, dict):
                own = _only(other, GRU_OPERATIONAL)
                merged["gru"][key] = {**_without(gru, GRU_OPERATIONAL), **own}
            else:
                merged["gru"][key] = gru
    # JSON is YAML. Its lines are no file's, as `where` says.
    return json.dumps(merged, ensure_ascii=False, indent=1)


def _without(value: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in keys}


def _only(value: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key in keys}


def _unreleased(
    kept: BuiltParts,
    bundle: Mapping[str, str],
    local: Mapping[str, str],
    releases: Mapping[str, Release],
    environ: Mapping[str, str],
) -> dict[str, Commune]:
    """Return the communes with a valid file and no release."""
    assert kept.base is not None  # noqa: S101 - as its caller made it
    mappings = {file: text for file, text in bundle.items() if file.startswith(MAPPINGS)}
    if mappings != kept.mappings:
        kept.mappings, kept.unreleased = mappings, {}
    found: dict[str, tuple[str, Commune | None]] = {}
    for insee, file in local.items():
        if insee in releases:
            continue
        before = kept.unreleased.get(insee)
        if before is not None and before[0] == bundle[file]:
            found[insee] = before
            continue
        one: Commune | None = None
        # `check` and `release plan` tell its faults.
        with suppress(ConfigurationFault):
            files = {**mappings, file: bundle[file]}
            one = build_over(kept.base, files, environ=environ).communes.get(insee)
        found[insee] = bundle[file], one
    kept.unreleased = found
    return {insee: one for insee, (_, one) in found.items() if one is not None}
