"""The bill of materials of a wheel, in CycloneDX 1.6: what runs, from the lock and nothing else.

The same lock gives the same file: there is no time in it, and its number is made of its content.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from gateway import __version__
from tests.supply.lock import Pin, licence, needs, pins

NAME = "toodego-gru-gateway"


def bill(lock: Path) -> dict[str, Any]:
    """The document, as JSON has it."""
    found = pins(lock)
    known = {pin.name: pin for pin in found}
    digest = hashlib.sha256(lock.read_bytes() + __version__.encode()).hexdigest()
    ours = f"pkg:pypi/{NAME}@{__version__}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(digest[:32])}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": NAME,
                "version": __version__,
                "purl": ours,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [_component(pin) for pin in found],
        "dependencies": [
            {"ref": ours, "dependsOn": sorted(_known(NAME, known))},
            *({"ref": pin.purl, "dependsOn": sorted(_known(pin.name, known))} for pin in found),
        ],
    }


def text(lock: Path) -> str:
    return json.dumps(bill(lock), indent=1, ensure_ascii=False) + "\n"


def _component(pin: Pin) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        # Of each file that may be installed: one for every platform.
        "properties": [
            *({"name": "gru-gateway:sha256", "value": one} for one in pin.hashes),
            *([{"name": "gru-gateway:marker", "value": pin.marker}] if pin.marker else []),
        ],
    }
    said = licence(pin.name)
    if said:
        made["licenses"] = [{"license": {"name": said}}]
    return made


def _known(name: str, known: dict[str, Pin]) -> set[str]:
    return {known[one].purl for one in needs(name) if one in known}
