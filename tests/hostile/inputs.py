"""Pushes of hostile or clumsy senders, each with the right answer.

Bodies are made piece by piece while they are sent: some are large. They are for a gateway with the
default limits, its commune 69029 and its form `signalement-anomalie` with the commune in
`commune_raw`, and name the formdata 7 unless they say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: The portal to which the harness's requests belong.
PORTAL = "https://demarches.exemple.invalid"
FORM = f"{PORTAL}/api/forms/signalement-anomalie"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """One body. `code` is that of the refusal, None where it is taken (200 if it was here)."""

    name: str
    pieces: Callable[[], Iterable[bytes]]
    status: int
    code: str | None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as a client sends it."""
        for piece in self.pieces():
            for at in range(0, len(piece), _PIECE):
                yield piece[at : at + _PIECE]


def formdata(**changes: Any) -> dict[str, Any]:
    """A small one, for Bron."""
    value: dict[str, Any] = {
        "id": "7",
        "fields": {"commune_raw": "69029", "description": "Un nid de poule"},
    }
    return value | changes


def _json(**changes: Any) -> Callable[[], Iterable[bytes]]:
    return lambda: [json.dumps(formdata(**changes)).encode()]


def _fields(ref: str = "7", **fields: Any) -> Callable[[], Iterable[bytes]]:
    return _json(id=ref, fields=formdata()["fields"] | fields)


def _raw(before: bytes, piece: bytes, size: int, after: bytes) -> Callable[[], Iterable[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield before
        some = piece * (min(size, _PIECE) // len(piece))
        for _ in range(size // len(some)):
            yield some
        yield after

    return pieces


def messages() -> Iterator[Input]:
    """A citizen's words: later events of a request that is here."""
    for piece in ("<p>", "<a ", "<![word", "<!--", "<td>x", "&amp;", '<a b="', "</p", "<p>x</p>\n"):
        for length in (7_800, 24_000, 99_000):
            text = piece * (length // len(piece))
            told = {"action": "message", "message": text}
            yield Input(f"{piece!r} {length}", _json(extra=told), 201, None)
    told = {"action": "message", "message": "x" * 100_001}
    yield Input("an endless message", _json(extra=told), 413, "message_too_long")
    parts = [{"type": "workflow-comment", "comment": "<p>" + "<a " * 33_000}] * 18
    entry = {"time": "2026-01-01T00:00:00+00:00", "parts": parts}
    told = {"action": "message", "message": "Bonjour"}
    yield Input("a long history", _json(extra=told, evolution=[entry]), 201, None)


def creations() -> Iterator[Input]:
    """Whole formdata; what is taken has an id of its own."""
    head = b'{"id": "7", "fields": {"commune_raw": "69029", "x": ['
    for piece in (b"[],", b"{},", b'"",', b"0,", b'{"a":{}},'):
        name = f"80 MB of {piece.decode()}"
        yield Input(name, _raw(head, piece, 80_000_000, b"0]}}"), 400, "too_many_values")
    yield Input("200 kB of []", _raw(head, b"[],", 200_000, b"0]}}"), 400, "too_many_fields")
    yield Input("deep", _raw(head, b"[", 900, b"]" * 900 + b"]}}"), 400, "too_deep")
    yield Input("deeper", _raw(head, b"[", 200_000, b"]" * 200_000 + b"]}}"), 400, "not_json")
    rich = "<p>" * 100_000
    yield Input("a rich description", _fields("10", description=rich), 201, None)
    texts = {f"t{n}": "é" * 30_000 for n in range(12)}
    yield Input("many texts", _fields("11", **texts), 201, None)
    yield Input("a form that is a file's place", _json(fields={"file": 99}), 400, "reserved_value")
    for name, changes, code in (
        ("uuid", {"uuid": "a\0"}, "bad_text"),
        ("number", {"display_id": "12-\0"}, "bad_text"),
        ("api_url", {"api_url": f"{FORM}/7/\0"}, "bad_text"),
        ("NameID", {"user": {"NameID": ["\0"]}}, "bad_text"),
        ("id", {"id": "7\0"}, "bad_id"),
    ):
        yield Input(f"U+0000 in {name}", _json(**changes), 400, code)
    yield Input("U+0000 in a text", _fields("12", description="a\0b"), 201, None)
    for name, raw, code in (
        ("NaN", b'{"id": "7", "fields": {"a": NaN}}', "not_json"),
        ("a huge number", b'{"id": "7", "fields": {"a": 1' + b"0" * 5_000 + b"}}", "not_json"),
        ("half a character", b'{"id": "7", "fields": {"a": "\\ud800"}}', "not_json"),
        ("not UTF-8", b'{"id": "7", "fields": {"a": "\xff"}}', "not_json"),
    ):
        yield Input(name, lambda raw=raw: [raw], 400, code)  # type: ignore[misc]
    much = _raw(b'{"id": "7", "fields": {"a": "', b"a", 80_000_000, b'"}}')
    yield Input("80 MB of one text", much, 413, "text_too_long")
    much = _raw(b'{"id": "7", "fields": {"a": ', b" ", 80_000_000, b"1}}")
    yield Input("80 MB of nothing", much, 413, "body_too_large")
    much = _raw(b'{"id": "13", "fields": {"a": "', b"\\u0041", 6_000_000, b'"}}')
    yield Input("escapes", much, 201, None)
    twice = b'{"id": "8", "id": "14", "fields": {"commune_raw": "69266", "commune_raw": "69029"}}'
    yield Input("a key twice: the last one counts", lambda: [twice], 201, None)


def addresses() -> Iterator[Input]:
    """Yield bodies by which a key's holder wants the gateway to call another formdata."""
    for told in (
        f"{FORM}/8/",
        f"{PORTAL}/api/users/1/",
        f"{PORTAL}/api/users/1/hooks/x/",
        f"{FORM}/8/../7/hooks/",
        f"{FORM}/7%2Fhooks/",
        f"{FORM.replace('anomalie', 'autre')}/7/",
    ):
        yield Input(told, _json(api_url=told), 403, "other_formdata")
    for told in (
        "https://ailleurs.invalid/api/forms/signalement-anomalie/7/",
        "https://demarches.exemple.invalid@ailleurs.invalid/",
        f"{FORM.replace('https', 'http')}/7/",
        f"{FORM.replace('.invalid', '.invalid:8443')}/7/",
        "file:///etc/passwd",
        "http://169.254.169.254/",
    ):
        yield Input(told, _json(api_url=told), 400, "foreign_address")
    file = {"filename": "a.txt", "content_type": "text/plain"}
    photo = _fields(photo=file | {"url": f"{FORM}/8/download?hash=x"})
    yield Input("another's document", photo, 403, "other_formdata")
    photo = _fields(photo=file | {"url": "http://169.254.169.254/"})
    yield Input("a document elsewhere", photo, 400, "foreign_address")
    for ref in ("..", "7/../8", "8/hooks/x"):
        yield Input(f"id {ref}", _json(id=ref), 400, "bad_id")


__all__ = ["Input", "addresses", "creations", "formdata", "messages"]
