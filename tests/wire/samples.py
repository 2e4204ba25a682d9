"""The samples, and small builders the wire tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.wire.files import IncomingFile
from gateway.wire.formdata import Formdata, Limits, parse_formdata

FOLDER = Path(__file__).parent.parent / "samples"
LIMITS = DEFAULT_LIMITS


def sample(name: str) -> dict[str, Any]:
    value = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def parse(value: Any, *, limits: Limits = LIMITS) -> Formdata:
    return parse_formdata(json.dumps(value).encode(), "application/json", limits=limits)


def whole(file: IncomingFile) -> bytes | None:
    """The file's bytes, None where it came without."""
    return None if file.content is None else file.content.read(0, file.content.size)
