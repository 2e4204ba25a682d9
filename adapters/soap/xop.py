"""MTOM: an envelope whose files are parts of their own (XOP packages in multipart/related)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.sdk import Unreadable, decoded, read_base64

#: Parts of one answer.
MOST_PARTS: Final = 200
#: Bytes of the headers of a part.
_LONGEST_HEAD: Final = 8_000
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_HEADER = re.compile(r"^(content-id|content-transfer-encoding):[ \t]*(\S+)", re.I | re.M)


@dataclass(frozen=True, slots=True)
class XopPart:
    """A file's bytes, or its placeholder."""

    content_id: str
    content_type: str
    content: bytes


def content_id() -> str:
    """Return a new name for a part."""
    return f"{secrets.token_hex(16)}@passerelle.invalid"


def write_parts(root: bytes, root_type: str, parts: Sequence[XopPart]) -> tuple[bytes, str]:
    """Pack an envelope of `root_type` (`text/xml`, `application/soap+xml`) with its parts.

    Returns the package and its Content-Type.
    """
    boundary = f"uuid:{secrets.token_hex(16)}"
    start = content_id()
    head = f'application/xop+xml; charset=UTF-8; type="{root_type}"'
    whole = [XopPart(start, head, root), *parts]
    out = bytearray()
    for one in whole:
        kind = one.content_type
        if one.content_type is not head and not _TYPE.fullmatch(kind):
            kind = "application/octet-stream"
        out += (
            f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: <{one.content_id}>\r\n\r\n"
        ).encode()
        out += one.content + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return bytes(out), (
        f'multipart/related; type="application/xop+xml"; boundary="{boundary}"; '
        f'start="<{start}>"; start-info="{root_type}"'
    )


def read_parts(body: bytes) -> tuple[bytes, Mapping[str, bytes]]:
    """Return the envelope of a package, and its parts by Content-ID. Raises Unreadable.

    An answer that is no package is the envelope itself.
    """
    body = body.lstrip(b"\r\n")
    if not body.startswith(b"--"):
        return body, {}
    line, _, _ = body[:300].partition(b"\r\n")
    if len(line) > 74 or len(line) < 3:
        raise Unreadable("no boundary between its parts")
    pieces = (b"\r\n" + body).split(b"\r\n" + line.rstrip(), MOST_PARTS + 1)
    if len(pieces) > MOST_PARTS + 1 or len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Unreadable("its parts do not end")
    root: bytes | None = None
    found: dict[str, bytes] = {}
    for piece in pieces[1:-1]:
        head, ended, content = piece.partition(b"\r\n\r\n")
        if not ended or len(head) > _LONGEST_HEAD:
            raise Unreadable("a part without its headers")
        told = {name.lower(): value for name, value in _HEADER.findall(decoded(head))}
        if told.get("content-transfer-encoding", "").lower() == "base64":
            read = read_base64(decoded(content))
            if read is None:
                raise Unreadable("a part that is no Base64")
            content = read
        if root is None:
            root = content
        found[told.get("content-id", "").strip("<>")] = content
    if root is None:
        raise Unreadable("it has no part")
    return root, found


__all__ = ["MOST_PARTS", "XopPart", "content_id", "read_parts", "write_parts"]
