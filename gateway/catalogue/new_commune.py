"""Writes the first file of a commune from a few answers, and names the secrets that it needs."""

from __future__ import annotations

import os
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.core.mapping import RequestMapping
from gateway.sdk import Adapter

#: Letters of a name in that of a file.
_NAME = 60
#: Bytes of a secret that is made here.
_ENTROPY = 32
_HEAD = "# yaml-language-server: $schema=../commune.schema.json\n\n"
#: The pattern by which a schema tells that a value is a secret, given by reference.
_REFERENCE = "^(env:"


@dataclass(frozen=True, slots=True)
class CommuneDraft:
    """The answers. `key` is the reference to the commune's own key, None for none. `routes` are
    mappings by teleservice."""

    insee: str
    name: str
    portal: str
    gru: str
    adapter: str
    production: bool
    options: Mapping[str, Any]
    routes: Mapping[str, str]
    contacts: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class AdapterOption:
    """An option that an adapter cannot do without; `secret`: it is given by reference."""

    name: str
    secret: bool
    help: str


def commune_text(draft: CommuneDraft) -> str:
    """Return the text of the file, in YAML."""
    gru: dict[str, Any] = {"adapter": draft.adapter}
    if not draft.production:
        gru["environment"] = "test"
    gru["options"] = dict(draft.options)
    value: dict[str, Any] = {"commune": draft.insee, "name": draft.name, "portal": draft.portal}
    if draft.key is not None:
        value["key"] = draft.key
    if draft.contacts:
        value["contacts"] = dict(draft.contacts)
    value["gru"] = {draft.gru: gru}
    value["routes"] = {
        slug: {"gru": draft.gru, "mapping": mapping}
        for slug, mapping in sorted(draft.routes.items())
    }
    told = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=1000)
    # A code of digits alone would be read as a number elsewhere.
    return _HEAD + told.replace(f"commune: '{draft.insee}'", f'commune: "{draft.insee}"', 1)


def commune_file_name(insee: str, name: str) -> str:
    """Return the name of a commune's file: `69029-bron.yaml`."""
    bare = unicodedata.normalize("NFD", name.casefold().replace("œ", "oe"))
    letters = "".join(c if c.isascii() and c.isalnum() else " " for c in bare if not _is_accent(c))
    return "-".join([insee, *letters[:_NAME].split()]) + ".yaml"


def needed_options(adapter: type[Adapter]) -> list[AdapterOption]:
    """Return the options without a default, in their order."""
    schema = adapter.Options.model_json_schema()
    return [
        AdapterOption(name, _is_secret(one), str(one.get("description", "")).rstrip("."))
        for name, one in schema.get("properties", {}).items()
        if name in schema.get("required", ())
    ]


def secret_options(adapter: type[Adapter]) -> frozenset[str]:
    """Return the names of the options that are secrets."""
    properties = adapter.Options.model_json_schema().get("properties", {})
    return frozenset(name for name, one in properties.items() if _is_secret(one))


def mappings_for(mappings: Mapping[str, RequestMapping], slug: str, adapter: str) -> list[str]:
    """Return the mappings of a teleservice for an adapter."""
    return sorted(
        key for key, one in mappings.items() if (one.teleservice, one.adapter) == (slug, adapter)
    )


def write_secret(folder: Path, name: str, value: str | None) -> Path:
    """Write a secret (None: make one) into a file of its own, which its owner alone reads. Raises
    FileExistsError for one that is there, and OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = (folder / name).absolute()
    write_whole(place, (secrets.token_urlsafe(_ENTROPY) if value is None else value) + "\n", 0o600)
    return place


def write_whole(place: Path, text: str, mode: int) -> None:
    """Write a new file: all of it is there, or nothing, whenever one is killed. Raises
    FileExistsError for one that is there, and OSError."""
    aside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, place)
    finally:
        aside.unlink(missing_ok=True)


def _is_accent(letter: str) -> bool:
    return unicodedata.combining(letter) != 0


def _is_secret(schema: Mapping[str, Any]) -> bool:
    nested: Sequence[Any] = [*schema.get("anyOf", ()), *schema.get("allOf", ())]
    own = str(schema.get("pattern", "")).startswith(_REFERENCE)
    return own or any(_is_secret(one) for one in nested if isinstance(one, dict))


__all__ = [
    "AdapterOption",
    "CommuneDraft",
    "commune_file_name",
    "commune_text",
    "mappings_for",
    "needed_options",
    "secret_options",
    "write_secret",
    "write_whole",
]
