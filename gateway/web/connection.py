"""One connection of the server that really runs (uvicorn on httptools), bounded before anybody has
proven who is calling: how many there are, how large a request's head is, how long it takes.

uvicorn bounds the head for h11 alone. httptools puts a header together from all its pieces anew
with each piece, so one of 150 MB held the event loop for over a minute.
"""

from __future__ import annotations

import asyncio

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger()

#: Request line and headers, in bytes. w.c.s. and GRUs send some hundred; proxies allow 8 to 32 KiB.
HEAD_BYTES = 64 * 1024
#: From the first byte of a head, or from the connection, to the head's end.
HEAD_SECONDS = 10.0
#: At once, in one process. Each takes a file descriptor, of which the calls out need some, too.
CONNECTIONS = 500


class BoundedConnection(HttpToolsProtocol):
    """Answers 431 to a head that is too large, 408 to one that takes too long, 503 to one
    connection too many; each time the connection is closed."""

    head_bytes = HEAD_BYTES
    head_seconds = HEAD_SECONDS
    most = CONNECTIONS

    _in_head = True
    _head = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(503, "Service Unavailable", "connections")
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        before = self._in_head
        super().data_received(data)
        if before and self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > self.head_bytes:
                self._refuse(431, "Request Header Fields Too Large", "head_bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head = True, 0
        if self._deadline is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.head_bytes:
            self._refuse(431, "Request Header Fields Too Large", "head_bytes")
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:  # None: its head was refused
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.cycle is not None:
            super().on_message_complete()

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(
            self.head_seconds, self._refuse, 408, "Request Timeout", "head_seconds"
        )

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, phrase: str, bound: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        log.warning("connection.refused", status=status, bound=bound)
        retry = "retry-after: 5\r\n" if status == 503 else ""
        self.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\ncontent-length: 0\r\n{retry}"
            "connection: close\r\n\r\n".encode()
        )
        self.transport.close()
