"""Calls to a GeoReport server: addresses, keys, classification of its errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httpx

from adapters.open311.georeport import (
    Row,
    Rows,
    UnreadableAnswer,
    read_definition,
    read_rows,
    text,
)
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from gateway.sdk import (
    LARGE,
    Fetched,
    File,
    Misconfigured,
    Outcome,
    Refused,
    StandIns,
    TryLater,
    Unsure,
    answered,
    classify_error,
    classify_status,
    fetch_file,
    read_bounded,
)

FORM = "application/x-www-form-urlencoded; charset=utf-8"
#: Parameters whose words are the server's own and stay readable in its error texts.
NOT_PERSONAL = frozenset({"service_code", "jurisdiction_id", "status", "service_request_id"})


@dataclass(frozen=True, slots=True)
class _Body:
    """What a 2xx said."""

    content: bytes
    response: httpx.Response


class GeoReport:
    """One server. Rows of its answer, or the outcome that stands for their absence."""

    def __init__(self, options: Open311Options, client: httpx.AsyncClient) -> None:
        self._options = options
        self._client = client
        self._temporary = [re.compile(p, re.IGNORECASE) for p in options.temporary_400]

    def _url(self, *path: str) -> str:
        parts = "/".join(quote(part, safe="") for part in path)
        return f"{self._options.endpoint}/{parts}.{self._options.format}"

    def _common(self, *, key: bool) -> Pairs:
        pairs: Pairs = [("api_key", self._options.api_key.get_secret_value())] if key else []
        if self._options.jurisdiction_id:
            pairs.append(("jurisdiction_id", self._options.jurisdiction_id))
        return pairs

    async def _fetch(self, path: Sequence[str], pairs: Pairs) -> _Body | Outcome:
        url, params = self._url(*path), [*self._common(key=self._options.key_on_reads), *pairs]
        request = self._client.build_request("GET", url, params=httpx.QueryParams(tuple(params)))
        return await self._send(request, safe=True, sent=params)

    async def get(self, *path: str, pairs: Pairs | None = None) -> Rows | Outcome:
        """Rows of a read. A 404 is `Refused("unknown")`."""
        body = await self._fetch(path, pairs or [])
        if not isinstance(body, _Body):
            return body
        try:
            return read_rows(body.content, self._options.format)
        except UnreadableAnswer as error:
            return TryLater("unreadable_answer", str(error))

    async def definition(self, service_code: str) -> Row | Outcome:
        """What a service asks for (`GET /services/{code}`)."""
        body = await self._fetch(("services", service_code), [])
        if not isinstance(body, _Body):
            return body
        try:
            return read_definition(body.content, self._options.format)
        except UnreadableAnswer as error:
            return TryLater("unreadable_answer", str(error))

    async def download(self, address: str) -> Fetched | Outcome:
        """A file of the server: from its own host or one of `hosts`, never with our key."""
        limit = int(self._options.media_max_mb * 1_000_000)

        async def get(there: str, _: bool) -> Fetched | Outcome:
            try:
                async with self._client.stream("GET", there, follow_redirects=False) as response:
                    content = await read_bounded(response, limit)
                    return Fetched(response, content)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return classify_error(error, safe=True)

        own, others = self._options.endpoint, self._options.hosts
        return await fetch_file(address, own=own, others=others, get=get)

    async def _send(self, request: httpx.Request, *, safe: bool, sent: Pairs) -> _Body | Outcome:
        """Make a call and read its answer within `max_answer` bytes; what is no 2xx, judged."""
        try:
            response = await self._client.send(request, stream=True, follow_redirects=False)
            try:
                content = await read_bounded(response, self._options.max_answer)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return classify_error(error, safe=safe)
        outcome = classify_status(response, safe=safe)
        if outcome is not None:
            outcome = self._told_apart(outcome, response.status_code, content or b"")
            return _answered(outcome, response, content or b"", sent)
        if content is None:
            detail = f"more than {self._options.max_answer} bytes"
            return (TryLater if safe else Unsure)("answer_too_large", detail)
        return _Body(content, response)

    async def post(self, path: str, pairs: Pairs, files: Sequence[File] = ()) -> Rows | Outcome:
        """Rows of a write; `files` go as its media, large ones in a stream.

        A 404 is `Refused("unknown")`; an unreadable 2xx is `Unsure`.
        """
        url, form = self._url(path), [*self._common(key=True), *pairs]

        if files:
            data: dict[str, list[str]] = {}
            for name, value in form:
                data.setdefault(name, []).append(value)
            standing = StandIns()
            media: list[tuple[str, tuple[str, bytes, str]]] = []
            for file in files:
                large = file.size > LARGE
                content = standing.of(file).encode() if large else await file.read()
                media.append(("media", (file.filename, content, file.content_type)))
            request = self._client.build_request("POST", url, data=data, files=media)
            request = standing.filled(request)
        else:
            body, headers = urlencode(form).encode(), {"content-type": FORM}
            request = self._client.build_request("POST", url, content=body, headers=headers)
        answer = await self._send(request, safe=False, sent=form)
        if not isinstance(answer, _Body):
            return answer
        try:
            rows = read_rows(answer.content, self._options.format)
        except UnreadableAnswer as error:
            outcome = Unsure("unreadable_answer", str(error))
            return _answered(outcome, answer.response, answer.content, form)
        if any(text(row, "code") and text(row, "description") for row in rows):
            outcome = Unsure("far_end_error", "an error under HTTP 2xx")
            return _answered(outcome, answer.response, answer.content, form)
        return rows

    def _told_apart(self, outcome: Outcome, status: int, content: bytes) -> Outcome:
        """A refusal, told from what will pass."""
        if not isinstance(outcome, Refused):
            return outcome
        detail = f"HTTP {status}"
        if status == 404:
            return Refused("unknown", detail)
        said = self._errors(content)
        # The specification files everything else under 400, "the CRM is down" included: only the
        # description tells what will pass from what will not.
        if status == 400 and any(p.search(s) for p in self._temporary for s in said):
            return TryLater("far_end_error", detail)
        return Refused("invalid", detail)

    def _errors(self, content: bytes) -> list[str]:
        """Descriptions of `errors/error`, in the format asked for or the other one."""
        for form in (self._options.format, "json", "xml"):
            try:
                rows = read_rows(content, form)
            except UnreadableAnswer:
                continue
            return [said for row in rows if (said := text(row, "description"))]
        return []


def _answered(outcome: Outcome, response: httpx.Response, content: bytes, sent: Pairs) -> Outcome:
    return answered(
        outcome, response, content, [value for name, value in sent if name not in NOT_PERSONAL]
    )


def as_setting(outcome: Outcome) -> Outcome:
    """A 404 where only settings can be wrong: address, jurisdiction, service code."""
    if isinstance(outcome, Refused) and outcome.reason == "unknown":
        return Misconfigured("not_found", outcome.detail, outcome.answer)
    return outcome


__all__ = ["FORM", "GeoReport", "as_setting"]
