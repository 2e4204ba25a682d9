"""The catalogue of what is released: each commune as its own release has it.

Mappings and what decides the output come from the stored releases; settings, portals and what is a
matter of operation (contacts, lanes, polls, timeouts, retries, a pause) from the files of today;
secrets from the environment, as ever.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.catalogue import registry
from gateway.catalogue.build import build
from gateway.catalogue.bundle import COMMUNES, MAPPINGS, SETTINGS
from gateway.catalogue.catalogue import Catalogue, Commune, Refusal
from gateway.catalogue.releases import (
    GRU_OPERATIONAL,
    OPERATIONAL,
    Release,
    adapter_versions,
    commune_files,
    output_of,
    teleservices_of,
)
from gateway.catalogue.secrets import Needed
from gateway.catalogue.yaml_lines import load
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.mapping import Mapping as RequestMapping
from gateway.sdk import Adapter

_NOTHING: Mapping[str, tuple[Fault, ...]] = MappingProxyType({})


def settings_of(
    bundle: Mapping[str, str],
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    folder: Path = Path(),
    secrets: Needed = Needed.ALL,
) -> Catalogue:
    """The settings and portals alone, with no commune. Raises ConfigurationFault."""
    alone = {SETTINGS: bundle[SETTINGS]} if SETTINGS in bundle else {}
    found = build(alone, environ=environ, adapters=adapters, folder=folder, secrets=secrets)
    return replace(found, warnings=tuple(w for w in found.warnings if w.file != COMMUNES))


def build_released(
    bundle: Mapping[str, str],
    releases: Mapping[str, Release],
    *,
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    versions: Mapping[str, str] | None = None,
    folder: Path = Path(),
    unfit: Mapping[str, tuple[Fault, ...]] = _NOTHING,
) -> Catalogue:
    """The catalogue that runs: `releases` by commune over the settings of `bundle`.

    A release that is not fit to run costs its commune alone, which is in `refused` with everything
    that is wrong: an adapter that is missing or of another version, settings of a teleservice that
    changed, a secret that is not there. So is one that `unfit` says something of. Raises
    ConfigurationFault for the settings.
    """
    steps = building_released(
        bundle,
        releases,
        environ=environ,
        adapters=adapters,
        versions=versions,
        folder=folder,
        unfit=unfit,
    )
    while True:
        try:
            next(steps)
        except StopIteration as over:
            built: Catalogue = over.value
            return built


def building_released(
    bundle: Mapping[str, str],
    releases: Mapping[str, Release],
    *,
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    versions: Mapping[str, str] | None = None,
    folder: Path = Path(),
    unfit: Mapping[str, tuple[Fault, ...]] = _NOTHING,
) -> Generator[None, None, Catalogue]:
    """`build_released`, a commune at each step: who serves meanwhile serves between them."""
    if adapters is None:
        adapters = registry.installed()
    known = adapter_versions(adapters) if versions is None else versions
    base = settings_of(bundle, environ, adapters, folder)
    refused: dict[str, Refusal] = {}
    warnings = set(base.warnings)
    communes: dict[str, Commune] = {}
    mappings: dict[str, RequestMapping] = {}
    local = commune_files(bundle)
    for insee, release in sorted(releases.items()):
        yield
        where = f"release {release.short} of {release.name} ({insee})"
        faults = [*unfit.get(insee, ()), *_adapters(release, known, where)]
        one: Catalogue | None = None
        if not faults:
            try:
                one = build(_bundle(release, bundle, local), environ=environ, adapters=adapters)
            except ConfigurationFault as error:
                faults += [_of(where, fault) for fault in error.faults]
        if one is not None and teleservices_of(one.communes[insee], one) != release.teleservices:
            what = f"the portal {release.portal} has other settings for its teleservices"
            remedy = "take the change back in gateway.yaml, or sign and apply a release with it"
            faults.append(Fault(where, 0, what, remedy))
        if one is None or faults:
            refused[insee] = Refusal(release.name, release.portal, release.digest, tuple(faults))
            continue
        communes[insee] = one.communes[insee]
        mappings.update(one.mappings)
        warnings.update(w for w in one.warnings if w.file != SETTINGS)
    unreleased = yield from _unreleased(bundle, local, releases, environ, adapters)
    return replace(
        base,
        communes=communes,
        mappings=mappings,
        warnings=tuple(sorted(warnings)),
        unreleased=unreleased,
        releases={insee: releases[insee].digest for insee in communes},
        refused=refused,
    )


def _adapters(release: Release, known: Mapping[str, str], where: str) -> list[Fault]:
    faults = []
    for kind, version in sorted(release.adapters.items()):
        if kind not in known:
            remedy = "install its package, or roll the commune back"
            faults.append(Fault(where, 0, f"the adapter `{kind}` is not installed", remedy))
        elif known[kind] != version:
            what = f"it was made with version {version} of the adapter `{kind}`, not {known[kind]}"
            remedy = "have the commune sign a release with it (release plan), or put it back"
            faults.append(Fault(where, 0, what, remedy))
    return faults


def _of(where: str, fault: Fault) -> Fault:
    """What is wrong in a release's file: not in the file of the same name on this machine."""
    if fault.file == SETTINGS:
        return fault
    return Fault(f"{where}, {fault.file}", fault.line, fault.what, fault.remedy)


def _bundle(
    release: Release, bundle: Mapping[str, str], local: Mapping[str, str]
) -> dict[str, str]:
    files = {SETTINGS: bundle[SETTINGS], **release.mappings()}
    name = release.commune_file
    ours = local.get(release.commune)
    files[name] = _operated(release.files[name], None if ours is None else bundle[ours], name)
    return files


def _operated(released: str, ours: str | None, name: str) -> str:
    """The released text of a commune's file, with what is a matter of operation from `ours`."""
    if ours is None:
        return released
    then, today = load(released, name).value, load(ours, name).value
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
    # JSON is YAML: the lines are no longer those of a file, which `where` says.
    return json.dumps(merged, ensure_ascii=False, indent=1)


def _without(value: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in keys}


def _only(value: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key in keys}


def _unreleased(
    bundle: Mapping[str, str],
    local: Mapping[str, str],
    releases: Mapping[str, Release],
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]],
) -> Generator[None, None, dict[str, Commune]]:
    """Those whose file is there and well while nothing of theirs is released."""
    found: dict[str, Commune] = {}
    rest = {file: text for file, text in bundle.items() if file.startswith(MAPPINGS)}
    for insee, file in local.items():
        if insee in releases:
            continue
        yield
        one = {SETTINGS: bundle[SETTINGS], file: bundle[file], **rest}
        try:
            found.update(build(one, environ=environ, adapters=adapters).communes)
        except ConfigurationFault:
            continue  # no less unreleased; its faults are told by `check` and `release plan`
    return found
