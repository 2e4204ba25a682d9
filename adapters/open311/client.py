"""Calls to a GeoReport server: addresses, keys, classification of its errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode

import httpx

from adapters.open311.discreet import discreet
from adapters.open311.georeport import (
    Row,
    UnreadableAnswer,
    read_definition,
    read_rows,
    text,
)
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from gateway.sdk import (
    LARGE,
    File,
    Misconfigured,
    Outcome,
    Refused,
    StandIns,
    TryLater,
    Unsure,
    classify_error,
    classify_status,
)

FORM = "application/x-www-form-urlencoded; charset=utf-8"
#: Parameters whose words are the server's own and stay readable in its error texts.
NOT_PERSONAL = frozenset({"service_code", "jurisdiction_id", "status", "service_request_id"})


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

    async def _fetch(self, path: Sequence[str], pairs: Pairs) -> httpx.Response | Outcome:
        url, params = self._url(*path), [*self._common(key=self._options.key_on_reads), *pairs]
        try:
            response = await self._client.get(url, params=httpx.QueryParams(tuple(params)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return classify_error(error, safe=True)
        return self._classified(response, safe=True, sent=pairs)

    async def get(self, *path: str, pairs: Pairs | None = None) -> list[Row] | Outcome:
        """Rows of a read. A 404 is `Refused("unknown")`."""
        response = await self._fetch(path, pairs or [])
        if not isinstance(response, httpx.Response):
            return response
        try:
            return read_rows(response.content, self._options.format)
        except UnreadableAnswer as error:
            return TryLater("unreadable_answer", str(error))

    async def definition(self, service_code: str) -> Row | Outcome:
        """What a service asks for (`GET /services/{code}`)."""
        response = await self._fetch(("services", service_code), [])
        if not isinstance(response, httpx.Response):
            return response
        try:
            return read_definition(response.content, self._options.format)
        except UnreadableAnswer as error:
            return TryLater("unreadable_answer", str(error))

    async def post(
        self, path: str, pairs: Pairs, files: Sequence[File] = ()
    ) -> list[Row] | Outcome:
        """Rows of a write; `files` go as its media, large ones in a stream.

        A 404 is `Refused("unknown")`; an unreadable 2xx is `Unsure`.
        """
        url, form = self._url(path), [*self._common(key=True), *pairs]

        async def send() -> httpx.Response:
            if not files:
                body = urlencode(form).encode()
                return await self._client.post(url, content=body, headers={"content-type": FORM})
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
            return await self._client.send(standing.filled(request))

        try:
            raw = await send()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return classify_error(error, safe=False)
        response = self._classified(raw, safe=False, sent=form)
        if not isinstance(response, httpx.Response):
            return response
        try:
            rows = read_rows(response.content, self._options.format)
        except UnreadableAnswer as error:
            return Unsure("unreadable_answer", str(error))
        if any(text(row, "code") and text(row, "description") for row in rows):
            return Unsure("far_end_error", "an error under HTTP 2xx")
        return rows

    def _classified(
        self, response: httpx.Response, *, safe: bool, sent: Pairs
    ) -> httpx.Response | Outcome:
        outcome = classify_status(response, safe=safe)
        if not isinstance(outcome, Refused):
            return outcome or response
        said = self._errors(response)
        personal = [value for name, value in sent if name not in NOT_PERSONAL]
        detail = discreet("; ".join(said), personal)
        detail = f"HTTP {response.status_code}" + (f": {detail}" if detail else "")
        if response.status_code == 404:
            return Refused("unknown", detail)
        # The specification files everything else under 400, "the CRM is down" included: only the
        # description tells what will pass from what will not.
        if response.status_code == 400 and any(p.search(s) for p in self._temporary for s in said):
            return TryLater("far_end_error", detail)
        return Refused("invalid", detail)

    def _errors(self, response: httpx.Response) -> list[str]:
        """Descriptions of `errors/error`, in the format asked for or the other one."""
        for form in (self._options.format, "json", "xml"):
            try:
                rows = read_rows(response.content, form)
            except UnreadableAnswer:
                continue
            return [said for row in rows if (said := text(row, "description"))]
        return []


def as_setting(outcome: Outcome) -> Outcome:
    """A 404 where only settings can be wrong: address, jurisdiction, service code."""
    if isinstance(outcome, Refused) and outcome.reason == "unknown":
        return Misconfigured("not_found", outcome.detail)
    return outcome


__all__ = ["FORM", "GeoReport", "as_setting"]
