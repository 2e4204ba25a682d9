"""Tells in each answer what of the contract is going to go (RFC 9745, RFC 8594)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

#: Between the word and the end of something, so long at least.
NOTICE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An operation that goes. `since` and `sunset` are UTC; `page` tells what stands for it."""

    operation: str
    since: datetime
    sunset: datetime
    page: str

    def __post_init__(self) -> None:
        if self.sunset - self.since < NOTICE:
            raise ValueError(f"{self.operation}: twelve months lie between the word and the end")

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": format_datetime(self.sunset, usegmt=True),
            "Link": f'<{self.page}>; rel="deprecation"; type="text/html"',
        }


#: All that is going to go: nothing as yet. A row here, and a line in `docs/pivot/README.md`.
DEPRECATED: tuple[Deprecation, ...] = ()


class PivotRoute(APIRoute):
    """A route whose answers, the refusals as well, tell that it goes."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = next((one for one in DEPRECATED if one.operation == self.operation_id), None)

        async def telling(message: Message) -> None:
            if told is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told.headers)
            await send(message)

        await super().handle(scope, receive, telling)


def mark_deprecated(document: dict[str, Any]) -> None:
    """Mark in a document what is going to go."""
    going = {one.operation for one in DEPRECATED}
    for path in document["paths"].values():
        for operation in path.values():
            if operation.get("operationId") in going:
                operation["deprecated"] = True
