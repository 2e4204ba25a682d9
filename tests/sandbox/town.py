"""A sandbox in this process, and a half-connector that speaks to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.sandbox.files import CLIENT_ID
from gateway.sandbox.http import SandboxApp
from gateway.sandbox.opening import open_sandbox
from gateway.sandbox.sandbox import Sandbox, SandboxOptions

URL = "http://127.0.0.1:8440"
PUSH = "http://demi.exemple.invalid/toodego"
SLUG = "signalement-anomalie"


@dataclass
class Vendor:
    """A right half-connector; `wrong` makes it take whatever comes, each time anew."""

    secrets: tuple[str, ...] = ()
    now: Callable[[], float] = time.time
    wrong: bool = False
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def receive(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        headers = request.headers
        if not self.wrong and not self._signed(headers, body):
            return httpx.Response(401)
        if request.method == "GET":
            return httpx.Response(200)
        message = json.loads(body)
        self.calls.append(message["id"])
        if self.wrong:
            return httpx.Response(200, json={"reference": f"W-{len(self.calls)}"})
        if message["recipient"]["commune"] != "69999":
            return httpx.Response(403)
        if message["type"] == "request.erased":
            return httpx.Response(200, json={"erasure": {"outcome": "erased"}})
        if message["type"] not in (
            "request.created", "request.message", "request.document", "request.changed",
            "request.cancelled",
        ):  # fmt: skip
            return httpx.Response(204)
        self.taken.setdefault(message["id"], message)
        return httpx.Response(200, json={"reference": self.number(message["id"])})

    def number(self, message_id: str) -> str:
        return f"C-{list(self.taken).index(message_id) + 1}"

    def _signed(self, headers: httpx.Headers, body: bytes) -> bool:
        stamp = headers["webhook-timestamp"]
        if abs(int(stamp) - self.now()) > 300:
            return False
        said = f"{headers['webhook-id']}.{stamp}.".encode() + body
        told = headers["webhook-signature"].split()
        for secret in self.secrets:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            proof = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
            if f"v1,{proof}" in told:
                return True
        return False


@dataclass
class Town:
    sandbox: Sandbox
    client: httpx.AsyncClient
    vendor: Vendor

    async def token(self) -> dict[str, str]:
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": self.sandbox.secrets.client,
        }
        answer = await self.client.post("/pivot/v1/token", data=form)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def claim(self, **told: Any) -> Any:
        told = {"max": 20, "lease": 60, **told}
        answer = await self.client.post(
            "/pivot/v1/mailbox/claim", json=told, headers=await self.token()
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def provoke(self, case: str, **told: Any) -> httpx.Response:
        return await self.client.post("/sandbox/v1/requests", json={"case": case, **told})


@asynccontextmanager
async def open_town(
    folder: Path,
    template: Path,
    *,
    push: bool = False,
    wrong: bool = False,
    seeded: bool = False,
    speed: float = 1.0,
) -> AsyncIterator[Town]:
    """A sandbox over the database in `folder`, without its first requests unless `seeded`."""
    vendor = Vendor(wrong=wrong)
    if not (folder / "var").exists():
        (folder / "var").mkdir(parents=True)
        shutil.copy(template, folder / "var" / "gateway.db")
    options = SandboxOptions(
        URL, push=PUSH if push else None, keep=folder, seeded=seeded, speed=speed
    )
    line = httpx.MockTransport(vendor.receive)
    async with open_sandbox(options, line=line) as sandbox:
        vendor.secrets = sandbox.secrets.signing
        transport = httpx.ASGITransport(SandboxApp(sandbox))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            yield Town(sandbox, client, vendor)
