"""Files in a formdata: recognised, decoded, safely named, and typed by their bytes.

w.c.s. writes them (`fields/file.py`) with `content` and `content_is_base64`, with `b64_content`, or
with no content and a `url` (lists, remote storage).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from gateway.core.content import EDGE, Content, InMemory
from gateway.core.errors import Rejected
from gateway.wire.spool import NO_TEXTS, LongText, bad_base64, file_too_large

_MARKERS = frozenset(
    {"content", "b64_content", "content_is_base64", "content_type", "field_id", "storage", "url"}
)
#: Keys of a file's content.
FILE_KEYS = frozenset({"content", "b64_content"})
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_UNKNOWN_TYPE = "application/octet-stream"
_SPACE = b" \t\r\n"
_NAME_LENGTH = 150
_NAME_READ = 4000
_UNFIT = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


@dataclasses.dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as the portal sent it.

    `field` is its dotted path: `photo`, `enfants_raw.0.carnet_vaccination`, with `workflow_fields.`
    or `extra.` before it outside the form's fields. `content` is None when only an address came
    (`url`, to be fetched through the portal's API) or nothing (remote storage).
    """

    field: str
    filename: str
    content_type: str
    content: Content | None = dataclasses.field(repr=False)
    url: str | None = dataclasses.field(default=None, repr=False)


def is_file(value: Mapping[str, Any]) -> bool:
    """Is this JSON object a file, in one of the portal's forms?"""
    if "b64_content" in value:
        return True
    return isinstance(value.get("filename"), str) and not _MARKERS.isdisjoint(value)


def read_file(
    path: str, value: Mapping[str, Any], max_bytes: int, texts: Mapping[str, LongText] = NO_TEXTS
) -> IncomingFile:
    """Read the file of `value`; its content may be one of the `texts` on disk.

    Raises Rejected: 400 for an encoding that is missing or broken, 413 for more than `max_bytes`
    (by the text's length, before decoding).
    """
    url = value.get("url")
    return IncomingFile(
        field=path,
        filename=safe_filename(value.get("filename")),
        content_type=media_type(value.get("content_type")),
        content=_content(value, max_bytes, texts),
        url=url if isinstance(url, str) and url else None,
    )


def _content(
    value: Mapping[str, Any], max_bytes: int, texts: Mapping[str, LongText]
) -> Content | None:
    if value.get("b64_content") is not None:
        return _decoded(value["b64_content"], max_bytes, texts)
    content = value.get("content")
    if content is None or (content == "" and (value.get("storage") or not _flagged(value))):
        if value.get("url") or value.get("storage"):
            return None
        raise Rejected(400, "file_without_content", "Un fichier est sans contenu ni adresse.")
    if not _flagged(value):
        raise Rejected(
            400,
            "unknown_file_encoding",
            "Un fichier a un contenu sans content_is_base64 : son encodage est inconnu.",
        )
    return _decoded(content, max_bytes, texts)


def _flagged(value: Mapping[str, Any]) -> bool:
    # Templated values of a workflow are texts.
    flag = value.get("content_is_base64")
    return flag is True or (isinstance(flag, str) and flag.strip().lower() in ("true", "1", "on"))


def _decoded(text: Any, max_bytes: int, texts: Mapping[str, LongText]) -> Content:
    if isinstance(text, str) and text in texts:
        return texts[text].decoded(max_bytes)
    if not isinstance(text, str) or not text.isascii():
        raise bad_base64()
    raw = text.encode("ascii")
    if any(space in text for space in " \t\r\n"):
        raw = raw.translate(None, _SPACE)
    if len(raw) // 4 * 3 - raw[-2:].count(b"=") > max_bytes:
        raise file_too_large()
    try:
        return InMemory(base64.b64decode(raw, validate=True))
    except (binascii.Error, ValueError):
        raise bad_base64() from None


def safe_filename(value: object) -> str:
    """Return the last part of a file's name, without control or direction characters; never
    empty."""
    # Only its end is looked at: a form's text may be megabytes long.
    text = value[-_NAME_READ:] if isinstance(value, str) else ""
    # "Other" characters: controls, direction marks that disguise an extension, lone surrogates; and
    # line and paragraph separators.
    text = "".join(c for c in text if unicodedata.category(c) not in _UNFIT)
    name = re.split(r"[/\\]", text)[-1].strip()
    if not name.strip("."):
        return "document"
    if len(name) > _NAME_LENGTH:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 10 else ""
        name = name[: _NAME_LENGTH - len(ending)] + ending
    return name


def media_type(value: object) -> str:
    """Return a declared media type, lower-cased, without parameters; octet-stream if unreadable."""
    text = value.partition(";")[0].strip().lower() if isinstance(value, str) else ""
    return text if _MEDIA_TYPE.fullmatch(text) else _UNKNOWN_TYPE


# --- what the bytes say ----------------------------------------------------------------------

_ODF = b"mimetypeapplication/vnd.oasis.opendocument."
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCX = _OFFICE + "wordprocessingml.document"
_XLSX = _OFFICE + "spreadsheetml.sheet"
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
)
_MARKUP = re.compile(
    # Atomic: comments could otherwise be split in exponentially many ways.
    rb"\s*+(?>(?:<!--(?>.*?-->)\s*+)*)<(?:!doctype\s+html|html|head|body|script|svg)\b",
    re.IGNORECASE | re.DOTALL,
)
#: Types that open and run: never taken under another name.
DANGEROUS = frozenset({"text/html", "application/x-msdownload", "application/x-executable"})
#: Other names of a type.
_SAME: dict[str, frozenset[str]] = {
    "image/jpeg": frozenset({"image/jpg", "image/pjpeg"}),
    "image/png": frozenset({"image/x-png"}),
    "image/heic": frozenset({"image/heif", "image/heic-sequence", "image/heif-sequence"}),
    "application/pdf": frozenset({"application/x-pdf"}),
    "application/zip": frozenset({"application/x-zip-compressed", "application/epub+zip"}),
    "application/x-ole-storage": frozenset(
        {"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}
    ),
    "text/html": frozenset({"application/xhtml+xml", "image/svg+xml"}),
}
_TEXTUAL = frozenset({"application/json", "application/xml", "application/rtf", "message/rfc822"})
_CLAIMS = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/heic", "application/pdf"}
    | {"application/zip", _DOCX, _XLSX}
)


def sniff(content: bytes, tail: bytes | None = None) -> str | None:
    """Return the media type of these bytes, None when it is unknown here. For a large file its
    first and last 64 KiB are enough."""
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
        return "image/heic"
    if b"%PDF-" in content[:1024]:
        return "application/pdf"
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _sniff_zip(content, content if tail is None else tail)
    head = content[:4096]
    if _MARKUP.match(head):
        return "text/html"
    return "text/plain" if head and _is_text(head) else None


def agrees(declared: str, sniffed: str | None) -> bool:
    """Does the declared media type fit the bytes? `application/octet-stream` fits everything. A
    type that is unknown here is believed."""
    declared = media_type(declared)
    if declared in (_UNKNOWN_TYPE, sniffed):
        return True
    if sniffed is None:
        return declared not in _CLAIMS
    if declared in _SAME.get(sniffed, ()):
        return True
    if sniffed == "application/zip":
        return declared.startswith((_OFFICE, "application/vnd.oasis.opendocument."))
    if sniffed == "text/plain":
        return declared.startswith("text/") or declared in _TEXTUAL
    return False


def true_type(declared: str, content: bytes, tail: bytes | None = None) -> str:
    """Return the media type of a file: as declared if it fits the bytes, else what they say."""
    shown = sniff(content, tail)
    return media_type(declared) if agrees(declared, shown) else shown or _UNKNOWN_TYPE


def is_disguised(declared: str, content: bytes) -> bool:
    """Are these bytes a page or a program that is declared to be something else?"""
    shown = sniff(content[:EDGE], content[-EDGE:])
    return shown in DANGEROUS and not agrees(declared, shown)


def _sniff_zip(content: bytes, tail: bytes) -> str:
    if content[30 : 30 + len(_ODF)] == _ODF:
        kind = re.match(rb"[a-z-]+", content[30 + len(_ODF) :][:40])
        # The next local header follows at once: its "PK" is upper case, so the match ends there.
        if kind:
            return "application/vnd.oasis.opendocument." + kind.group().decode("ascii")
    tail = tail[-EDGE:]
    if b"[Content_Types].xml" in content[:4096] or b"[Content_Types].xml" in tail:
        if b"word/" in tail:
            return _DOCX
        if b"xl/" in tail:
            return _XLSX
    return "application/zip"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The cut may fall inside a character.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(unicodedata.category(c) == "Cc" and c not in "\t\r\n\f" for c in text)
