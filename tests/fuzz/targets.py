"""The targets of fuzzing: each takes bytes that anybody may send, and refuses what it must.

Whatever else it raises is a finding, and so is what takes longer than the loop may be held.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx

from gateway.catalogue.build import build
from gateway.catalogue.mapping_files import lint, load_mapping
from gateway.catalogue.secrets import NeededSecrets
from gateway.core import richtext
from gateway.core.errors import ConfigurationFault, Rejected
from gateway.core.request import EventKind
from gateway.sdk import Amendment, Submission, Tracked, WebhookCall
from gateway.sdk.conformance import NOW, REFERENCE
from gateway.sdk.publik.formdata_state import FormdataState
from gateway.sdk.publik.signature import nonce_key, parse_signed, verify_query
from gateway.telemetry import _masked
from gateway.wire.event import read_event
from gateway.wire.event_content import content_of
from gateway.wire.files import agrees, is_file, media_type, read_file, safe_filename, sniff
from gateway.wire.formdata import Limits, parse_formdata
from tests.adapters.rest_systems import adapter as rest_adapter
from tests.adapters.test_open311 import PLACE
from tests.adapters.test_open311 import adapter as open311_adapter

#: Seconds of CPU for one input of up to LONGEST bytes: what the loop may be held for.
HELD = 0.05
LONGEST = 32 * 1024
LIMITS = Limits(max_bytes=LONGEST * 2, max_file_bytes=LONGEST, max_files=8, max_depth=20)

#: Seconds of CPU that `_yardstick` takes on a quiet machine of the kind that HELD was set on.
YARDSTICK = 0.0065

Target = Callable[[bytes], object]
#: Seconds of CPU of each part of an input's run, where each has HELD to itself.
_PARTS: list[float] = []


class TooSlow(Exception):
    """An input took longer than the loop may be held."""


def judged(target: Target, data: bytes) -> None:
    """Run a target. Raises TooSlow when it takes too long three times, or what is a finding.

    On a machine that is slower at that moment, by what else it does, it may take as much longer.
    """
    for _ in range(3):
        _PARTS.clear()
        begun = time.thread_time()
        target(data)
        seconds = max(_PARTS, default=time.thread_time() - begun)
        if seconds < HELD or seconds < HELD * _yardstick() / YARDSTICK:
            return
    raise TooSlow(f"{seconds * 1000:.0f} ms for {len(data)} bytes")


def _yardstick() -> float:
    """Seconds of CPU that a known piece of work takes here and now."""
    begun = time.thread_time()
    sum(range(1_000_000))
    return time.thread_time() - begun


def formdata(data: bytes) -> None:
    """Read a portal's push, and the event that it announces."""
    try:
        found = parse_formdata(data, "application/json", limits=LIMITS)
        content_of(found, read_event(found.extra))
    except Rejected:
        return
    json.dumps(dict(found.fields))
    assert found.ref == found.ref.strip()


def files(data: bytes) -> None:
    """A file within a formdata, and what its bytes are."""
    head, _, content = data.partition(b"\n")
    text = head.decode("utf-8", "replace")
    sniffed = sniff(content)
    agrees(text, sniffed)
    assert "/" in media_type(text)
    name = safe_filename(text)
    assert 0 < len(name) <= 160
    assert not {"/", "\\", "\x00"} & set(name)
    value = {"filename": text, "content_type": text, "content_is_base64": True}
    assert is_file(value | {"content": ""})
    given = base64.b64encode(content).decode()
    assert read_file("f", value | {"content": given}, LONGEST * 2).content is not None
    for raw in (content.decode("latin-1"), content.decode("utf-8", "replace")):
        with contextlib.suppress(Rejected):
            read_file("f", value | {"content": raw}, LONGEST * 2)


def signature(data: bytes) -> None:
    """The query of a call that says it is signed."""
    query = data.decode("latin-1")
    nonce_key(query)
    try:
        found = parse_signed(query)
        if found is not None:
            verify_query(found, ["sesame"], datetime(2026, 11, 23, tzinfo=UTC))
    except Rejected:
        return
    assert found is None, "nobody signed this"


def event(data: bytes) -> None:
    """Read a citizen's words, and those by which a workflow announces them."""
    text = data.decode("utf-8", "replace")
    plain = richtext.to_text(text)
    assert "\x00" not in plain
    richtext.has_entities(text)
    richtext.unescaped(text)
    _masked("what", text)
    with contextlib.suppress(Rejected):
        read_event({"action": "message", "event": text[:300], "message": text})
    if not richtext.is_html(text):
        try:
            told = read_event({"action": "message", "message": text})
        except Rejected:
            return
        assert told.message == (text.strip() or None), "plain text arrives to the letter"


def state(data: bytes) -> None:
    """Read the state of a formdata at the portal."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        read = FormdataState.read(document)
        read.carried_out("bo_marque", "TDG-1:1")
        read.has_message("TDG-1:1")


_KEY = "sesame-ouvre-toi-bien"
_REST: dict[str, Any] = {
    "base_url": "https://gru.exemple.invalid",
    "create": {"path": "/r", "reference": "id"},
    "find": {"path": "/r", "query": {"ref": "=reference"}, "list": "items", "match": "ref"},
    "statuses": {
        "path": "/r",
        "query": {"since": "=since"},
        "list": "items",
        "item": {
            "gru_reference": "id",
            "status": "status",
            "at": {"value": "at"},
            "notes": {"list": "notes", "message": "text", "key": "id", "at": {"value": "at"}},
        },
    },
    "webhook": {
        "verify": {"kind": "hmac-sha256", "header": "X-Sig", "secret": _KEY},
        "items": "items",
        "item": {"gru_reference": "id", "status": "status"},
    },
}


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


class _Says(httpx.AsyncBaseTransport):
    """Answers everything with the same: a line `STATUS TYPE ENCODING`, then the body."""

    def __init__(self, data: bytes) -> None:
        head, _, self._body = data.partition(b"\n")
        words = [*head.split(), b"", b"", b""]
        self._status = int(words[0]) if words[0] in _STATUSES else 200
        self._headers = [(b"content-type", words[1] or b"application/json")]
        if words[2]:
            self._headers.append((b"content-encoding", words[2]))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async for _ in request.stream:  # type: ignore[union-attr]
            pass
        return httpx.Response(
            self._status, headers=self._headers, stream=_Bytes(self._body), request=request
        )


_STATUSES = frozenset(str(status).encode() for status in range(200, 600))


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def answer(data: bytes) -> None:
    """Read a GRU's answer, with an adapter of each kind."""
    _runner().run(_answered(_Says(data)))


async def _timed(call: Awaitable[object]) -> None:
    begun = time.thread_time()
    await call
    _PARTS.append(time.thread_time() - begun)


async def _answered(says: _Says) -> None:
    tracked = [Tracked(REFERENCE, "42", NOW)]
    message = Amendment(
        reference=REFERENCE,
        key="e",
        kind=EventKind.MESSAGE,
        message="m",
        gru_reference="42",
        payload={},
    )
    async with rest_adapter(_REST, says) as rest:
        await _timed(rest.submit(Submission(REFERENCE, {"title": "x"})))
        await _timed(rest.find(REFERENCE))
        await _timed(rest.statuses(tracked, None))
    for form in ("json", "xml"):
        open311 = open311_adapter(_Router(says), format=form)  # type: ignore[arg-type]
        await _timed(open311.submit(Submission(REFERENCE, {**PLACE, "service_code": "A"})))
        await _timed(open311.find(REFERENCE))
        await _timed(open311.amend(message))
        await _timed(open311.statuses(tracked, None))


class _Router:
    """Stands where respx's router is wanted."""

    def __init__(self, says: _Says) -> None:
        self.async_handler = says.handle_async_request


def hook(data: bytes) -> None:
    """Read a post to a webhook by somebody with the key."""
    head, _, body = data.partition(b"\n")
    _runner().run(_hooked(head.decode("latin-1"), body))


async def _hooked(kind: str, body: bytes) -> None:
    shown = hmac.new(_KEY.encode(), body, hashlib.sha256).hexdigest()
    async with rest_adapter(_REST, _Says(b"200\n{}")) as rest:
        await rest.webhook(WebhookCall("POST", {"content-type": kind, "x-sig": shown}, {}, body))


def mapping(data: bytes) -> None:
    """A mapping file, as somebody saved it."""
    text = data.decode("utf-8", "replace")
    _told(lambda: lint(load_mapping(text, "mappings/signalement-anomalie/x.yaml")))


def commune(data: bytes) -> None:
    """A commune's file and the settings, as somebody saved them."""
    text = data.decode("utf-8", "replace")
    for name in ("config/communes/x.yaml", "config/gateway.yaml"):
        bundle = {"config/gateway.yaml": _SETTINGS, name: text}
        _told(lambda: build(bundle, environ={}, secrets=NeededSecrets.NONE))  # noqa: B023 (called at once)


def _told(work: Callable[[], object]) -> None:
    """Faults, if any, each at its file and line."""
    faults = []
    try:
        work()
    except ConfigurationFault as fault:
        faults = [*fault.faults]
        assert faults, "it says what is wrong"
    assert all(one.file for one in faults)


_SETTINGS = "portals: {toodego: {base_url: https://p.example.org, teleservices: {x: {}}}}\n"

TARGETS: dict[str, Target] = {
    one.__name__: one
    for one in (formdata, files, signature, event, state, answer, hook, mapping, commune)
}
