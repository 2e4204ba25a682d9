"""Calls to a GeoReport server: addresses, keys, and the meaning of its errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from adapters.open311.georeport import (
    GeoReportRows,
    Row,
    read_definition,
    read_rows,
    text,
)
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from gateway.sdk import (
    LARGE,
    Answer,
    File,
    FilePlaceholders,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unreadable,
    Unsure,
    UnusableAnswer,
    answered,
    classify_error,
    failure_of,
    fetch_file,
    send,
    unusable,
)

FORM = "application/x-www-form-urlencoded; charset=utf-8"
#: Parameters whose words are the server's own: they stay readable in its error texts.
NOT_PERSONAL = frozenset({"service_code", "jurisdiction_id", "status", "service_request_id"})


class GeoReport:
    """One server. A call returns the rows of its answer, or the outcome instead."""

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

    async def _fetch(
        self, path: Sequence[str], pairs: Pairs, read: Callable[[bytes, str], Any]
    ) -> Answer | Outcome:
        url, params = self._url(*path), [*self._common(key=self._options.key_on_reads), *pairs]
        request = self._client.build_request("GET", url, params=httpx.QueryParams(tuple(params)))
        return await self._send(request, safe=True, sent=params, read=read)

    async def get(self, *path: str, pairs: Pairs | None = None) -> GeoReportRows | Outcome:
        """Read rows. A 404 is `Refused("unknown")`."""
        answer = await self._fetch(path, pairs or [], read_rows)
        return _rows(answer) if isinstance(answer, Answer) else answer

    async def definition(self, service_code: str) -> Row | Outcome:
        """Return the attributes of a service (`GET /services/{code}`)."""
        answer = await self._fetch(("services", service_code), [], read_definition)
        if not isinstance(answer, Answer):
            return answer
        row: Row = answer.value
        return row

    async def download(self, address: str) -> Answer | Outcome:
        """Fetch a file from the server's own host or from one of `hosts`, never with our key."""
        limit = int(self._options.media_max_mb * 1_000_000)

        async def get(there: str, _: bool) -> Answer | Outcome:
            try:
                request = self._client.build_request("GET", there)
            except httpx.InvalidURL as error:
                return classify_error(error, safe=True)
            return await send(self._client, request, safe=True, limit=limit, read=None)

        own, others = self._options.endpoint, self._options.hosts
        return await fetch_file(address, own=own, others=others, get=get)

    async def _send(
        self, request: httpx.Request, *, safe: bool, sent: Pairs, read: Callable[[bytes, str], Any]
    ) -> Answer | Outcome:
        """Make a call. Return its answer if it is a readable 2xx, otherwise its outcome."""
        form = self._options.format
        answer = await send(
            self._client,
            request,
            safe=safe,
            limit=self._options.max_answer,
            read=lambda content, _: read(content, form),
        )
        if not isinstance(answer, Answer):
            return answer
        outcome = failure_of(answer, safe=safe)
        if outcome is None and answer.empty:
            # Unlike a list without rows: what is not said to be absent may be there.
            outcome = unusable(
                UnusableAnswer("unreadable_answer", "the answer is empty"), safe=safe
            )
        if outcome is None:
            return answer
        return _answered(self._told_apart(outcome, answer), answer, sent)

    async def post(
        self, path: str, pairs: Pairs, files: Sequence[File] = ()
    ) -> GeoReportRows | Outcome:
        """Write, and return the rows. `files` go as its media; large ones are streamed.

        A 404 is `Refused("unknown")`; an unreadable 2xx is `Unsure`.
        """
        url, form = self._url(path), [*self._common(key=True), *pairs]

        if files:
            data: dict[str, list[str]] = {}
            for name, value in form:
                data.setdefault(name, []).append(value)
            standing = FilePlaceholders()
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
        answer = await self._send(request, safe=False, sent=form, read=read_rows)
        if not isinstance(answer, Answer):
            return answer
        rows = _rows(answer)
        if any(text(row, "code") and text(row, "description") for row in rows):
            outcome = Unsure("far_end_error", "an error under HTTP 2xx")
            return _answered(outcome, answer, form)
        return rows

    def _told_apart(self, outcome: Outcome, answer: Answer) -> Outcome:
        """Return a refusal as temporary when its text says so."""
        if not isinstance(outcome, Refused):
            return outcome
        status, detail = answer.status, f"HTTP {answer.status}"
        if status == 404:
            return Refused("unknown", detail)
        said = self._errors(answer.content)
        # The specification uses 400 for all else, even for "the CRM is down": only the description
        # tells a temporary fault from a final one.
        if status == 400 and any(p.search(s) for p in self._temporary for s in said):
            return TryLater("far_end_error", detail)
        return Refused("invalid", detail)

    def _errors(self, content: bytes) -> list[str]:
        """Return the descriptions in `errors/error`, in the requested format or the other one."""
        for form in (self._options.format, "json", "xml"):
            try:
                rows = read_rows(content, form)
            except Unreadable:
                continue
            return [said for row in rows if (said := text(row, "description"))]
        return []


def _rows(answer: Answer) -> GeoReportRows:
    rows: GeoReportRows = answer.value
    return rows


def _answered(outcome: Outcome, answer: Answer, sent: Pairs) -> Outcome:
    words = [value for name, value in sent if name not in NOT_PERSONAL]
    return answered(outcome, answer.response, answer.content, words)


def as_setting(outcome: Outcome) -> Outcome:
    """Return the outcome of a 404 that only wrong settings can cause: address, jurisdiction,
    service code."""
    if isinstance(outcome, Refused) and outcome.reason == "unknown":
        return Misconfigured("not_found", outcome.detail, outcome.answer)
    return outcome


__all__ = ["FORM", "GeoReport", "as_setting"]
