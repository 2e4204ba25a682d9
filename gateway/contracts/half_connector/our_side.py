"""Our side of the pivot contract for one run: it answers as the gateway does, records each call,
and misbehaves as a check asks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.contracts.half_connector.our_mailbox import MOST, OurMailbox
from gateway.sdk import Unreadable, read_json
from gateway.sdk.pivot_models import PivotChange, PivotClaim
from gateway.sim.faults import ABORT

#: Bytes of a body, at most.
LARGEST: Final = 16_000_000
#: Seconds of `Retry-After`.
RETRY_AFTER: Final = 1
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})?\Z")
_FAULTS: Final = {
    "bad_token": (401, "yours", "now"),
    "bad_link": (403, "yours", "never"),
    "unknown_request": (404, "yours", "never"),
    "not_found": (404, "yours", "never"),
    "erased": (410, "nobody", "never"),
    "invalid_body": (400, "yours", "never"),
    "unknown_status": (422, "yours", "never"),
    "key_conflict": (409, "yours", "never"),
    "too_many_calls": (429, "yours", "after"),
    "unavailable": (503, "ours", "after"),
}


def problem(word: str, detail: str, pointer: str | None = None) -> Response:
    """Return the answer of a problem of the contract."""
    status, fault, retry = _FAULTS[word]
    body = {
        "type": f"urn:toodego-gru:pivot:{word}",
        "title": word,
        "status": status,
        "detail": detail,
        "fault": fault,
        "retry": retry,
        "pointer": pointer,
        "errors": [],
        "correlation": secrets.token_hex(8),
    }
    headers = {"Retry-After": str(RETRY_AFTER)} if retry == "after" else {}
    return JSONResponse(body, status, headers, "application/problem+json")


@dataclass(slots=True)
class OfferedFile:
    """A file to be read by its link. `first` is what the first read gets: `whole`, `half` (then the
    connection ends), `anew` (the same; what goes on gets all of it again) or `other` bytes. `got`
    counts the bytes of each read, `resumed` those that went on, `looked` the calls of HEAD."""

    content: bytes
    query: str
    first: str = "whole"
    got: list[tuple[int, int]] = field(default_factory=list)
    altered: int = 0
    resumed: int = 0
    looked: int = 0

    @property
    def whole(self) -> bool:
        """Do the reads together cover the file, without a first one of other bytes?"""
        reads = self.got[1:] if self.first == "other" else self.got
        at = 0
        for begin, end in sorted(reads):
            if begin <= at:
                at = max(at, end)
        return at == len(self.content)


@dataclass(frozen=True, slots=True)
class ReceivedChange:
    """A call with a change, and our answer: a word, or a status."""

    reference: str
    key: str
    body: Mapping[str, Any]
    at: float
    answered: str
    ended: float


@dataclass(slots=True)
class OurSide:
    """Our side in one run. `secret` None: we accept any client secret.

    `base_url` is the address under which the half-connector reaches us, None if it cannot.
    """

    secret: str | None
    base_url: str | None = None
    tokens: set[str] = field(default_factory=set)
    asked_tokens: int = 0
    bad_secrets: int = 0
    bad_tokens: int = 0
    references: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    files: dict[str, OfferedFile] = field(default_factory=dict)
    changes: list[ReceivedChange] = field(default_factory=list)
    under_way: dict[str, int] = field(default_factory=dict)
    overlapping: set[str] = field(default_factory=set)
    #: Answers to the first call of each new key, in turn.
    change_faults: deque[str] = field(default_factory=deque)
    faulted: dict[tuple[str, str], str] = field(default_factory=dict)
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    mailbox: OurMailbox = field(default_factory=OurMailbox)
    faults_in_body: list[str] = field(default_factory=list)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        """Return our side as an application."""
        return Starlette(
            routes=[
                Route("/pivot/v1/token", self._token, methods=["POST"]),
                Route("/pivot/v1/mailbox/claim", self._claim, methods=["POST"]),
                Route("/pivot/v1/requests/{reference}/changes", self._change, methods=["POST"]),
                Route("/pivot/v1/requests/{reference}/files/{sha256}", self._file),
                Route("/{path:path}", lambda _: problem("not_found", "adresse inconnue")),
            ]
        )

    # --- proof --------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await _body(request))[:4096].decode("latin-1")))
        given = form.get("client_secret", "")
        basic = request.headers.get("authorization", "")
        if basic.lower().startswith("basic "):
            given = _basic_secret(basic[6:])
        if self.secret is not None and not hmac.compare_digest(
            given.encode(), self.secret.encode()
        ):
            self.bad_secrets += 1
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        self.asked_tokens += 1
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        told = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    def _unproven(self, request: Request) -> Response | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token.strip() in self.tokens:
            return None
        self.bad_tokens += 1
        return problem("bad_token", "ce jeton ne prouve rien, ou n'est plus valable")

    # --- changes ------------------------------------------------------------------------------

    async def _change(self, request: Request) -> Response:
        refusal = self._unproven(request)
        if refusal is not None:
            return refusal
        reference, began = str(request.path_params["reference"])[:200], time.monotonic()
        self.under_way[reference] = self.under_way.get(reference, 0) + 1
        if self.under_way[reference] > 1:
            self.overlapping.add(reference)
        try:
            raw = await _body(request)
            told = self._read(raw, PivotChange, "changes")
            if isinstance(told, Response):
                return told
            word = self._judged(reference, told)
            one = ReceivedChange(
                reference,
                told.key,
                told.model_dump(mode="json", exclude={"documents"}),
                began,
                word,
                time.monotonic(),
            )
            if len(self.changes) < MOST:
                self.changes.append(one)
                self.bell.set()
            return self._answer(request, one)
        finally:
            self.under_way[reference] -= 1

    def _judged(self, reference: str, told: PivotChange) -> str:
        """Judge a change: a word of `_FAULTS`, `new`, `known` or `unsaid`."""
        if reference not in self.references:
            return "unknown_request"
        if reference in self.erased:
            return "erased"
        at = (reference, told.key)
        said = told.model_dump_json()
        if at in self.known:
            return "known" if self.known[at] == said else "key_conflict"
        if at not in self.faulted and self.change_faults:
            self.faulted[at] = self.change_faults.popleft()
            if self.faulted[at] in ("unavailable", "too_many_calls", "unknown_status"):
                return self.faulted[at]
            if self.faulted[at] == "bad_token":
                self.tokens.clear()
                return "bad_token"
            self.known[at] = said
            return "unsaid"
        if self.faulted.get(at) == "unknown_status":
            return "unknown_status"
        self.known[at] = said
        return "new"

    def _answer(self, request: Request, one: ReceivedChange) -> Response:
        if one.answered == "unsaid":
            request.scope["extensions"][ABORT]()
        if one.answered in ("new", "known", "unsaid"):
            known = one.answered == "known"
            receipt = {"reference": one.reference, "key": one.key, "known": known}
            return JSONResponse(receipt, 200 if known else 201)
        return problem(one.answered, "réponse voulue par la recette")

    # --- files --------------------------------------------------------------------------------

    def offer_file(self, reference: str, content: bytes, sha256: str, first: str = "whole") -> str:
        """Offer a file from now on, and return its link."""
        until = int(time.time()) + 3600
        query = f"client=essai&expires={until}&signature={secrets.token_hex(16)}"
        path = f"/pivot/v1/requests/{reference}/files/{sha256}"
        self.files[path] = OfferedFile(content, query, first)
        return f"{self.base_url}{path}?{query}"

    async def _file(self, request: Request) -> Response:
        found = self.files.get(request.url.path)
        if found is None:
            return problem("not_found", "pas de tel fichier")
        if request.url.query != found.query:
            found.altered += 1
            return problem("bad_link", "ce lien a été altéré")
        begin, end = 0, len(found.content)
        etag = f'"{request.path_params["sha256"]}"'
        asked = _RANGE.match(request.headers.get("range", ""))
        found.looked += request.method == "HEAD"
        if asked is not None and found.got and int(asked[1]):
            found.resumed += 1
        if found.first == "anew" or request.headers.get("if-range", etag) != etag:
            asked = None
        if asked is not None:
            begin = int(asked[1])
            end = min(end, int(asked[2]) + 1) if asked[2] else end
        if not begin < end:
            headers = {"Content-Range": f"bytes */{len(found.content)}"}
            return Response(status_code=416, headers=headers)
        headers = {
            "Content-Length": str(end - begin),
            "Accept-Ranges": "bytes",
            "ETag": etag,
        }
        if asked is not None:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(found.content)}"
        status = 206 if asked is not None else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type="image/png")
        pieces = self._pieces(request, found, begin, end)
        return StreamingResponse(pieces, status, headers, "image/png")

    async def _pieces(
        self, request: Request, found: OfferedFile, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        first = not found.got and found.first
        content = found.content
        if first == "other":
            content = bytes(255 - one for one in content)
        if first in ("half", "anew"):
            middle = (begin + end) // 2
            found.got.append((begin, middle))
            yield content[begin:middle]
            request.scope["extensions"][ABORT]()
            return
        yield content[begin:end]
        found.got.append((begin, end))

    # --- mailbox ------------------------------------------------------------------------------

    async def _claim(self, request: Request) -> Response:
        refusal = self._unproven(request)
        if refusal is not None:
            return refusal
        self.mailbox.count_call()
        told = self._read(await _body(request), PivotClaim, "mailbox/claim")
        if isinstance(told, Response):
            return told
        answer = await self.mailbox.claim(told)
        if answer == "bad_token":
            self.tokens.clear()
        if isinstance(answer, dict):
            return JSONResponse(answer)
        if answer in _FAULTS:
            return problem(answer, "réponse voulue par la recette")
        request.scope["extensions"][ABORT]()
        return Response(status_code=503)

    # --- reading ------------------------------------------------------------------------------

    def _read(self, raw: bytes, model: type[Any], where: str) -> Any:
        """Return a body, or a problem. A fault is recorded by its place alone."""
        pointer = ""
        try:
            found: BaseModel = model.model_validate(read_json(raw))
            return found
        except Unreadable:
            self.faults_in_body.append(f"{where}: JSON")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            pointer = "".join(f"/{part}" for part in first["loc"])[:200]
            if len(self.faults_in_body) < MOST:
                self.faults_in_body.append(f"{where} {pointer} ({first['type']})")
        return problem("invalid_body", "ce corps n'est pas du contrat", pointer)


async def _body(request: Request) -> bytes:
    found = bytearray()
    try:
        async for piece in request.stream():
            found += piece
            if len(found) > LARGEST:
                return b""
    except ClientDisconnect:
        return b""
    return bytes(found)


def _basic_secret(packed: str) -> str:
    try:
        told = base64.b64decode(packed.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return unquote(told.partition(":")[2])
