"""A mapping file laid over the one that it extends: `extends: open311` names one of its folder.

Data over data, key by key: a key that both have and that holds keys is merged in turn, any other
is replaced, `null` removes what is inherited. A rule that says where its value comes from (`path`,
`constant`, `join`, `rows`) replaces the inherited one; one that does not changes its options. Each
key keeps the file and line in which it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Final

from gateway.catalogue.bundle import is_mapping
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.mapping_model import KINDS
from gateway.catalogue.mapping_upgrade import lifted
from gateway.catalogue.patterns import SLUG
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData, Path, load_yaml
from gateway.core.errors import ConfigurationFault, Fault

#: A commune's file over a department's over a shared one is three.
MOST_BASES: Final = 5
#: The keys that each file gives itself.
_OWN: Final = frozenset({"mapping", "version", "description", "extends"})
_RULES: Final = frozenset({"submit", "amend"})
#: A file's text by its name.
Texts = tuple[tuple[str, str], ...]


def bases_of(bundle: Mapping[str, str], file: str) -> Texts:
    """Return the files that a mapping extends, the nearest first, with their texts.

    Stops where one is missing or at fault, or comes again, which `resolved` tells.
    """
    found: list[tuple[str, str]] = []
    here = file
    while here in bundle and len(found) <= MOST_BASES:
        here = _base_name(bundle[here], here)
        if here in bundle:
            found.append((here, bundle[here]))
        if here == file or here in [name for name, _ in found[:-1]]:
            break
    return tuple(found)


def extended(bundle: Mapping[str, str]) -> frozenset[str]:
    """Return the files of a bundle's mappings that others extend."""
    names = (_base_name(bundle[file], file) for file in bundle if is_mapping(file))
    return frozenset(name for name in names if name)


def resolved(bundle: Mapping[str, str], file: str) -> LocatedData:
    """Return what a mapping says with all that it inherits. Raises ConfigurationFault."""
    return merged(bundle[file], file, bases_of(bundle, file))


@lru_cache(maxsize=256)
def merged(text: str, file: str, bases: Texts = ()) -> LocatedData:
    """Return the mapping of `text` over its `bases`. Do not change it: it is kept.

    Raises ConfigurationFault: not YAML, no such base, a circle of them, too many, a `null` that
    removes nothing.
    """
    return _over(text, file, bases, frozenset())


def _over(text: str, file: str, bases: Texts, above: frozenset[str]) -> LocatedData:
    own = lifted(load_yaml(text, file))
    name = own.value.get("extends") if isinstance(own.value, dict) else None
    if not isinstance(name, str):
        return own
    base, said = _beside(file, name), None
    if base in above | {file}:
        said = say("extends_circle", name=name)
    elif not bases or bases[0][0] != base:
        said = say("extends_nothing", name=name)
    elif len(bases) > MOST_BASES:
        said = say("extends_deep", most=MOST_BASES)
    if said is not None:
        raise ConfigurationFault([own.fault(("extends",), said)])
    return _Merge(_over(bases[0][1], base, bases[1:], above | {file}), own).located()


def _beside(file: str, name: str) -> str:
    """Return the file of that name in the same folder; empty for what is no name."""
    return str(PurePosixPath(file).with_name(f"{name}.yaml")) if re.search(SLUG, name) else ""


@lru_cache(maxsize=256)
def _base_name(text: str, file: str) -> str:
    """Return the file that this one extends; empty where it extends none or cannot be read."""
    if "extends" not in text:
        return ""
    try:
        value = load_yaml(text, file).value
    except ConfigurationFault:
        return ""
    name = value.get("extends") if isinstance(value, dict) else None
    return _beside(file, name) if isinstance(name, str) else ""


class _Merge:
    """One file over another, with the place of each key."""

    def __init__(self, base: LocatedData, own: LocatedData) -> None:
        self.base = base
        self.own = own
        self.faults: list[Fault] = []
        self.places: dict[Path, tuple[str, int, int]] = {}

    def located(self) -> LocatedData:
        base = self.base.value if isinstance(self.base.value, dict) else {}
        inherited = {key: value for key, value in base.items() if key not in _OWN}
        value = self.keys(inherited, self.own.value, ())
        if self.faults:
            raise ConfigurationFault(self.faults)
        return LocatedData(
            value,
            self.own.file,
            {path: line for path, (_, line, _) in self.places.items()},
            {path: column for path, (_, _, column) in self.places.items()},
            {path: file for path, (file, _, _) in self.places.items() if file != self.own.file},
        )

    def keys(self, base: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> dict[str, Any]:
        self.places[path] = self.own.place(path)
        found: dict[str, Any] = {}
        for key, value in base.items():
            if key in own:
                if own[key] is not None:
                    found[key] = self.value(value, own[key], (*path, key))
            else:
                found[key] = self.taken(self.base, value, (*path, key))
        for key, value in own.items():
            if key in base:
                continue
            if value is None:
                cure = nearest(key, sorted(base))
                said = say("removes_nothing", name=".".join(map(str, (*path, key))), cure=cure)
                self.faults.append(self.own.fault((*path, key), said))
            else:
                found[key] = self.taken(self.own, value, (*path, key))
        return found

    def value(self, base: Any, own: Any, path: Path) -> Any:
        if isinstance(own, dict):
            if path[0] in _RULES:
                if any(kind in own for kind in KINDS):
                    return self.taken(self.own, own, path)
                if isinstance(base, str):  # a path by itself, of which an option is given
                    self.places[*path, "path"] = self.base.place(path)
                    return {"path": base} | self.keys({}, own, path)
            if isinstance(base, dict):
                return self.keys(base, own, path)
        return self.taken(self.own, own, path)

    def taken(self, source: LocatedData, value: Any, path: Path) -> Any:
        """Take a value as one of the files has it, with the places of all that is in it."""
        self.places[path] = source.place(path)
        inner: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = list(enumerate(value))
        for step, one in inner:
            self.taken(source, one, (*path, step))
        return value
