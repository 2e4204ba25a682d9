"""JSON Schemas of our files, for editors. `python -m gateway.catalogue.schema` writes them into the
working directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.catalogue.mapping_model import KINDS, MappingFile
from gateway.catalogue.settings import CommuneFile, SettingsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Keys of a mapping that an extending one cannot remove.
_KEPT = frozenset({"mapping", "version", "extends", "teleservice", "adapter", "description"})


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by its path in the repository."""
    models: dict[str, type[BaseModel]] = {
        "config/gateway.schema.json": SettingsFile,
        "config/commune.schema.json": CommuneFile,
        "mappings/mapping.schema.json": MappingFile,
    }
    return {
        name: json.dumps({"$schema": DIALECT, **_schema(model)}, indent=2, ensure_ascii=False)
        + "\n"
        for name, model in models.items()
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema; an extending mapping may lack keys, and remove some."""
    schema = model.model_json_schema()
    if model is MappingFile:
        needed = schema["required"]
        own = [key for key in needed if key in ("mapping", "version")]
        rest = [key for key in needed if key not in own]
        schema["required"] = own
        schema["anyOf"] = [{"required": rest}, {"required": ["extends"]}]
        # The reader's distinction: with a source's key it is a rule, otherwise targets.
        target = schema["$defs"]["Target"]
        target["anyOf"] = target.pop("oneOf")
        target["anyOf"][-1]["propertyNames"] = {"not": {"enum": [*KINDS]}}
        for part in schema["$defs"].values():
            _removable(part)
        _removable(schema, top=True)
    return schema


def _removable(schema: dict[str, Any], *, top: bool = False) -> None:
    """Allow null for each key of a map, and for each section of the file."""
    for name, inner in schema.get("properties", {}).items():
        _removable(inner)
        if top and name not in _KEPT:
            shown = {key: inner.pop(key) for key in ("description", "default") if key in inner}
            schema["properties"][name] = {"anyOf": [inner, {"type": "null"}], **shown}
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        _removable(values)
        schema["additionalProperties"] = {"anyOf": [values, {"type": "null"}]}
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        _removable(branch)


def write(root: Path) -> None:
    """Write the schemas below `root`."""
    for name, text in json_schemas().items():
        (root / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path())
