"""One call to a far end, bounded in bytes, in values and in total time.

Every call is made by `send`, so that a harmful far end harms its own call only. `send` returns an
`Answer`, whatever its status, or the outcome of a call without an answer. `failure_of` says what an
answer means by default; an adapter that knows its far end looks at the answer first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gateway.core.outcome import Outcome, TryLater, Unsure
from gateway.sdk.http import NotConnected, PrivateAddress, classify_error, classify_status
from gateway.sdk.inflate import ACCEPTED, inflater
from gateway.sdk.reading import TooManyValues, Unreadable, read_json
from gateway.sdk.work import TookTooLong, beside

#: Bytes of an answer, as they stand on the wire and once they are decoded, where nobody says.
MOST_BYTES: Final = 5_000_000
#: Of an answer that is too large, or that was read, so much is kept to tell what it says.
BEGINNING: Final = 16_000
#: A call has its timeout, and one second more for each so many bytes that come or go.
PACE: Final = 50_000
#: The clock of a call, where a transport that makes it wait for its turn finds it.
CLOCK: Final = "gateway.clock"

#: Makes a value of a body and its charset; raises Unreadable.
Read = Callable[[bytes, str | None], Any]
#: Takes the body of a success in, no further than a limit.
Take = Callable[[AsyncIterator[bytes], int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class UnusableAnswer:
    """The reason why an answer cannot be used: a word of the table of reasons, and a detail."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever its status.

    `content`: its bytes, or only their beginning if the body was read as a value or is too large.
    `size`: the number of bytes. `value`: the result of `read`; None for an empty body. `taken`: the
    result of `take`. `problem`: the body is too large, or cannot be read.
    """

    status: int
    headers: httpx.Headers = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    value: Any = field(default=None, repr=False)
    taken: Any = field(default=None, repr=False)
    size: int = 0
    empty: bool = False
    problem: UnusableAnswer | None = None

    @property
    def response(self) -> httpx.Response:
        """The status and headers, in the form that the table of `gateway.sdk.http` reads."""
        return httpx.Response(self.status, headers=self.headers)

    @property
    def readable(self) -> bool:
        """Was the body read as a value, or is it empty?"""
        return self.problem is None

    @property
    def too_large(self) -> bool:
        return self.problem is not None and self.problem.reason == "answer_too_large"

    @property
    def content_type(self) -> str:
        """The media type of the header, in lower case and without parameters; it may be empty."""
        declared: str = self.headers.get("content-type", "")
        return declared.partition(";")[0].strip().lower()


class Clock:
    """The time of one call, in seconds. It stops while the call waits for its turn."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(seconds)
        self._moved = 0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the clock within the block: the waiting there is not a part of the call."""
        begun, when = self._loop.time(), self._timeout.when()
        self._set(None)
        try:
            yield
        finally:
            self._set(None if when is None else when + self._loop.time() - begun)

    def moved(self, size: int) -> None:
        """Count bytes that came or are about to be sent."""
        self._moved += size
        when = self._timeout.when()
        if when is not None and self._moved >= BEGINNING:
            self._set(when + self._moved / PACE)
            self._moved = 0

    def _set(self, when: float | None) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(when)

    @property
    def over(self) -> bool:
        return self._timeout.expired()

    async def __aenter__(self) -> Clock:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._timeout.__aexit__(*raised)  # raises TimeoutError when it is over


class _Longer(Exception):
    """The answer is larger than `limit`."""


async def send(
    client: httpx.AsyncClient,
    request: httpx.Request | Callable[[], httpx.Request],
    *,
    safe: bool,
    limit: int = MOST_BYTES,
    read: Read | None = read_json,
    take: Take | None = None,
) -> Answer | Outcome:
    """Make one call, and read its answer of `limit` bytes at most, both as received and as decoded.

    `safe`: the call may be made twice. It is then tried up to three times within about two seconds
    when the connection breaks, and is never unsure; if `request` is a function, it builds a new
    request for each try. Redirects are not followed. `read` parses the body (None: it is not
    parsed), in a thread if the body is not small. `take` gets the pieces of a successful answer
    instead; its exceptions are raised here.

    All tries together have the client's timeout, and one more second for each 50 kB that move.
    After that the outcome has the reason `timeout`.
    """
    made: list[httpx.Request] = []

    def build() -> httpx.Request:
        return request() if callable(request) else request

    async def once() -> Answer:
        return await _once(client, made.pop() if made else build(), limit, take, clock)

    try:
        made.append(build())
    except httpx.InvalidURL as error:
        return _outcome(error, safe=safe)
    clock = Clock(_seconds(made[0]))
    try:
        async with clock:
            answer = await _tried(once, safe=safe)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _outcome(error, safe=safe)
    except TimeoutError:
        if not clock.over:
            raise
        late = UnusableAnswer("timeout", "no whole answer in the time that a call has")
        return unusable(late, safe=safe)
    return answer if read is None else await _read(answer, read)


async def _tried(once: Callable[[], Awaitable[Answer]], *, safe: bool) -> Answer:
    try:
        return await once()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if not (safe and _passing(error)):
            raise
    retrying = AsyncRetrying(
        stop=stop_after_attempt(2),
        wait=wait_random_exponential(multiplier=0.1, max=1),
        retry=retry_if_exception(_passing),
        reraise=True,
    )
    return await retrying(once)


def failure_of(answer: Answer, *, safe: bool) -> Outcome | None:
    """Return what the answer means by its status and its readability. None: a success that the
    caller must read."""
    told = classify_status(answer.response, safe=safe)
    return (
        told if told is not None or answer.problem is None else unusable(answer.problem, safe=safe)
    )


def unusable(problem: UnusableAnswer, *, safe: bool) -> Outcome:
    """Return the outcome of a success that cannot be used: unsure, or try later if the call is
    `safe`."""
    return (TryLater if safe else Unsure)(problem.reason, problem.detail)


def _passing(error: BaseException) -> bool:
    """Is a second try worth making at once? Not for a slow far end: it would be slow again."""
    if isinstance(error, NotConnected) and error.reason != "connection_refused":
        return False  # it would be the same
    return isinstance(error, httpx.TransportError) and not isinstance(
        error,
        httpx.TimeoutException | httpx.UnsupportedProtocol | httpx.ProxyError | PrivateAddress,
    )


def _outcome(error: httpx.HTTPError | httpx.InvalidURL, *, safe: bool) -> Outcome:
    if isinstance(error, httpx.DecodingError):
        return unusable(
            UnusableAnswer("unreadable_answer", "its compression cannot be undone"), safe=safe
        )
    return classify_error(error, safe=safe)


async def _once(
    client: httpx.AsyncClient,
    request: httpx.Request,
    limit: int,
    take: Take | None,
    clock: Clock,
) -> Answer:
    (accepted,) = _values(request.headers, (b"accept-encoding",))
    if accepted != ACCEPTED:
        request.headers["Accept-Encoding"] = ACCEPTED
    request.extensions = {**request.extensions, CLOCK: clock}
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        return await _received(response, limit, take, clock)
    finally:
        await response.aclose()


def _values(headers: httpx.Headers, names: tuple[bytes, ...]) -> list[str]:
    """Return the values of each header, by its name in lower case. httpx takes some microseconds
    for each."""
    found = [""] * len(names)
    for name, value in headers.raw:
        lowered = name.lower()
        if lowered in names:
            at = names.index(lowered)
            told = value.decode("latin-1").strip()
            found[at] = f"{found[at]}, {told}" if found[at] else told
    return found


def _seconds(request: httpx.Request) -> float:
    """Return the seconds that a call may take. Connecting is a part of it, with its own shorter
    limit (`open_client`)."""
    allowed: float = request.extensions.get("timeout", {}).get("read") or 20.0
    (length,) = _values(request.headers, (b"content-length",))
    with suppress(ValueError):
        allowed += int(length or 0) / PACE
    return allowed


async def _received(
    response: httpx.Response, limit: int, take: Take | None, clock: Clock
) -> Answer:
    status, headers = response.status_code, _bare(response.headers)
    announced, coding = _values(response.headers, (b"content-length", b"content-encoding"))
    allowed = limit
    taking = take if response.is_success else None
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > limit:
        # It will not be read to its end: its beginning is enough to see what it says.
        limit, taking = min(limit, BEGINNING), None
    content = bytearray()
    pieces = _pieces(response, coding, limit, clock)
    try:
        if taking is not None:
            return Answer(status, headers, taken=await taking(pieces, limit))
        async for piece in pieces:
            content += piece
    except _Longer:
        problem = UnusableAnswer("answer_too_large", f"more than {allowed} bytes")
        return Answer(status, headers, bytes(content[:BEGINNING]), problem=problem)
    empty = not content or content.isspace()
    return Answer(status, headers, bytes(content), size=len(content), empty=empty)


async def _pieces(
    response: httpx.Response, coding: str, limit: int, clock: Clock
) -> AsyncIterator[bytes]:
    """Yield the decoded body. Raises _Longer after more than `limit` bytes, received or decoded."""
    if response.is_stream_consumed:  # made in memory, by a stand-in for a far end
        yield response.content[:limit]
        if len(response.content) > limit:
            raise _Longer
        return
    stream = inflater(coding)
    came = length = 0
    async for data in response.aiter_raw():
        came += len(data)
        clock.moved(len(data))
        if came > limit:
            if stream is None:
                yield data[: max(0, limit - length)]
            raise _Longer
        if stream is None:
            length += len(data)
            yield data
            continue
        for n, piece in enumerate(stream.pieces(data)):
            length += len(piece)
            if length > limit:
                raise _Longer
            yield piece
            if n % 8 == 7:
                await asyncio.sleep(0)  # a little may hide much
    if stream is not None:
        stream.end()


async def _read(answer: Answer, read: Read) -> Answer:
    content = answer.content
    if answer.problem is not None or answer.empty or answer.taken is not None:
        return answer
    (kind,) = _values(answer.headers, (b"content-type",))
    charset = answer.response.charset_encoding if "charset" in kind.lower() else None
    value, problem = None, None
    try:
        value = await beside(len(content), lambda: read(content, charset))
    except TooManyValues as error:
        problem = UnusableAnswer("answer_too_large", str(error))
    except Unreadable as error:
        problem = UnusableAnswer("unreadable_answer", str(error))
    except TookTooLong as error:
        problem = UnusableAnswer("took_too_long", str(error))
    return replace(answer, content=content[:BEGINNING], value=value, problem=problem)


def _bare(headers: httpx.Headers) -> httpx.Headers:
    # The body was decoded, and is not kept whole: these would no longer be true. As bytes: a header
    # may hold what is not ASCII.
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return httpx.Headers([(k, v) for k, v in headers.raw if k.lower() not in dropped])


__all__ = [
    "BEGINNING",
    "CLOCK",
    "MOST_BYTES",
    "Answer",
    "Clock",
    "UnusableAnswer",
    "failure_of",
    "send",
    "unusable",
]
