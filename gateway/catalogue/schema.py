"""JSON Schemas of configuration and mapping files, for editors: completion and checks while typing.

`python -m gateway.catalogue.schema` writes them anew into the working directory.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from gateway.catalogue.mapping_model import MappingFile
from gateway.catalogue.settings import CommuneFile, SettingsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by its path in the repository."""
    models: dict[str, type[BaseModel]] = {
        "config/gateway.schema.json": SettingsFile,
        "config/commune.schema.json": CommuneFile,
        "mappings/mapping.schema.json": MappingFile,
    }
    return {
        name: json.dumps(
            {"$schema": DIALECT, **model.model_json_schema()}, indent=2, ensure_ascii=False
        )
        + "\n"
        for name, model in models.items()
    }


def write(root: Path) -> None:
    """Write the schemas below `root`."""
    for name, text in json_schemas().items():
        (root / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path())
