"""The packs of `adapters/packs` as a commune has them, and their servers as they were recorded."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import yaml

from gateway.catalogue.mapping_files import load_mapping
from gateway.core.mapping import RequestMapping

ROOT = Path(__file__).resolve().parents[2]
PACKS = ROOT / "adapters" / "packs"
NAMES = tuple(sorted(path.parent.name for path in PACKS.glob("*/commune.yaml")))
#: The request of the recordings.
REFERENCE = "TDG-06H1NGNBPMHP4J06"
_SHARED = ROOT / "mappings" / "signalement-anomalie" / "formulaire.json"
_SETTINGS = """\
portals:
  toodego:
    base_url: https://demarches-toodego.example.org
    orig: passerelle
    key: env:PORTAIL_CLE
    report_delay: null
    callers: [{orig: toodego, key: env:APPEL_CLE}]
    teleservices: {signalement-anomalie: {commune: fields.commune_raw}}
"""


def text(name: str, file: str) -> str:
    return (PACKS / name / file).read_text("utf-8")


def bundle(name: str) -> dict[str, str]:
    """A configuration of one commune, as it is with this pack."""
    folder = f"mappings/signalement-anomalie/{name}"
    files = {
        "config/gateway.yaml": _SETTINGS,
        "config/communes/bron.yaml": text(name, "commune.yaml"),
        f"{folder}.yaml": text(name, "mapping.yaml"),
        "mappings/signalement-anomalie/formulaire.json": _SHARED.read_text("utf-8"),
    }
    for path in (PACKS / name / "cases").glob("*.yaml"):
        files[f"{folder}.cases/{path.name}"] = path.read_text("utf-8")
    return files


def options(name: str) -> dict[str, Any]:
    """The pack's options, its secrets given."""
    given: dict[str, Any] = yaml.safe_load(text(name, "commune.yaml"))["gru"][name]["options"]
    return given


def mapping(name: str) -> RequestMapping:
    path = f"mappings/signalement-anomalie/{name}.yaml"
    return load_mapping(text(name, "mapping.yaml"), path)


class RecordedServer(httpx.AsyncBaseTransport):
    """The server as it was recorded: the first answer that fits. What was not recorded is a 404."""

    def __init__(self, name: str) -> None:
        self.exchanges: list[dict[str, Any]] = json.loads(text(name, "recorded.json"))
        self.calls: list[httpx.Request] = []
        self.missing: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode("utf-8", "replace")
        self.calls.append(request)
        for one in self.exchanges:
            if self._fits(one, request, body):
                headers = {"content-type": one["type"]} if "type" in one else {}
                if "json" in one:
                    return httpx.Response(one["status"], json=one["json"])
                content = base64.b64decode(one.get("base64", ""))
                return httpx.Response(one["status"], headers=headers, content=content)
        self.missing.append(f"{request.method} {request.url.path}")
        return httpx.Response(404, json={})

    def _fits(self, one: dict[str, Any], request: httpx.Request, body: str) -> bool:
        asked = dict(request.url.params)
        if request.headers.get("content-type") == "application/x-www-form-urlencoded":
            body = "&".join(httpx.QueryParams(body).values())
        return (
            one["method"] == request.method
            and one["path"] == request.url.path
            and all(asked.get(key) == value for key, value in one.get("query", {}).items())
            and one.get("contains", "") in " ".join(asked.values())
            and one.get("body", "") in body
        )
