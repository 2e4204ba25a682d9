"""The channels by which people are told: a signed webhook, and rooms of chat.

A webhook is signed as Standard Webhooks has it, with one signature for each secret. Slack and
Mattermost take the same text; Matrix, and so Tchap, takes a message once under its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from gateway.core.outcome import Accepted, Outcome
from gateway.sdk import Answer, failure_of, send
from gateway.sdk.webhook_signature import signed_headers
from gateway.wire.network import Network

#: Characters of a message in a room.
_LONGEST = 4000
#: Bytes of an answer that are read.
_ANSWER = 20_000


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    CHAT = "chat"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """The place that is called. `secrets` sign a webhook, the first is a room's token. `room` is
    Matrix's."""

    kind: ChannelKind
    url: SecretStr
    secrets: tuple[SecretStr, ...] = ()
    room: str = ""
    network: Network | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AlertNote:
    """A note. `name` tells it from all others; `data` is for programs."""

    name: str
    type: str
    title: str
    text: str
    at: datetime
    data: Mapping[str, Any]


async def hand_over(
    target: ChannelTarget, note: AlertNote, client: httpx.AsyncClient, now: datetime
) -> Outcome:
    """Hand a note to a channel. One that comes twice has the same name."""
    answer = await send(
        client, lambda: _request(target, note, client, now), safe=True, limit=_ANSWER, read=None
    )
    if not isinstance(answer, Answer):
        return answer
    return failure_of(answer, safe=True) or Accepted()


async def call_switch(target: ChannelTarget, client: httpx.AsyncClient) -> Outcome:
    """Call a dead man's switch."""
    url = target.url.get_secret_value()
    build = client.build_request
    answer = await send(client, lambda: build("GET", url), safe=True, limit=_ANSWER, read=None)
    return (failure_of(answer, safe=True) or Accepted()) if isinstance(answer, Answer) else answer


async def try_channel(target: ChannelTarget, client: httpx.AsyncClient) -> Outcome:
    """Does anybody answer at the address? Nothing is told."""
    url = httpx.URL(target.url.get_secret_value()).join("/")
    answer = await send(client, lambda: client.build_request("GET", url), safe=True, read=None)
    return Accepted() if isinstance(answer, Answer) else answer


def _request(
    target: ChannelTarget, note: AlertNote, client: httpx.AsyncClient, now: datetime
) -> httpx.Request:
    make: Callable[..., httpx.Request] = client.build_request
    url = target.url.get_secret_value()
    secrets = [one.get_secret_value() for one in target.secrets]
    shown = f"{note.title}\n\n{note.text}"[:_LONGEST]
    match target.kind:
        case ChannelKind.WEBHOOK:
            told = {"type": note.type, "timestamp": note.at.isoformat(), "data": dict(note.data)}
            body = json.dumps(told, ensure_ascii=False).encode()
            headers = signed_headers(secrets, note.name, now, body)
            headers["content-type"] = "application/json"
            return make("POST", url, content=body, headers=headers)
        case ChannelKind.CHAT:
            return make("POST", url, json={"text": shown})
        case ChannelKind.MATRIX:
            room, name = quote(target.room, safe=""), quote(note.name, safe="")
            path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{name}"
            headers = {"authorization": f"Bearer {secrets[0]}"}
            said = {"msgtype": "m.text", "body": shown}
            return make("PUT", f"{url.rstrip('/')}{path}", json=said, headers=headers)


__all__ = ["AlertNote", "ChannelKind", "ChannelTarget", "call_switch", "hand_over", "try_channel"]
