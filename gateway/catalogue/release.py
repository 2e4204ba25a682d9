"""A release: all that decides what one commune's GRU and portal are sent, under one digest.

The digest covers the files' meaning: not comments or layout, nor what cannot change the output
(contacts, lanes, polls, timeouts, retries, a pause; the purposes of personal data). It covers a
secret's reference; no release holds its value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Any

from gateway.catalogue.bundle import (
    CASES,
    COMMUNES,
    FILES,
    MAPPINGS,
    files_named,
    is_mapping,
    mapping_key,
)
from gateway.catalogue.catalogue import Catalogue, Commune
from gateway.catalogue.mapping_bases import bases_of, extended
from gateway.catalogue.registry import GROUP
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault, Fault, GatewayError
from gateway.sdk import Adapter

FORMAT = 1
#: The payload of each case, by mapping, title and field.
Rendered = Mapping[str, Mapping[str, Mapping[str, str]]]
#: Keys of a mapping that only people read: the register of personal data.
TOLD = frozenset({"personal_data"})
#: Keys of a commune's file, and of its GRUs, that do not change the output.
OPERATIONAL = frozenset({"key", "contacts", "paused"})
GRU_OPERATIONAL = frozenset({"lane", "timeout", "poll", "follow_after_end", "retry"})


class BadRelease(GatewayError):
    """The stored content is no release."""


@dataclass(frozen=True, slots=True)
class Release:
    """One commune's release.

    `files` are texts by bundle name: the commune's file, its mappings with those that they extend,
    the cases of all of them. `adapters` are versions by kind, `teleservices` the portal's settings
    of each. `rendered` is the output of its cases by the gateway that made it; None from an earlier
    gateway.
    """

    commune: str
    name: str
    portal: str
    files: Mapping[str, str]
    adapters: Mapping[str, str]
    teleservices: Mapping[str, Mapping[str, Any]]
    digest: str
    rendered: Rendered | None = None

    @property
    def short(self) -> str:
        """The digest as people write it."""
        return self.digest[:12]

    @property
    def commune_file(self) -> str:
        return next((name for name in self.files if name.startswith(COMMUNES)), COMMUNES)

    def mappings(self) -> dict[str, str]:
        """Return the texts of the mappings by file name, with those that others extend."""
        return {file: text for file, text in self.files.items() if is_mapping(file)}

    def named_files(self) -> dict[str, str]:
        """Return the files that the commune's options name, by file name."""
        return {file: text for file, text in self.files.items() if file.startswith(FILES)}

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the routes' mappings."""
        return tuple(mapping_key(file) for file in routed(self.files))

    def content(self) -> str:
        """Return the release as stored text, which `read_release` reads."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "commune": self.commune,
            "name": self.name,
            "portal": self.portal,
            "files": dict(self.files),
            "adapters": dict(self.adapters),
            "teleservices": {slug: dict(one) for slug, one in self.teleservices.items()},
        }
        if self.rendered is not None:
            document["rendered"] = self.rendered
        return _canonical(document)


def read_release(content: str) -> Release:
    """Read a stored release; its digest is computed anew. Raises BadRelease."""
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise BadRelease(say("release_format", format=str(document["format"]), ours=FORMAT))
        texts = {name: text for name, text in document["files"].items() if isinstance(text, str)}
        return _made(
            str(document["commune"]),
            str(document["name"]),
            str(document["portal"]),
            texts,
            dict(document["adapters"]),
            dict(document["teleservices"]),
            document.get("rendered"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadRelease(say("release_content")) from None
    except ConfigurationFault as error:
        raise BadRelease(say("release_unread", fault=error.faults[0].message)) from None


def read_stored(contents: Mapping[str, str], digest: str, commune: str | None = None) -> Release:
    """Read the release stored under a digest. Raises BadRelease if it is missing, unreadable, or
    does not match its digest or `commune`."""
    if digest not in contents:
        raise BadRelease(say("release_not_kept"))
    release = read_release(contents[digest])
    if release.digest != digest or commune not in (None, release.commune):
        raise BadRelease(say("release_altered"))
    return release


def make_releases(
    bundle: Mapping[str, str],
    catalogue: Catalogue,
    versions: Mapping[str, str] | None = None,
    rendered: Callable[[Mapping[str, str]], Rendered | None] = lambda files: None,
    broken: dict[str, tuple[Fault, ...]] | None = None,
) -> dict[str, Release]:
    """Make the releases of the files, by commune. `catalogue` is built from `bundle`.

    `versions` are the adapters' by kind, None for the installed ones. `rendered` renders the cases
    of some files. Raises ConfigurationFault for cases that do not parse; with `broken`, adds these
    faults there by commune instead.
    """
    known = adapter_versions(catalogue.adapters) if versions is None else versions
    by_commune = commune_files(bundle)
    found: dict[str, Release] = {}
    faults: list[Fault] = []
    for insee, commune in sorted(catalogue.communes.items()):
        try:
            found[insee] = _release(commune, by_commune[insee], bundle, catalogue, known, rendered)
        except ConfigurationFault as error:
            faults += error.faults
            if broken is not None:
                broken[insee] = tuple(error.faults)
    if faults and broken is None:
        raise ConfigurationFault(faults)
    return found


def _release(
    commune: Commune,
    file: str,
    bundle: Mapping[str, str],
    catalogue: Catalogue,
    versions: Mapping[str, str],
    rendered: Callable[[Mapping[str, str]], Rendered | None],
) -> Release:
    files = {file: bundle[file], **files_named(bundle, bundle[file])}
    for route in commune.routes.values():
        files.update(files_of(bundle, route.mapping.file))
    return _made(
        commune.insee,
        commune.name,
        commune.portal,
        files,
        {gru.adapter: versions.get(gru.adapter, "unknown") for gru in commune.grus.values()},
        teleservices_of(commune, catalogue),
        rendered(files),
    )


def teleservices_of(commune: Commune, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Return the portal's settings of the commune's teleservices."""
    known = catalogue.portals[commune.portal].teleservices
    return {
        slug: {
            "commune": None if path is None else path.text,
            "adopt_number": known[slug].adopt_number,
        }
        for slug in sorted(commune.routes)
        if slug in known
        for path in (known[slug].commune_path,)
    }


def routed(files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of the routes' mappings, without those that they only extend."""
    return tuple(sorted({file for file in files if is_mapping(file)} - extended(files)))


def files_of(bundle: Mapping[str, str], file: str) -> dict[str, str]:
    """Return all files of one mapping: itself, those that it extends, their cases."""
    names = (file, *(name for name, _ in bases_of(bundle, file)))
    return {name: bundle[name] for name in names} | cases_of(bundle, mapping_key(file))


def cases_of(bundle: Mapping[str, str], key: str) -> dict[str, str]:
    """Return the cases of one mapping and of those that it extends, with the JSON of its
    teleservice's folder that they name."""
    own = f"{MAPPINGS}{key}.yaml"
    below = tuple(
        name.removesuffix(".yaml") + CASES
        for name in (own, *(base for base, _ in bases_of(bundle, own)))
    )
    cases = {file: text for file, text in bundle.items() if file.startswith(below)}
    texts = tuple(cases.values())
    shared = f"{MAPPINGS}{key.partition('/')[0]}/"
    for file, text in bundle.items():
        name = file.removeprefix(shared)
        beside = file == shared + name and "/" not in name and name.endswith(".json")
        if beside and any(name in case for case in texts):
            cases[file] = text
    return cases


def _made(
    commune: str,
    name: str,
    portal: str,
    files: Mapping[str, str],
    adapters: Mapping[str, str],
    teleservices: Mapping[str, Mapping[str, Any]],
    rendered: Rendered | None,
) -> Release:
    said = {
        file: _meaning(file, text) for file, text in files.items() if not file.startswith(COMMUNES)
    }
    own = [
        output_of(_parsed(file, text)) for file, text in files.items() if file.startswith(COMMUNES)
    ]
    document: dict[str, Any] = {
        "format": FORMAT,
        "commune": commune,
        "portal": portal,
        # A commune file's name does not count; those of mappings and cases are their keys.
        "configuration": own,
        "files": said,
        "adapters": adapters,
        "teleservices": teleservices,
    }
    if rendered is not None:
        document["rendered"] = rendered
    digest = hashlib.sha256(_canonical(document).encode("utf-8")).hexdigest()
    return Release(commune, name, portal, dict(files), adapters, teleservices, digest, rendered)


def output_of(commune_file: Any) -> Any:
    """Return the parts of a parsed commune's file that can change the output."""
    if not isinstance(commune_file, dict):
        return commune_file
    kept = {key: value for key, value in commune_file.items() if key not in OPERATIONAL}
    grus = kept.get("gru")
    if isinstance(grus, dict):
        kept["gru"] = {
            name: {key: value for key, value in gru.items() if key not in GRU_OPERATIONAL}
            if isinstance(gru, dict)
            else gru
            for name, gru in grus.items()
        }
    return kept


def operated(file: str, before: str, after: str) -> list[str]:
    """List the differences of two texts of a commune's file that do not change the output. An
    unreadable text has none."""
    try:
        then, now = _parsed(file, before), _parsed(file, after)
    except ConfigurationFault:
        return []
    if not isinstance(then, dict) or not isinstance(now, dict):
        return []
    found = [key for key in sorted(OPERATIONAL) if then.get(key) != now.get(key)]
    grus, today = then.get("gru"), now.get("gru")
    if not isinstance(grus, dict) or not isinstance(today, dict):
        return found
    for name, other in today.items():
        one = grus.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += [
                f"gru.{name}.{key}"
                for key in sorted(GRU_OPERATIONAL)
                if one.get(key) != other.get(key)
            ]
    return found


def output_digest(text: str, file: str) -> str:
    """Return the digest of the parts of a commune's file that can change the output."""
    return hashlib.sha256(_canonical(output_of(_parsed(file, text))).encode("utf-8")).hexdigest()


def file_digest(file: str, text: str) -> str:
    """Return the digest of a file's meaning, without comments and layout."""
    return hashlib.sha256(_canonical(_meaning(file, text)).encode("utf-8")).hexdigest()


def adapter_versions(adapters: Mapping[str, type[Adapter]]) -> dict[str, str]:
    """Return the version of each adapter: its own (`version`), or else its package's."""
    packages = _packages()
    return {
        kind: str(getattr(adapter, "version", None) or packages.get(kind, "unknown"))
        for kind, adapter in adapters.items()
    }


@cache
def _packages() -> dict[str, str]:
    """Return the packages' versions by the kind of adapter that they bring."""
    return {
        point.name: point.dist.version
        for point in entry_points(group=GROUP)
        if point.dist is not None
    }


@lru_cache(maxsize=256)
def _parsed(file: str, text: str) -> Any:
    """Parse a file. Communes with the same file share the value: do not change it."""
    if file.endswith((".yaml", ".yml")):
        return load_yaml(text, file).value
    if file.endswith(".json"):
        try:
            return json.loads(text)
        except ValueError:
            raise ConfigurationFault([Fault(file, 1, say("not_json"))]) from None
    return text


def _meaning(file: str, text: str) -> Any:
    """Return what a file says that can change what is sent."""
    value = _parsed(file, text)
    if is_mapping(file) and isinstance(value, dict):
        return {key: one for key, one in value.items() if key not in TOLD}
    return value


def commune_files(bundle: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each commune's file, by INSEE code, without unparsable ones."""
    found: dict[str, str] = {}
    for file in sorted(name for name in bundle if name.startswith(COMMUNES)):
        insee = _insee(bundle[file], file)
        if insee is not None:
            found.setdefault(insee, file)
    return found


@lru_cache(maxsize=1024)
def _insee(text: str, file: str) -> str | None:
    try:
        value = load_yaml(text, file).value
    except ConfigurationFault:
        return None
    insee = value.get("commune") if isinstance(value, dict) else None
    return insee if isinstance(insee, str) else None


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
