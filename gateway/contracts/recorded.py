"""A GRU as its answers were recorded: what `check` asks is answered out of a file.

The file is a list of exchanges (`RecordedExchange`), of which the first that fits a call answers,
or it is any other JSON: one answer to every call.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import httpx
from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from gateway.catalogue.scalars import StrictModel
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.sdk import Unreadable, read_json

#: Bytes of such a file.
LARGEST = 50_000_000


class RecordedExchange(StrictModel):
    """A call and its answer. `query`, `contains` (in a value of the query) and `body` (a part of
    it) narrow down the calls that it fits."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str
    query: dict[str, str] = Field(default_factory=dict)
    contains: str = ""
    body: str = ""
    status: Annotated[int, Field(ge=100, le=599)] = 200
    type: str | None = None
    json_body: JsonValue = Field(None, alias="json")
    base64: str | None = None

    def fits(self, request: httpx.Request, body: str) -> bool:
        asked = dict(request.url.params)
        return (
            self.method == request.method
            and self.path == request.url.path
            and all(asked.get(key) == value for key, value in self.query.items())
            and self.contains in " ".join(asked.values())
            and self.body in body
        )

    def response(self) -> httpx.Response:
        headers = {} if self.type is None else {"content-type": self.type}
        if self.base64 is None and "json_body" in self.model_fields_set:
            return httpx.Response(self.status, json=self.json_body)
        content = base64.b64decode(self.base64 or "")
        return httpx.Response(self.status, headers=headers, content=content)


_EXCHANGES = TypeAdapter(list[RecordedExchange])


class RecordedAnswers(httpx.AsyncBaseTransport):
    """Answers out of a recording; `missing` are the calls that none of it fits, which get 404."""

    def __init__(self, exchanges: Sequence[RecordedExchange], every: JsonValue = None) -> None:
        self._exchanges = exchanges
        self._every = every
        self.missing: list[str] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises ConfigurationFault, which says what is wrong with it."""
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise _fault(path, f"> {LARGEST} B")
            value = read_json(content)
        except OSError as error:
            raise _fault(path, os.strerror(error.errno or 0)) from None
        except Unreadable as error:
            raise _fault(path, str(error)) from None
        if not (isinstance(value, list) and value and _is_exchange(value[0])):
            return cls((), value)
        try:
            exchanges = _EXCHANGES.validate_python(value)
            for one in exchanges:
                one.response()
        except ValidationError as error:
            raise _fault(path, ".".join(str(part) for part in error.errors()[0]["loc"])) from None
        except binascii.Error:
            raise _fault(path, "base64") from None
        return cls(exchanges)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode("utf-8", "replace")
        if request.headers.get("content-type") == "application/x-www-form-urlencoded":
            body = "&".join(httpx.QueryParams(body).values())
        for one in self._exchanges:
            if one.fits(request, body):
                return one.response()
        if not self._exchanges:
            return httpx.Response(200, json=self._every)
        self.missing.append(f"{request.method} {request.url.path}")
        return httpx.Response(404, json={})


def _fault(path: Path, why: str) -> ConfigurationFault:
    return ConfigurationFault([Fault(str(path), 0, say("answers_unread", why=why))])


def _is_exchange(one: object) -> bool:
    return isinstance(one, dict) and "path" in one and not {"status", "json"}.isdisjoint(one)


__all__ = ["RecordedAnswers", "RecordedExchange"]
