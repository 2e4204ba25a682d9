"""Files that the GRU gives by address: as a whole, or in pieces after its connection broke."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from gateway.sdk import Answer, Outcome, TryLater, UnusableAnswer

#: Bytes of a piece: a line that is cut every few seconds still brings one.
PIECE = 1_000_000
#: One piece is asked for so often; between two, so many seconds pass.
TRIES, PAUSE = 4, 0.5
#: Failures of the line, after which a file is asked for in pieces.
_CUT = frozenset({"no_answer", "timeout"})
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")

#: Makes a GET with more headers, and an answer of so many bytes at most.
Get = Callable[[Mapping[str, str], int], Awaitable[Answer | Outcome]]


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a file: the range of its bytes. `mark` identifies the version of the file."""

    begin: int
    end: int
    total: int
    mark: str | None
    answer: Answer


async def download(get: Get, limit: int) -> Answer | Outcome:
    """Return a file of `limit` bytes at most.

    After a connection broke, the rest is asked for in pieces (RFC 9110, 14), and a piece that
    breaks is asked for again. A server without pieces, or with another version of the file
    meanwhile, gives the outcome of the first call.
    """
    answer = await get({}, limit)
    if not (isinstance(answer, TryLater) and answer.reason in _CUT):
        return answer
    pieced = await _in_pieces(get, limit)
    return answer if pieced is None else pieced


async def _in_pieces(get: Get, limit: int) -> Answer | Outcome | None:
    """Return the file, put together; None when the server gives no pieces."""
    first = await _part(get, 0, PIECE, None)
    if not isinstance(first, _Part) or first.begin != 0:
        # A server that takes no notice of Range gives the whole: a small one may have come by now.
        if isinstance(first, Answer) and first.status == 200 and first.problem is None:
            return first
        return None
    if first.total > limit:
        return replace(first.answer, problem=_too_large(limit), content=b"")
    held = bytearray(first.answer.content)
    while len(held) < first.total:
        part = await _part(get, len(held), PIECE, first.mark)
        if not isinstance(part, _Part):
            return None
        if (part.begin, part.total, part.mark) != (len(held), first.total, first.mark):
            return None  # it is another file by now
        held += part.answer.content
    return replace(first.answer, status=200, content=bytes(held), size=len(held))


async def _part(get: Get, begin: int, size: int, mark: str | None) -> _Part | Answer | Outcome:
    """Ask for one piece, and again when the connection breaks."""
    headers = {"Range": f"bytes={begin}-{begin + size - 1}"}
    if mark is not None:
        headers["If-Range"] = mark
    failure: Answer | Outcome = TryLater("no_answer")
    for turn in range(TRIES):
        if turn:
            await asyncio.sleep(PAUSE)
        failure = await get(headers, size)
        if isinstance(failure, Answer):
            return _read(failure) or failure
        if not (isinstance(failure, TryLater) and failure.reason in _CUT):
            return failure
    return failure


def _read(answer: Answer) -> _Part | None:
    """Return the piece in an answer; None when it is not the piece that was asked for."""
    told = _RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    if answer.status != 206 or told is None or answer.problem is not None:
        return None
    begin, last, total = (int(n) for n in told.groups())
    if not answer.content or last - begin + 1 != len(answer.content) or last >= total:
        return None
    tag = answer.headers.get("etag", "")
    mark = tag if tag.startswith('"') else answer.headers.get("last-modified")
    return _Part(begin, last + 1, total, mark, answer)


def _too_large(limit: int) -> UnusableAnswer:
    return UnusableAnswer("answer_too_large", f"more than {limit} bytes")
