"""A citizen's file as an answer: whole, or the part of it that is asked for (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.flow.pivot import PivotRefusal
from gateway.sdk import File

_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))\s*\Z", re.IGNORECASE)


def file_answer(file: File, request: Request) -> Response:
    """Return a file, or one part of it. A `Range` that is not one range of bytes is passed over, as
    is one that `If-Range` makes depend on another file. HEAD: the headers alone.

    Raises PivotRefusal 416 for a range that lies outside of the file.
    """
    name = quote(file.filename, safe="", errors="replace")
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.sha256}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        # A page that a citizen sent runs nothing under our name, however it is opened.
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    if request.method == "HEAD":
        headers |= {"Content-Length": str(file.size), "Content-Type": file.content_type}
        return Response(None, 200, headers)
    part = None
    if request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        part = _part_wanted(request.headers.get("range", ""), file.size)
    begin, end = part or (0, file.size)
    headers["Content-Length"] = str(end - begin)
    if part is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    status = 200 if part is None else 206
    return StreamingResponse(_pieces(file, begin, end), status, headers, file.content_type)


def _part_wanted(wanted: str, size: int) -> tuple[int, int] | None:
    """Return where the part begins and ends; None where the whole is to be sent."""
    found = _RANGE.match(wanted.strip())
    if found is None:
        return None
    first, last, count = (None if n is None else int(n) for n in found.groups())
    if first is None:
        begin, end = size - min(size, count or 0), size
    else:
        if last is not None and last < first:
            return None  # It says nothing that can be meant: RFC 9110, 14.1.1.
        begin, end = first, size if last is None else min(size, last + 1)
    if begin >= size:
        text, there = f"Le fichier a {size} octets.", {"Content-Range": f"bytes */{size}"}
        raise PivotRefusal(416, "bad_range", text, headers=there)
    return begin, end


async def _pieces(file: File, begin: int, end: int) -> AsyncIterator[bytes]:
    at = 0
    async for piece in file.pieces():
        wanted = piece[max(0, begin - at) : max(0, end - at)]
        at += len(piece)
        if wanted:
            yield wanted
        if at >= end:
            return
