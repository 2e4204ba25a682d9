"""The differences of two releases: in their files, and in what leaves. The commune's own cases show
the second, rendered by both releases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.catalogue.bundle import COMMUNES, FILES, mapping_key
from gateway.catalogue.mapping_files import mapping_of
from gateway.catalogue.release import Release, files_of, output_of, routed
from gateway.catalogue.yaml_reader import LocatedData, Path, load_yaml
from gateway.contracts.cases import Case, read_cases
from gateway.contracts.leaving import leaving, titled
from gateway.core.errors import ConfigurationFault
from gateway.core.mapping import RequestMapping


@dataclass(frozen=True, slots=True)
class Difference:
    """One change in a file, at `file:line` of the new one (of the old, if gone). `before` and
    `after` are JSON text; None where it did not exist, or is gone."""

    file: str
    line: int
    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Effect:
    """One field that differs in one case; None where it does not leave. What is no field of the GRU
    has a French name: `refus`, `appel`, `statut`, `message`."""

    mapping: str
    case: str
    place: str
    field: str
    before: str | None
    after: str | None


def differences(before: Release | None, after: Release | None) -> tuple[Difference, ...]:
    """List the values in which the files of two releases differ, in the order of the files."""
    found: list[Difference] = []
    one = after or before
    # A commune has one file, whatever its name.
    name = "" if one is None else one.commune_file
    old, new = _texts(before, name), _texts(after, name)
    for file in sorted({*old, *new}):
        if old.get(file) == new.get(file):
            continue
        was, now = _values(file, old.get(file)), _values(file, new.get(file))
        for path in sorted({*was, *now}, key=lambda p: ((now.get(p) or was[p])[1], str(p))):
            here, there = was.get(path), now.get(path)
            if (here and here[0]) == (there and there[0]) and (here is None) == (there is None):
                continue
            line = (there or here or ("", 0))[1]
            where = ".".join(map(str, path))
            found.append(Difference(file, line, where, here and here[0], there and there[0]))
    if before is not None and after is not None:
        for what, was_of, now_of in (
            ("adapters", before.adapters, after.adapters),
            ("teleservices", before.teleservices, after.teleservices),
        ):
            for key in sorted({*was_of, *now_of}):
                then, today = _json(was_of.get(key)), _json(now_of.get(key))
                if then != today:
                    found.append(Difference(what, 0, key, then, today))
    return tuple(found)


def _texts(release: Release | None, name: str) -> dict[str, str]:
    if release is None:
        return {}
    return {
        name if file == release.commune_file else file: text for file, text in release.files.items()
    }


def _values(file: str, text: str | None) -> dict[Path, tuple[str, int]]:
    """Return the leaves of a file as JSON, with their lines."""
    if text is None:
        return {}
    if file.startswith(FILES):
        return {(): (_json(hashlib.sha256(text.encode()).hexdigest()), 0)}
    located = (
        load_yaml(text, file) if not file.endswith(".json") else LocatedData(json.loads(text), file)
    )
    value = output_of(located.value) if file.startswith(COMMUNES) else located.value
    return {path: (_json(leaf), located.line(path)) for path, leaf in _leaves(value, ())}


def leaves_of(value: Any) -> dict[Path, str]:
    """Return the values of a file as JSON, by path."""
    return {path: _json(leaf) for path, leaf in _leaves(value, ())}


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for n, inner in enumerate(value):
            yield from _leaves(inner, (*path, n))
    else:
        # A list of plain values counts as a whole.
        yield path, value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def effects(before: Release | None, after: Release | None) -> tuple[Effect, ...]:
    """List the fields that differ, case by case; the new release's cases where it has them. Cases
    that cannot be read show nothing here: the contract run says why."""
    found: list[Effect] = []
    old, new = _mappings(before), _mappings(after)
    named = old | new
    for key in sorted(named):
        release = after if key in new else before
        if release is None:
            continue
        try:
            cases = _cases(key, tuple(sorted(files_of(release.files, named[key]).items())))
        except ConfigurationFault:
            continue
        signed = {} if before is None else (before.rendered or {}).get(key, {})
        planned = {} if after is None else (after.rendered or {}).get(key, {})
        was_mapping, now_mapping = _compiled(before, old.get(key)), _compiled(after, new.get(key))
        for case, title in titled(cases):
            # As it left when it was signed, by the code of that day.
            was = signed[title] if title in signed else leaving(was_mapping, case)
            now = planned[title] if title in planned else leaving(now_mapping, case)
            found += [
                Effect(key, case.title, case.place, name, was.get(name), now.get(name))
                for name in {**was, **now}
                if was.get(name) != now.get(name)
            ]
    return tuple(found)


@lru_cache(maxsize=64)
def _cases(key: str, texts: tuple[tuple[str, str], ...]) -> tuple[Case, ...]:
    """Read cases, cached since many communes share them. Raises ConfigurationFault."""
    return read_cases(dict(texts), key)


def _mappings(release: Release | None) -> dict[str, str]:
    """Return the files of the mappings of a release's routes, by key."""
    return {} if release is None else {mapping_key(file): file for file in routed(release.files)}


def _compiled(release: Release | None, file: str | None) -> RequestMapping | None:
    """Compile a mapping. None as well for an unreadable one: its contract run says why."""
    if release is None or file is None:
        return None
    try:
        return mapping_of(release.files, file)
    except ConfigurationFault:
        return None
