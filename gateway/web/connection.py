"""One server connection (uvicorn on httptools), bounded before its caller is proven: number of
connections, size of a request's head, time of a head.

uvicorn bounds the head for h11 only. httptools joins all pieces of a header anew for each piece:
one of 150 MB blocked the event loop for over a minute.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.telemetry import sparingly

log = structlog.get_logger()

#: Bytes of request line and headers. w.c.s. and GRUs send some hundred; proxies allow 8 to 32 KiB.
HEAD_BYTES = 64 * 1024
#: Seconds from the connection, or a head's first byte, to the head's end.
HEAD_SECONDS = 10.0
#: Requests that wait on one connection for an earlier answer. Hardly any client sends some.
PIPELINED = 10
#: Connections at once, in one process. Each takes a file descriptor; calls out need some too.
CONNECTIONS = 500


#: Connections refused since the start, by the bound.
refused: Counter[str] = Counter()


class TooManyRequests(Exception):
    """Too many requests wait on one connection; nothing more of it is read."""


def _count_refusal(*, status: int | None, bound: str) -> None:
    refused[bound] += 1
    sparingly(log.warning, "connection.refused", status=status, bound=bound)


def most_crowded(waiting: Iterable[BoundedConnection]) -> BoundedConnection | None:
    """Return the oldest waiting connection of the address that has most of them."""
    many = list(waiting)
    hosts = Counter(one.host for one in many)
    return max(many, key=lambda one: (hosts[one.host], -one.since), default=None)


class BoundedConnection(HttpToolsProtocol):
    """Answers 431 to a head that is too large, 408 to one that takes too long, and closes.

    Of one connection too many, an idle one is closed, which waits for its first head or its next.
    So holding connections keeps nobody out, and a caller that sends at once gets in. When all are
    at work, the new one gets 503.
    """

    head_bytes = HEAD_BYTES
    head_seconds = HEAD_SECONDS
    pipelined = PIPELINED
    most = CONNECTIONS

    _in_head = True
    _in_body = False
    _head = 0
    #: The last data ended a head, a piece of a body, or a message.
    _went_on = False
    _deadline: asyncio.TimerHandle | None = None
    since = 0.0

    @property
    def host(self) -> str:
        """The connected address; behind a proxy, the proxy's."""
        return self.client[0] if self.client else ""

    @property
    def waits(self) -> bool:
        """Is no request of it being answered?"""
        cycle: Any = self.cycle  # None before the first
        return cycle is None or bool(cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        if len(self.connections) > self.most:
            victim = most_crowded(
                one
                for one in self.connections
                if isinstance(one, BoundedConnection) and one is not self
                if one.waits and not one.transport.is_closing()
            )
            if victim is None:
                self._refuse(503, "Service Unavailable", "connections")
                return
            victim.make_room()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._went_on = False
        super().data_received(data)
        # Trailers and chunk extensions are joined as headers are: all counts that is neither body
        # nor the end of something.
        self._head = 0 if self._went_on else self._head + len(data)
        if self._head > self.head_bytes:
            self._refuse(431, "Request Header Fields Too Large", "head_bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._deadline is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body, self._went_on = False, True, True
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.head_bytes:
            self._refuse(431, "Request Header Fields Too Large", "head_bytes")
            return
        if len(self.pipeline) >= self.pipelined:
            # Each takes some kilobytes, and a quarter of a million bytes is read at a time. Without
            # an answer, which would be taken for the previous request's.
            _count_refusal(status=None, bound="pipelined")
            self.transport.close()
            raise TooManyRequests
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        if self.cycle is not None:  # None: its head was refused
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._went_on = False, True
        self._stop_waiting()
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.waits and not self.transport.is_closing():
            # Nobody reads the rest of a body after the answer.
            self._deadline = self.loop.call_later(
                self.head_seconds, self._refuse, 408, "Request Timeout", "body_left"
            )

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(
            self.head_seconds, self._refuse, 408, "Request Timeout", "head_seconds"
        )

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def make_room(self) -> None:
        if self._in_head:
            self._refuse(408, "Request Timeout", "connections")
        else:  # kept alive: an answer would be taken for the next request's
            _count_refusal(status=None, bound="connections")
            self.transport.close()

    def _refuse(self, status: int, phrase: str, bound: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        _count_refusal(status=status, bound=bound)
        cycle: Any = self.cycle
        if not self._in_head and cycle is not None and cycle.response_started:
            self.transport.close()  # it has its answer, or a part of it
            return
        retry = "retry-after: 5\r\n" if status == 503 else ""
        self.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\ncontent-length: 0\r\n{retry}"
            "connection: close\r\n\r\n".encode()
        )
        self.transport.close()
