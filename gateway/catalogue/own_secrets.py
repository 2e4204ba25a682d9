"""Names a commune's file, and the secrets that no other file names: they end with the commune."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.catalogue.bundle import COMMUNES, SETTINGS
from gateway.catalogue.parts import CatalogueParts
from gateway.catalogue.release import commune_files
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault
from gateway.sdk.secrets import is_reference


def commune_file_of(parts: CatalogueParts, insee: str) -> str | None:
    """Return the name of a commune's file in its bundle, also of a broken one; None for none."""
    named = {code: file for file, code in parts.communes.items()}
    return commune_files(parts.bundle).get(insee) or named.get(insee)


def own_secrets(bundle: Mapping[str, str], file: str) -> list[str]:
    """Return the references to secrets in a file that stand in no other file of settings."""
    others: set[str] = set()
    for name, text in bundle.items():
        if name != file and (name == SETTINGS or name.startswith(COMMUNES)):
            others.update(_references(name, text))
    return sorted(set(_references(file, bundle.get(file, ""))) - others)


def _references(name: str, text: str) -> Iterator[str]:
    try:
        value = load_yaml(text, name).value
    except ConfigurationFault:
        return
    yield from _in(value)


def _in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _in(inner)
    elif isinstance(value, str) and is_reference(value):
        yield value
