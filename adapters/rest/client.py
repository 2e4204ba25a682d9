"""One HTTP call of the YAML: build, authenticate, send, read, judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from adapters.rest import xml
from adapters.rest.access import Credentials, access
from adapters.rest.call import Call
from adapters.rest.downloads import download
from adapters.rest.expression import ExpressionFault, Json
from adapters.rest.options import RestOptions
from adapters.rest.reading import apply_rules
from gateway.sdk import (
    Answer,
    Context,
    FilePlaceholders,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
    UnusableAnswer,
    answered,
    beside,
    classify_error,
    classify_status,
    fetch_file,
    read_json,
    same_host,
    secrets_in,
    send,
    texts_in,
    unusable,
    weight,
)

#: Makes a value of an answer's bytes and their charset.
Read = Callable[[bytes, str | None], Any]


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A file's bytes for a multipart or raw body, or the placeholder that stands for them."""

    filename: str
    content_type: str
    content: bytes


class RestClient:
    """All calls of one instance."""

    def __init__(self, options: RestOptions, context: Context) -> None:
        self._options = options
        self._client = context.client
        self._now = context.now
        self.xml = xml.reading_with(options.xml_lists)
        #: The names of our own account: what they wrote is ours.
        self.accounts = frozenset(str(one) for one in options.accounts)
        self._secrets = secrets_in(options)
        self._constants: dict[str, Json] = {
            "commune": context.commune,
            "secrets": {k: v.get_secret_value() for k, v in options.secrets.items()},
        }
        self._access = access(
            options.auth,
            context.now,
            context.client,
            self._log_in,
            self._constants,
        )

    @property
    def signs_bodies(self) -> bool:
        """Must the whole body be known before the call is sent?"""
        return self._options.sign is not None

    async def _log_in(self, call: Call, scope: Mapping[str, Json]) -> Answer | Outcome:
        """Make a call that gets credentials, and so carries none."""
        request = self._build(call, scope)
        return await self._send(request, read=self._reader(call))

    def _reader(self, call: Call) -> Read:
        return self.xml if call.answer == "xml" else read_json

    async def run(
        self,
        call: Call,
        scope: Mapping[str, Json],
        *,
        safe: bool,
        parts: Sequence[BodyPart] = (),
        address: str | None = None,
        expected: Sequence[int] = (),
        files: FilePlaceholders | None = None,
    ) -> Answer | Outcome:
        """Make the call. Return its answer after a success, otherwise the outcome.

        `safe` calls are tried again at once when the connection breaks, and are never unsure.
        `address` replaces the call's own address (the next page). Statuses in `expected` are
        returned as answers. `files` are the files whose placeholders are in `scope` or `parts`.
        """

        def build(granted: Credentials) -> httpx.Request:
            inside = {**scope, "session": granted.token}
            request = self._build(call, inside, parts, granted.headers, address)
            return request if files is None else files.filled(request)

        try:
            answer = await self._proven(build, safe, scope, read=self._reader(call))
        except ExpressionFault as fault:
            return Refused("unrenderable", str(fault))
        except httpx.InvalidURL as error:
            return classify_error(error, safe=safe)
        if not isinstance(answer, Answer) or answer.status in expected:
            return answer
        outcome = await beside(answer.size, partial(self._judge, call, answer, safe))
        return answer if outcome is None else await self.with_answer(outcome, answer, scope)

    async def with_answer(
        self, outcome: Outcome, answer: Answer, scope: Mapping[str, Json]
    ) -> Outcome:
        """Return the outcome with the GRU's words, in which the words of `scope` (which we sent)
        are masked."""

        def masked() -> Outcome:
            sent = [*self._secrets, *texts_in(scope)]
            return answered(outcome, answer.response, answer.content, sent)

        return await beside(weight(scope), masked)

    async def download(self, address: str, limit: int, *, ours: bool = False) -> Answer | Outcome:
        """Fetch a file of `limit` bytes at most. `ours`: the address is relative to `base_url`.

        It may come from this GRU, with its credentials, or from `hosts`, without credentials.
        """

        async def get(there: str, known: bool) -> Answer | Outcome:
            return await self._file(there, limit, known=known)

        base = self._options.base_url
        at = f"{base}{address}" if ours else address
        return await fetch_file(at, own=base, others=self._options.hosts, get=get)

    async def _file(self, address: str, limit: int, *, known: bool) -> Answer | Outcome:
        async def get(more: Mapping[str, str], most: int) -> Answer | Outcome:
            def build(granted: Credentials) -> httpx.Request:
                own = {**self._options.headers, **granted.headers} if known else {}
                headers = {"Accept": "*/*", **own, **more}
                return self._client.build_request("GET", address, headers=headers)

            if known:
                return await self._proven(build, True, {}, file=most)
            return await self._send(build(Credentials()), file=most, sign=False)

        try:
            return await download(get, limit)
        except ExpressionFault as fault:
            return Misconfigured("unrenderable", str(fault))
        except httpx.InvalidURL as error:
            return classify_error(error, safe=True)

    async def admitted(self) -> Outcome | None:
        """Get credentials. Return the outcome when there are none."""
        try:
            granted = await self._access.credentials()
        except ExpressionFault as fault:
            return Misconfigured("unrenderable", str(fault))
        return None if isinstance(granted, Credentials) else granted

    def within(self, url: str) -> str | None:
        """Return the address of a next page, or None when it leads away from this GRU."""
        base = self._options.base_url
        try:
            return same_host(str(httpx.URL(base + "/").join(url)), [base])
        except (httpx.InvalidURL, ValueError):
            return None

    async def _proven(
        self,
        build: Callable[[Credentials], httpx.Request],
        safe: bool,
        scope: Mapping[str, Json],
        *,
        file: int | None = None,
        read: Read = read_json,
    ) -> Answer | Outcome:
        granted = await self._access.credentials()
        if not isinstance(granted, Credentials):
            return granted
        size = weight(scope)
        request = await beside(size, partial(build, granted))
        answer = await self._send(request, safe=safe, file=file, read=read)
        if not isinstance(answer, Answer) or not await self._expired(answer):
            return answer
        # It was turned away at the door, so nothing was taken: once more with new credentials.
        self._access.forget(granted)
        granted = await self._access.credentials()
        if not isinstance(granted, Credentials):
            return granted
        request = await beside(size, partial(build, granted))
        answer = await self._send(request, safe=safe, file=file, read=read)
        if isinstance(answer, Answer) and await self._expired(answer):
            denied = Misconfigured("access_denied", "new credentials are turned away too")
            return await self.with_answer(denied, answer, scope)
        return answer

    async def _expired(self, answer: Answer) -> bool:
        return await beside(answer.size, partial(self._access.expired, answer))

    async def _send(
        self,
        request: httpx.Request,
        *,
        safe: bool = True,
        file: int | None = None,
        read: Read = read_json,
        sign: bool = True,
    ) -> Answer | Outcome:
        """Make the call. `file`: the answer is a file of at most this many bytes, which is not
        parsed."""
        signature = self._options.sign
        if sign and signature is not None:
            body = request.read()
            await beside(len(body), lambda: signature.sign(request, self._now()))
        if file is not None:
            return await send(self._client, request, safe=safe, limit=file, read=None)
        most = self._options.max_answer
        return await send(self._client, request, safe=safe, limit=most, read=read)

    def _judge(self, call: Call, answer: Answer, safe: bool) -> Outcome | None:
        told = apply_rules(self._options.errors, answer)
        if told is not None:
            # Reading again settles what a read left in doubt.
            return TryLater(told.reason, told.detail) if safe and isinstance(told, Unsure) else told
        named = answer.status in call.success
        told = None if named else classify_status(answer.response, safe=safe)
        if told is not None:
            return told
        if answer.problem is not None and answer.too_large:
            return unusable(answer.problem, safe=safe)
        if call.success and not named:
            return unusable(UnusableAnswer("unexpected_status", f"HTTP {answer.status}"), safe=safe)
        # The body of a redirect is a page for people: its Location is the answer.
        if answer.problem and call.answer != "any" and not 300 <= answer.status < 400:
            detail = f"HTTP {answer.status}, {answer.problem.detail}"
            return unusable(UnusableAnswer(answer.problem.reason, detail), safe=safe)
        return None

    def _build(
        self,
        call: Call,
        scope: Mapping[str, Json],
        parts: Sequence[BodyPart] = (),
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
    ) -> httpx.Request:
        scope = {**self._constants, **scope}
        wanted = "application/xml, text/xml" if call.answer == "xml" else "application/json"
        sent = {"Accept": wanted, **self._options.headers}
        sent |= {name: _header(t.render(scope)) for name, t in call.headers.items()}
        sent |= dict(headers or {})
        body = self._body(call, scope, parts)
        if address is None:
            address = self._options.base_url + call.path.render(scope)
            asked = {name: t.render(scope) for name, t in call.query.items()}
            query = _fields(asked, "the query")
            address = str(httpx.URL(address, params=query)) if query else address
        # The call's own headers come last: a GRU may want another content type.
        every = {**body.pop("headers"), **sent}
        return self._client.build_request(call.method, address, headers=every, **body)

    def _body(
        self, call: Call, scope: Mapping[str, Json], parts: Sequence[BodyPart]
    ) -> dict[str, Any]:
        if call.encoding == "raw":
            if len(parts) != 1:
                raise ExpressionFault("encoding raw sends exactly one file")
            kind = call.content_type or parts[0].content_type
            return {"content": parts[0].content, "headers": {"Content-Type": kind}}
        if call.body is None and call.encoding != "multipart":
            return {"headers": {}}
        content = call.body.render(scope) if call.body is not None else {}
        if call.encoding == "json":
            return {"content": _dumps(content), "headers": {"Content-Type": "application/json"}}
        if call.encoding == "xml":
            kind = call.content_type or "application/xml; charset=utf-8"
            return {"content": xml.write(content), "headers": {"Content-Type": kind}}
        if not isinstance(content, dict):
            raise ExpressionFault(f"the {call.encoding} body is not a table of fields")
        fields = _fields(content, "the body")
        if call.encoding == "form":
            return {"data": fields, "headers": {}}
        # Plain fields go as parts too: without a file the client would fall back on a form.
        files: list[tuple[str, tuple[str | None, bytes] | tuple[str, bytes, str]]] = []
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                files.append((name, (None, one.encode())))
        files += [(call.file_part, (p.filename, p.content, p.content_type)) for p in parts]
        return {"files": files, "headers": {}}


def _dumps(content: Json) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        # The library's own text quotes the value.
        raise ExpressionFault("the body is not JSON (a date, NaN, broken text)") from None


def _fields(content: Mapping[str, Json], where: str) -> dict[str, str | list[str]]:
    """Return form fields. A list repeats its field, an object is written as JSON, null is left
    out."""
    fields: dict[str, str | list[str]] = {}
    try:
        for name, value in content.items():
            if isinstance(value, list):
                fields[name] = [_field(v) for v in value if v is not None]
            elif value is not None:
                fields[name] = _field(value)
    except UnicodeEncodeError:
        raise ExpressionFault(f"{where} holds broken text") from None
    return fields


def _field(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else _dumps(value).decode()
    text.encode()
    return text


def _header(value: Json) -> str:
    text = "" if value is None else _field(value)
    if not (text.isascii() and text.isprintable()):
        raise ExpressionFault("a header is not plain ASCII")
    return text
