"""A commune's half-connector, written from the OpenAPI document alone: it knows none of our code.

What it has written survives it. `dies` is asked at each point where a program can be killed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx


class Killed(Exception):
    """The program ended here: nothing after this was done, and nobody was answered."""


@dataclass
class Disk:
    """The commune's store: messages by id, in the order in which it took them."""

    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def number(self, message_id: str) -> str:
        return f"C-{list(self.taken).index(message_id) + 1}"

    def order(self) -> dict[str, list[int]]:
        """Return the sequence of each request's messages as they were taken."""
        found: dict[str, list[int]] = {}
        for message in self.taken.values():
            found.setdefault(message["request"]["reference"], []).append(message["sequence"])
        return found


@dataclass
class HalfConnector:
    client: httpx.AsyncClient
    disk: Disk
    dies: Callable[[str], bool]
    client_id: str
    client_secret: str
    signing_secret: str = ""
    deaths: int = 0

    def _here(self, point: str) -> None:
        if self.dies(point):
            self.deaths += 1
            raise Killed(point)

    def _take(self, message: dict[str, Any]) -> str:
        """Take a message once; its number."""
        assert message["api_version"].startswith("1.")
        assert message["recipient"]["environment"] == "production"
        assert message["request"]["filed_at"]
        assert message["request"]["service"]["name"]
        self._here("before it is written")
        self.disk.taken.setdefault(message["id"], message)
        self._here("after it was written")
        return self.disk.number(message["id"])

    # --- push ---------------------------------------------------------------------------------

    def receive(self, request: httpx.Request) -> httpx.Response:
        """The address that is pushed to. A program that dies leaves the caller without answer."""
        body = request.read()
        said = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
        key = base64.b64decode(self.signing_secret.removeprefix("whsec_"))
        proof = base64.b64encode(hmac.new(key, said + body, hashlib.sha256).digest()).decode()
        if f"v1,{proof}" not in request.headers["webhook-signature"].split():
            return httpx.Response(401)
        message = json.loads(body)
        assert message["id"] == request.headers["webhook-id"]
        try:
            return httpx.Response(200, json={"reference": self._take(message)})
        except Killed:
            raise httpx.ReadError("", request=request) from None

    # --- mailbox ------------------------------------------------------------------------------

    async def fetch(self) -> int:
        """One turn of the program: tell what is done, fetch, take; how much was fetched."""
        settled = [
            {"token": token, "result": "done", "reference": self.disk.number(message_id)}
            for message_id, token in self.disk.tokens.items()
        ]
        told = {"max": 5, "lease": 60, "settled": settled}
        answer = await self._call("POST", "/pivot/v1/mailbox/claim", told)
        self._here("before the answer is read")
        for one in answer["settled"]:
            assert one["outcome"] in ("recorded", "known", "lost")
        self.disk.tokens.clear()
        for item in answer["items"]:
            self._take(item["event"])
            self.disk.tokens[item["event"]["id"]] = item["token"]
        return len(answer["items"])

    # --- back ---------------------------------------------------------------------------------

    async def tell(self, reference: str, change: dict[str, Any]) -> None:
        """Tell a change until it is answered; the answer may be lost any number of times."""
        while True:
            await self._call("POST", f"/pivot/v1/requests/{reference}/changes", change)
            if not self.dies("before the receipt is read"):
                return

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        token = (await self.client.post("/pivot/v1/token", data=form)).json()["access_token"]
        header = {"Authorization": f"Bearer {token}"}
        answer = await self.client.request(method, path, json=body, headers=header)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found
