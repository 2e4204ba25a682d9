"""The far ends of an offline run: they answer what the case says, and record the calls.

Calls are recorded as an agent would read them: parsed by type, with what changes at each run (our
reference, the event's key, the present, secrets) as `{reference}`, `{evenement}`, `{maintenant}`,
`{secret}`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element

import httpx

from gateway.contracts.case_model import AnswerFile
from gateway.contracts.fixture_catalogue import SECRET
from gateway.core.request import Json
from gateway.sdk import Unreadable, read_xml

BodyKind = Literal["none", "json", "form", "multipart", "raw"]
#: A Base64 text of this length is a file's content.
_FILE_TEXT = 64
_SECRET = re.compile(re.escape(SECRET) + r"\w+")
#: Names in every call, whoever makes it.
_OF_THE_CLIENT = frozenset(
    {"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "user-agent"}
)
_XML = frozenset({"text/xml", "application/xml", "application/soap+xml"})
_DISPOSITION = re.compile(r'(name|filename)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file that left."""

    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One HTTP call that left, readable and without what changes at each run."""

    method: str
    path: str
    query: Mapping[str, Json]
    kind: BodyKind
    body: Json = None
    files: tuple[FileSeen, ...] = ()
    planned: bool = True
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortalReport:
    """One call that told the portal."""

    kind: Literal["hook", "jump"]
    name: str
    statut: str | None
    message: str | None
    document: FileSeen | None = None


@dataclass(slots=True)
class Constants:
    """Texts that change at each run, with the word for each."""

    texts: dict[str, str] = field(default_factory=dict)

    def plain(self, value: Json) -> Json:
        """Replace the texts by their words, and files' contents by size and digest."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {str(self._text(key)): self.plain(inner) for key, inner in value.items()}
        return [self.plain(one) for one in value] if isinstance(value, list) else value

    def _text(self, text: str) -> str:
        text = _SECRET.sub("{secret}", text)
        for volatile in sorted(self.texts, key=len, reverse=True):
            text = text.replace(volatile, self.texts[volatile])
        if len(text) < _FILE_TEXT or " " in text:
            return text
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return text
        return f"{{fichier de {len(content)} octets, sha256 {_sha256(content)[:12]}}}"


class GruFarEnd(httpx.AsyncBaseTransport):
    """Answers for the GRU, and records the calls that are not quiet."""

    def __init__(self, answers: Sequence[AnswerFile], constants: Constants) -> None:
        self.calls: list[RecordedCall] = []
        self._answers = answers
        self._constants = constants
        self._count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        path = str(self._constants.plain(request.url.path))
        answer = next((a for a in self._answers if _fits(a, request.method, path, content)), None)
        if answer is None or not answer.quiet:
            call = self._sent(request, path, content, planned=answer is not None)
            headers = _headers(request, self._constants)
            self.calls.append(
                dataclasses.replace(call, host=request.url.netloc.decode(), headers=headers)
            )
        if answer is None:
            return httpx.Response(404, json={}, request=request)
        self._count += 1
        if answer.text is not None:
            text = answer.text
        else:
            text = json.dumps({} if answer.json_body is None else answer.json_body)
        text = text.replace("{n}", str(self._count))
        headers = {"content-type": "application/json"} | answer.headers
        return httpx.Response(answer.status, text=text, headers=headers, request=request)

    def _sent(
        self, request: httpx.Request, path: str, content: bytes, *, planned: bool
    ) -> RecordedCall:
        plain = self._constants.plain
        query = plain(_pairs(request.url.query.decode()))
        kind = request.headers.get("content-type", "")
        media = kind.partition(";")[0].strip().lower()
        if not content:
            return RecordedCall(request.method, path, query, "none", planned=planned)
        if media == "application/json":
            try:
                body = plain(json.loads(content))
                return RecordedCall(request.method, path, query, "json", body, planned=planned)
            except ValueError:
                pass
        if media == "application/x-www-form-urlencoded":
            body = plain(_fields(content.decode()))
            return RecordedCall(request.method, path, query, "form", body, planned=planned)
        if media in _XML and (tree := _tree(content)) is not None:
            return RecordedCall(request.method, path, query, "json", plain(tree), planned=planned)
        if media == "multipart/form-data":
            pairs, files = _parts(content, kind)
            body = plain(pairs)
            return RecordedCall(request.method, path, query, "multipart", body, files, planned)
        file = _seen("", media, content)
        return RecordedCall(request.method, path, query, "raw", None, (file,), planned)


def _tree(content: bytes) -> Json:
    """Return an XML body as objects, texts and lists, without prefixes or attributes; of a SOAP
    envelope, what its body holds. None where it is no XML."""
    try:
        root, _ = read_xml(content)
    except Unreadable:
        return None
    body = root.find("Body") if root.tag == "Envelope" else None
    holder = root if body is None else body
    return _element(holder) if body is not None else {root.tag: _element(root)}


def _element(element: Element) -> Json:
    if not len(element):
        return element.text or ""
    held: dict[str, list[Json]] = {}
    for child in element:
        held.setdefault(child.tag, []).append(_element(child))
    return {name: several[0] if len(several) == 1 else several for name, several in held.items()}


class PortalFarEnd(httpx.AsyncBaseTransport):
    """Takes hooks and jumps as w.c.s. does, and records them."""

    def __init__(self, constants: Constants) -> None:
        self.told: list[PortalReport] = []
        self._constants = constants
        self._announced = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        found = re.search(r"/(hooks|jump/trigger)/([^/]+)/$", request.url.path)
        if request.method == "PUT" and found is not None and self.told:
            file = _seen(self._announced, request.headers["content-type"], content)
            self.told[-1] = dataclasses.replace(self.told[-1], document=file)
            return httpx.Response(200, json={"err": 0}, request=request)
        if request.method != "POST" or found is None:
            return httpx.Response(404, json={"err": 1}, request=request)
        body: dict[str, Any] = json.loads(content)
        self._announced = body.get("document_nom") or ""
        document = body.get("document")
        seen = None
        if isinstance(document, dict):
            seen = _seen(
                document["filename"],
                document["content_type"],
                base64.b64decode(document["content"]),
            )
        self.told.append(
            PortalReport(
                "hook" if found[1] == "hooks" else "jump",
                found[2],
                body["statut"],
                self._constants.plain(body["message"]),
                seen,
            )
        )
        return httpx.Response(200, json={"err": 0}, request=request)


def _headers(request: httpx.Request, constants: Constants) -> dict[str, str]:
    """Return what was set on purpose; what proves who we are is masked whole."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        if name in _OF_THE_CLIENT:
            continue
        if name == "authorization":
            value = f"{value.partition(' ')[0]} {{secret}}"
        elif name == "content-type":
            value = value.partition("; boundary=")[0]
        elif name == "cookie":
            value = "{secret}"
        found[name] = str(constants.plain(value))
    return found


def _fits(answer: AnswerFile, method: str, path: str, body: bytes) -> bool:
    said = answer.contains is None or answer.contains.encode() in body
    return said and answer.method in ("*", method) and fnmatchcase(path, answer.path)


def _fields(text: str) -> dict[str, Json]:
    """Parse the fields of a form; what is written as a JSON object in one is read as that."""
    return {name: _object(value) for name, value in _pairs(text).items()}


def _object(value: Json) -> Json:
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return as_texts(json.loads(value))
    except ValueError:
        return value


def as_texts(value: Json) -> Json:
    """Turn numbers and booleans into texts: forms carry texts."""
    if isinstance(value, Mapping):
        return {name: as_texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(one) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _pairs(text: str) -> dict[str, Json]:
    """Parse form or query fields: a repeated one becomes a list."""
    found: dict[str, Json] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _add(found, name, value)
    return found


def _add(found: dict[str, Json], name: str, value: str) -> None:
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def _parts(body: bytes, kind: str) -> tuple[dict[str, Json], tuple[FileSeen, ...]]:
    """Parse the fields and files of a multipart body (RFC 7578)."""
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    fields: dict[str, Json] = {}
    files: list[FileSeen] = []
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        named = dict(_DISPOSITION.findall(headers.get("content-disposition", "")))
        if "filename" in named:
            media = headers.get("content-type", "application/octet-stream")
            files.append(_seen(named["filename"], media, content))
        else:
            _add(fields, named.get("name", ""), content.decode("utf-8", "replace"))
    return fields, tuple(files)


def _seen(filename: str, content_type: str, content: bytes) -> FileSeen:
    return FileSeen(filename, content_type, len(content), _sha256(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
