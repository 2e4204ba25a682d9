"""The recorded exchanges, as tests replay them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

DATA = Path(__file__).parent / "data"
WORKFLOW = DATA / "wcs-export" / "workflow-signalement-relais.wcs"
PORTAL = "https://demarches.exemple.invalid"
#: The English site of the recording, which had the imported form under another slug.
ENGLISH = "signaler-une-anomalie-sur-l-espace-public"
#: Identifiers of the recording and their keys, all invented.
KEYS = {
    "passerelle-api": "mot-de-passe-factice-api",
    "passerelle-sans-role": "mot-de-passe-factice-sans-role",
    "passerelle-autre-role": "mot-de-passe-factice-autre",
    "passerelle.exemple.invalid": "cle-factice-api-passerelle",
}
#: The topics that hold exchanges of HTTP.
TOPICS = (
    "01-pushes",
    "02-list",
    "03-formdata",
    "04-schema",
    "05-hooks",
    "06-users-and-submit",
    "07-authentic",
    "10-anonymised",
)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    It keeps texts, and each look at a body is a new one: what a test does to it no other sees.
    """

    topic: str
    number: int
    what: str
    method: str
    target: str
    headers: Mapping[str, str]
    #: The request's body in JSON. None where none was sent.
    sent: str | None
    key: str | None
    status: int
    #: The answer's body in JSON.
    told: str

    @property
    def name(self) -> str:
        return f"{self.topic}-{self.number}"

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def slug(self) -> str:
        """The form that the path speaks of."""
        parts = [part for part in self.path.split("/") if part]
        return parts[2] if parts[0] == "api" else parts[0]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def now(self) -> datetime | None:
        """The moment in the signature."""
        stamp = self.query.get("timestamp")
        return None if stamp is None else moment(stamp[0])

    @property
    def has_body(self) -> bool:
        return self.sent is not None

    @property
    def body(self) -> Any:
        return None if self.sent is None else json.loads(self.sent)

    @property
    def answered(self) -> Any:
        return json.loads(self.told)

    @property
    def content(self) -> bytes:
        """The body as it was on the wire."""
        body = self.body
        return b"" if self.sent is None else (body if isinstance(body, str) else self.sent).encode()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The recorded answer, to `request`."""
        return httpx.Response(self.status, json=self.answered, request=request)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def document(name: str) -> Any:
    """A file of the recordings."""
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


@cache
def exchanges(topic: str) -> tuple[Exchange, ...]:
    """The exchanges of a topic. Those whose request was not kept have an empty method."""
    found = []
    for number, one in enumerate(document(topic)["exchanges"]):
        request, answer = one.get("request") or {}, one["answer"]
        method, target, _ = request.get("line", "  ").split(" ")
        exchange = Exchange(
            topic,
            number,
            one["what"],
            method,
            target,
            dict(request.get("headers", [])),
            None if request.get("body") is None else json.dumps(request["body"]),
            request.get("signed_with"),
            answer["status"],
            json.dumps(answer.get("body")),
        )
        found.append(exchange)
    return tuple(found)


def exchange(topic: str, number: int) -> Exchange:
    return exchanges(topic)[number]


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
