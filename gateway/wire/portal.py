"""The portal as a far end: hooks, jumps, and reading formdata back through the API of w.c.s.

Every call is signed anew, goes to the portal's own origin only and follows no redirect. What the
portal answers becomes an outcome, whatever it is; nothing here raises for a far end's fault.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

import httpx
import orjson

from gateway.core.content import Content, InMemory
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
)
from gateway.core.request import Json
from gateway.sdk import StandIns
from gateway.sdk.http import classify_error, classify_status
from gateway.wire.answer import Answer, denied, holds_event, is_error, written
from gateway.wire.localtime import filter_text
from gateway.wire.signature import sign_url
from gateway.wire.spool import Body, Inflow, TooLarge

#: Takes the body of a successful answer in, no further than a limit.
Take = Callable[[AsyncIterator[bytes], int], Awaitable[Body | Content]]

_MIB = 1024 * 1024
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_FRONT_FILE = re.compile(r"/(?:[^/]+/)?([^/]+)/([^/]+)/download")
#: Kept from the answer to a write, of which a few hundred bytes are read.
_MAX_ANSWER = _MIB


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, as w.c.s. gives them, without file contents. `more`: ask for the next."""

    rows: tuple[Mapping[str, Json], ...]
    more: bool


class PortalClient:
    """One portal. Signs when there is a `key`, adds HTTP Basic when there is `basic`.

    `now` gives aware UTC, `nonce` a fresh random text for each attempt. Timeouts are the client's.
    `max_bytes` bounds a formdata or a list, `max_file_bytes` a download.
    """

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient,
        *,
        orig: str | None,
        key: str | None,
        basic: tuple[str, str] | None,
        now: Callable[[], datetime],
        nonce: Callable[[], str],
        max_bytes: int = 100 * _MIB,
        max_file_bytes: int = 50 * _MIB,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._client = client
        self._orig = orig
        self._key = key
        self._auth = httpx.BasicAuth(*basic) if basic else None
        self._now = now
        self._nonce = nonce
        self._max_bytes = max_bytes
        self._max_file_bytes = max_file_bytes

    # --- writes ------------------------------------------------------------------------------

    async def hook(
        self,
        api_url: str,
        identifier: str,
        payload: Mapping[str, Json],
        files: StandIns | None = None,
    ) -> Outcome:
        """Run the global action `identifier` of a formdata, in whatever status it stands.

        A 404 on a formdata that exists is `Misconfigured("unknown_hook")`: the workflow lacks the
        action, and the report goes through once its designer adds it. When the formdata itself is
        gone, no retry mends that: `Refused("unknown_formdata")`. `files`: what stands in `payload`
        for the content of a document, which is sent in a stream.
        """
        missing = Misconfigured("unknown_hook", "the workflow has no global action of this name")
        return await self._trigger(api_url, "hooks", identifier, payload, files, missing)

    async def jump(
        self,
        api_url: str,
        trigger: str,
        payload: Mapping[str, Json],
        files: StandIns | None = None,
    ) -> Outcome:
        """Fire a jump trigger. A 404 is `TryLater("not_in_status")`: the formdata stands in a
        status that has no such jump, which another event may change; a formdata that is gone is
        `Refused("unknown_formdata")`."""
        missing = TryLater("not_in_status", "no such trigger in the formdata's present status")
        return await self._trigger(api_url, "jump/trigger", trigger, payload, files, missing)

    async def _trigger(
        self,
        api_url: str,
        path: str,
        name: str,
        payload: Mapping[str, Json],
        files: StandIns | None,
        missing: Outcome,
    ) -> Outcome:
        if not _WORD.fullmatch(name):
            return Misconfigured("bad_trigger", "the name of a hook or trigger is malformed")
        url = _below(api_url, f"{path}/{name}/")
        if url is None:
            return Misconfigured("bad_address", "the formdata's API address is malformed")
        answer = await self._send(
            "POST", url, safe=False, limit=_MAX_ANSWER, payload=payload, files=files
        )
        if not isinstance(answer, Answer):
            return answer
        if answer.response.status_code == 404:
            gone = await self._is_gone(api_url)
            return (
                Refused("unknown_formdata", "the portal has no such formdata") if gone else missing
            )
        return written(answer)

    async def _is_gone(self, api_url: str) -> bool:
        # Anonymised reads need no more than a signature. Only a plain 404 says that it is gone.
        switches = {f"include-{part}": "off" for part in ("fields", "evolution", "roles", "user")}
        url = _below(api_url, "?" + urlencode({"anonymise": "on", **switches}))
        answer = await self._send("GET", url or "", safe=True, limit=self._max_bytes)
        return isinstance(answer, Answer) and answer.response.status_code == 404

    def api_url(self, slug: str, ref: str) -> str:
        """The API address of one formdata of a form."""
        return f"{self._base}/api/forms/{quote(slug, safe='')}/{quote(ref, safe='')}/"

    # --- reads -------------------------------------------------------------------------------

    async def formdata(self, api_url: str, inflow: Inflow | None = None) -> Body | Outcome:
        """The JSON text of one formdata with its file contents, for `parse_formdata`.

        It is held in memory unless there is an `inflow`, which may raise Unavailable.
        """
        answer = await self._read_formdata(api_url, {}, inflow.take if inflow else None)
        if not isinstance(answer, Answer):
            return answer
        whole = Body(answer.body, len(answer.body))
        return answer.kept if isinstance(answer.kept, Body) else whole

    async def find_event(self, api_url: str, identifier: str, event_id: str) -> Finding:
        """Did the portal take the report `event_id`, sent to the hook or trigger `identifier`?

        A hook's payload stays in `workflow.data.<identifier>` until the next call, a jump's is
        merged into `workflow.data`; both carry `evenement`. A formdata that is gone holds nothing.
        Where the caller may only read anonymised data, workflow data never show: then nobody can
        tell (`forever`), and a person is asked.
        """
        switches = {"include-files-content": "off", "include-roles": "off"}
        answer = await self._read_formdata(api_url, switches)
        if not isinstance(answer, Answer):
            return _untold(answer)
        document = answer.json()
        workflow = document.get("workflow")
        data = workflow.get("data") if isinstance(workflow, dict) else None
        named = data.get(identifier) if isinstance(data, dict) else None
        if holds_event(named, event_id):
            return Found()
        if isinstance(data, dict) and data.get("evenement") == event_id:
            return Found()
        if holds_event(document.get("evolution"), event_id):
            return Found()
        if not isinstance(data, dict) and not isinstance(document.get("user"), dict):
            return CannotTell(
                "no_workflow_data",
                "the portal shows no workflow data to this account",
                forever=True,
            )
        return Absent()

    async def listing(
        self,
        slug: str,
        since: datetime | None,
        offset: int,
        limit: int,
        *,
        full: bool = False,
    ) -> Page | Outcome:
        """Formdata of a form changed since `since` (aware), oldest change first.

        Rows hold ids and times, with `full` everything but file contents. The portal's bound is
        inclusive and blind to silent edits; overlap the windows, and drop what comes twice.
        """
        query = {"filter": "all", "order_by": "last_update_time"}
        if full:
            query["full"] = "on"
        if since is not None:
            query["filter-start-mtime"] = "on"
            query["filter-start-mtime-value"] = filter_text(since)
        query |= {"limit": str(limit), "offset": str(offset)}
        url = f"{self._base}/api/forms/{quote(slug, safe='')}/list?{urlencode(query)}"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        value = answer.json()
        rows = value
        more = False
        if isinstance(value, dict):
            if is_error(value):
                return Refused("application_error", "the portal answered with an error")
            rows = value.get("data")
            more = bool(value.get("next"))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return TryLater("unreadable_answer", "the portal's list is not a list of objects")
        return Page(tuple(rows), more or len(rows) >= limit)

    async def schema(self, slug: str) -> dict[str, Json] | Outcome:
        """The form's definition: fields, workflow statuses and options."""
        url = f"{self._base}/api/formdefs/{quote(slug, safe='')}/schema"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        value = answer.json()
        if not isinstance(value, dict):
            return TryLater("unreadable_answer", "the portal's schema is not an object")
        if is_error(value):
            return Refused("application_error", "the portal answered with an error")
        return value

    async def download(self, url: str, inflow: Inflow) -> tuple[Content, str] | Outcome:
        """A file's bytes, taken in by `inflow`, and media type. Raises Unavailable as that does.

        A front-office address is read through the API, where a signed call is served directly. Any
        other origin than the portal's is `Misconfigured("foreign_address")`.
        """
        limit = self._max_file_bytes
        answer = await self._read(_api_file(url), limit, "unknown_file", inflow.take_file)
        if not isinstance(answer, Answer):
            return answer
        content = answer.kept if isinstance(answer.kept, Content) else InMemory(answer.body)
        kind = answer.response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return content, kind or "application/octet-stream"

    async def _read_formdata(
        self, api_url: str, switches: Mapping[str, str], take: Take | None = None
    ) -> Answer | Outcome:
        url = _below(api_url, "?" + urlencode(switches) if switches else "")
        if url is None:
            return Misconfigured("bad_address", "the formdata's API address is malformed")
        answer = await self._read(url, self._max_bytes, "unknown_formdata", take)
        if not isinstance(answer, Answer):
            return answer
        value = answer.json()
        if not isinstance(value, dict):
            return TryLater("unreadable_answer", "the portal's formdata is not an object")
        if is_error(value):
            return Refused("application_error", "the portal answered with an error")
        return answer

    async def _read(
        self, url: str, limit: int, missing: str, take: Take | None = None
    ) -> Answer | Outcome:
        answer = await self._send("GET", url, safe=True, limit=limit, take=take)
        if not isinstance(answer, Answer):
            return answer
        code = answer.response.status_code
        if code in (404, 410):
            return Refused(missing, f"HTTP {code}")
        failure = classify_status(answer.response, safe=True)
        if isinstance(failure, Misconfigured):
            return denied(answer) or failure
        return failure or answer

    # --- the call ----------------------------------------------------------------------------

    async def _send(
        self,
        method: str,
        url: str,
        *,
        safe: bool,
        limit: int,
        payload: Mapping[str, Json] | None = None,
        files: StandIns | None = None,
        take: Take | None = None,
    ) -> Answer | Outcome:
        try:
            target = httpx.URL(self._signed(url))
            base = httpx.URL(self._base)
        except (ValueError, httpx.InvalidURL):
            return Misconfigured("bad_address", "an address of the portal is malformed")
        # Compared as parsed by the library that sends, after all that was done to the text.
        if _origin(target) != _origin(base) or target.userinfo:
            return Misconfigured("foreign_address", "the address is not the portal's own")
        headers = {"Accept": "application/json"}
        content: bytes | None = None
        if payload is not None:
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(payload)
        try:
            request = self._client.build_request(method, target, content=content, headers=headers)
            if files is not None:
                request = files.filled(request)
            response = await self._client.send(
                request, auth=self._auth, stream=True, follow_redirects=False
            )
            try:
                return await _received(response, limit, safe, take)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return classify_error(error, safe=safe)

    def _signed(self, url: str) -> str:
        # Signed is what is sent: the URL as the sending library will write it.
        url = str(httpx.URL(url))
        if not self._key:
            return url
        return sign_url(url, self._key, orig=self._orig, now=self._now(), nonce=self._nonce())


async def _received(
    response: httpx.Response, limit: int, safe: bool, take: Take | None
) -> Answer | Outcome:
    if take is not None and response.is_success:
        try:
            kept = await take(response.aiter_bytes(), limit)
        except TooLarge:
            return Refused("too_large", "the portal's answer is larger than allowed")
        return Answer(response, kept.text if isinstance(kept, Body) else b"", kept)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            if safe and response.is_success:
                return Refused("too_large", "the portal's answer is larger than allowed")
            # A failure, or a write: its status tells, what it goes on to say does not matter.
            break
    return Answer(response, bytes(body))


def _untold(failure: Outcome) -> Finding:
    """What a failed read leaves to say about an event."""
    match failure:
        case Refused("unknown_formdata"):
            return Absent()
        case TryLater(reason, detail, after):
            return CannotTell(reason, detail, after=after)
        case Accepted():
            return CannotTell("unreadable_answer")
        case _:
            return CannotTell(failure.reason, failure.detail)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _below(api_url: str, rest: str) -> str | None:
    if "?" in api_url or "#" in api_url or not api_url:
        return None
    return api_url.rstrip("/") + "/" + rest


def _api_file(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return url
    found = None if parsed.path.startswith("/api/") else _FRONT_FILE.fullmatch(parsed.path)
    if not found:
        return url
    path = f"/api/forms/{quote(found[1], safe='')}/{quote(found[2], safe='')}/download"
    query = parsed.query
    return str(parsed.copy_with(raw_path=path.encode() + (b"?" + query if query else b"")))
