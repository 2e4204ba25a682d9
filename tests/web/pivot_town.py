"""Two communes that wrote their own halves: Bron is pushed to, Villeurbanne fetches."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.store.schema import upgrade
from tests.web.harness import ENVIRON, Gateway, bundle, gateway, requests_path, small

SLUG = "signalement-anomalie"
URL = "https://demi.exemple.invalid/toodego"
SIGNING = f"whsec_{base64.b64encode(bytes(32)).decode()}"
OURS, THEIRS, FORMER = (f"secret-de-client-invente-{n}" for n in ("bron", "villeurbanne", "ancien"))
SECRETS = {"SIGNING": SIGNING, "OURS": OURS, "THEIRS": THEIRS, "FORMER": FORMER}
OPTIONS: dict[str, dict[str, Any]] = {
    "bron": {
        "mode": "push",
        "url": URL,
        "signature": "env:SIGNING",
        "client": ["env:OURS", "env:FORMER"],
        "service": {"name": "Relations usagers"},
    },
    "villeurbanne": {
        "mode": "mailbox",
        "client": "env:THEIRS",
        "service": {"name": "Relations usagers"},
    },
}
MAPPING = """\
mapping: 1
teleservice: signalement-anomalie
adapter: pivot
version: 1
submit: {title: fields.description}
attachments: {fields: [photo]}
amend: {message: {}, document: {}, change: {}, cancellation: {}}
statuses: {accepted: accepted, done: {status: done, message: "C'est fait."}}
notes: {public: when_marked}
portal: {hook: retour_commune}
"""


def files(folder: Path) -> dict[str, str]:
    found = bundle(folder)
    found[f"mappings/{SLUG}/pivot.yaml"] = MAPPING
    for name, options in OPTIONS.items():
        place = f"config/communes/{name}.yaml"
        desk = {"adapter": "pivot", "options": options}
        text = found[place].replace("gru:\n", f"gru:\n  desk: {json.dumps(desk)}\n", 1)
        route = f"  {SLUG}: {{gru: main, mapping: {SLUG}/memo}}"
        assert route in text
        found[place] = text.replace(route, f"  {SLUG}: {{gru: desk, mapping: {SLUG}/pivot}}")
    return found


@asynccontextmanager
async def pivot_town(
    folder: Path, template: Path | None, database_url: str | None = None
) -> AsyncIterator[Gateway]:
    if template is None and database_url is None:
        upgrade(f"sqlite:///{folder / 'gateway.db'}")
    environ = {**ENVIRON, **SECRETS}
    async with gateway(
        folder, template, files=files(folder), environ=environ, database_url=database_url
    ) as gw:
        yield gw


async def filed(gw: Gateway, insee: str = "69029", ref: str = "7", **changes: Any) -> str:
    """A citizen's request of this commune; our reference of it."""
    formdata = small(ref, **changes)
    formdata["fields"]["commune_raw"] = insee
    answer = await gw.push(formdata, requests_path(insee, SLUG))
    assert answer.status_code in (200, 201), answer.text
    reference: str = answer.json()["data"]["id"]
    return reference


async def token(gw: Gateway, insee: str = "69029", secret: str = OURS) -> dict[str, str]:
    """The header of a half-connector's calls."""
    form = {
        "grant_type": "client_credentials",
        "client_id": f"{insee}.desk",
        "client_secret": secret,
    }
    answer = await gw.client.post("/pivot/v1/token", data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def tell(
    gw: Gateway, reference: str, change: Any, header: dict[str, str] | None = None
) -> httpx.Response:
    header = await token(gw) if header is None else header
    path = f"/pivot/v1/requests/{reference}/changes"
    return await gw.client.post(path, json=change, headers=header)
