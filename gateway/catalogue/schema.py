"""JSON Schemas of the configuration files, for editors: completion and checks while typing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from gateway.catalogue.settings import CommuneFile, SettingsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, str]:
    """The text of each schema by file name, as it stands in `config/`."""
    models: dict[str, type[BaseModel]] = {
        "gateway.schema.json": SettingsFile,
        "commune.schema.json": CommuneFile,
    }
    return {
        name: json.dumps(
            {"$schema": DIALECT, **model.model_json_schema()}, indent=2, ensure_ascii=False
        )
        + "\n"
        for name, model in models.items()
    }


def write(config_dir: Path) -> None:
    """Write the schemas into `config_dir`."""
    for name, text in json_schemas().items():
        (config_dir / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
