"""Signatures by a declared recipe: an HMAC over a text with holes, in a header.

`CallSignature` signs our calls; `Verify` verifies the GRU's calls.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from adapters.rest.call import HeaderName
from adapters.rest.texts import say
from gateway.sdk import Options, Secret, refuse

_HOLE = re.compile(r"\{([a-z0-9_]*)\}")
#: The parts that a recipe may name.
HOLES = frozenset({"body", "body_sha256", "timestamp", "method", "path", "query"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """The text that is signed: `{timestamp}.{body}`."""

    text: str
    holes: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Compile the text of a file, as a validator."""
        holes = frozenset(_HOLE.findall(text))
        if not holes & {"body", "body_sha256"} or not holes <= HOLES:
            raise refuse(say("recipe", known=tuple(sorted(HOLES))))
        return cls(text, holes)

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """Return the bytes to sign. `values`: the value of each hole."""
        parts = _HOLE.split(self.text)
        return b"".join(values[p] if i % 2 else p.encode() for i, p in enumerate(parts))

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(min_length=1, max_length=500),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda r: r.text),
        )


#: The body alone, as most have it.
BODY = Recipe.parse("{body}")
Encoding = Literal["hex", "base64"]


class CallSignature(Options):
    """The signature of our calls: an HMAC over `over`, in `header`, after `prefix`.

    `timestamp` names the header with the time of the call, in seconds since 1970.
    """

    kind: Literal["hmac-sha256", "hmac-sha512", "hmac-sha1"] = "hmac-sha256"
    secret: Secret
    header: HeaderName
    prefix: Annotated[str, Field(pattern=r"^[ -~]*$")] = ""
    encoding: Encoding = "hex"
    over: Recipe = BODY
    timestamp: HeaderName | None = None

    def sign(self, request: httpx.Request, now: datetime) -> None:
        """Sign a request whose body is known."""
        stamp = str(int(now.timestamp()))
        path, _, query = request.url.raw_path.partition(b"?")
        body = request.read()
        values = {
            "body": body,
            "body_sha256": hashlib.sha256(body).hexdigest().encode(),
            "timestamp": stamp.encode(),
            "method": request.method.encode(),
            "path": path,
            "query": query,
        }
        secret = self.secret.get_secret_value().encode()
        digest = hmac_of(self.kind, secret, self.over.filled(values))
        request.headers[self.header] = self.prefix + written(digest, self.encoding)
        if self.timestamp is not None:
            request.headers[self.timestamp] = stamp


def hmac_of(kind: str, secret: bytes, content: bytes) -> bytes:
    """Return the HMAC of a content; `kind` is `hmac-` and a hash."""
    return hmac.new(secret, content, kind.removeprefix("hmac-")).digest()


def written(digest: bytes, encoding: Encoding) -> str:
    """Write a digest as a header has it."""
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


__all__ = ["BODY", "CallSignature", "Encoding", "Recipe", "hmac_of", "written"]
