"""The configuration that is measured: N communes, each with a GRU behind the `rest` adapter."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from gateway.catalogue.build import build
from gateway.catalogue.catalogue import Catalogue
from gateway.core.lane_name import GruLane, PortalLane
from tests.sealing import master

ROOT = Path(__file__).resolve().parents[2]
SLUG = "signalement-anomalie"
ORIG = "portail-de-mesure"
KEY = "cle-de-mesure-inventee"
COMMUNES = 58
ENVIRON = {"PUSH_KEY": KEY, "PORTAL_KEY": "cle-portail-de-mesure", "GRU_KEY": "jeton-de-mesure"}

_WITH_FILES = "=merge(payload, {files: files[].{name: filename, content: content_base64}})"
_MAPPING = f"mappings/{SLUG}/rest.yaml"


def insee(n: int) -> str:
    """The n-th commune's code."""
    return f"{69001 + n}"


def lane(n: int) -> str:
    return str(GruLane(insee(n), "outil"))


def portal_lane(n: int) -> str:
    return str(PortalLane("toodego", insee(n)))


def path(n: int) -> str:
    """Return the path for pushes to the n-th commune."""
    return f"/portal/v1/communes/{insee(n)}/teleservices/{SLUG}/requests"


def formdata(ref: str, n: int, portal: str) -> dict[str, Any]:
    """A complete formdata of the sample's shape, without files, for the n-th commune."""
    body: dict[str, Any] = copy.deepcopy(_SAMPLE)
    body["id"] = ref
    body["fields"]["commune_raw"] = insee(n)
    body["fields"]["photo"] = None
    body["api_url"] = f"{portal}/api/forms/{SLUG}/{ref}/"
    return body


_SAMPLE = json.loads((ROOT / "tests" / "samples" / f"{SLUG}.json").read_text("utf-8"))


def catalogue(
    data_dir: Path,
    far: str,
    *,
    port: int = 8700,
    database: str | None = None,
    communes: int = COMMUNES,
    paused: bool = False,
    concurrency: int = 4,
    timeout: float = 20,
    file_mb: int = 30,
    files: bool = False,
) -> Catalogue:
    """`far`: address of the far ends' server. `paused`: taken and kept, nothing sent.

    `files`: they go to the GRU, in Base64 within the ticket.
    """
    settings: dict[str, Any] = {
        "data_dir": str(data_dir),
        "listen": {"host": "127.0.0.1", "port": port},
        "shutdown_grace": 1,
        "log": {"format": "json", "level": "info"},
        "limits": {"file_mb": file_mb, "body_mb": max(80, file_mb * 2)},
        "portals": {
            "toodego": {
                "base_url": far,
                "environment": "test",
                "orig": "passerelle",
                "key": "env:PORTAL_KEY",
                "report_delay": None,
                "callers": [{"orig": ORIG, "key": "env:PUSH_KEY"}],
                "lane": {"concurrency": concurrency},
                "teleservices": {SLUG: {"commune": "fields.commune_raw", "reconcile": None}},
            }
        },
    }
    environ = dict(ENVIRON)
    if database is not None:
        settings["database"] = "env:DATABASE"
        environ["DATABASE"] = database
        settings["sealing"] = {"masters": ["env:MASTER_KEY"]}
        environ["MASTER_KEY"] = master().secret.hex()
    bundle = {
        "config/gateway.yaml": json.dumps(settings),
        _MAPPING: (ROOT / _MAPPING).read_text("utf-8"),
    }
    for n in range(communes):
        here: dict[str, Any] = {
            "commune": insee(n),
            "name": f"Commune {n}",
            "portal": "toodego",
            "gru": {
                "outil": {
                    "adapter": "rest",
                    "environment": "test",
                    "timeout": timeout,
                    "poll": None,
                    "lane": {"concurrency": concurrency},
                    "options": {
                        "base_url": f"{far}/gru/{insee(n)}",
                        "auth": {"kind": "header", "name": "X-Api-Key", "value": "env:GRU_KEY"},
                        "create": {"path": "/api/tickets", "reference": "ticket.id"},
                        "find": {
                            "path": "/api/tickets",
                            "query": {"external_id": "=reference"},
                            "list": "tickets",
                            "match": "external_id",
                            "reference": "id",
                        },
                    },
                }
            },
            "routes": {SLUG: {"gru": "outil", "mapping": f"{SLUG}/rest"}},
        }
        if files:
            options = here["gru"]["outil"]["options"]
            options["files"] = {"mode": "inline"}
            options["create"]["body"] = _WITH_FILES
        if paused:
            here["paused"] = True
        bundle[f"config/communes/{insee(n)}.yaml"] = json.dumps(here)
    return build(bundle, environ=environ)
