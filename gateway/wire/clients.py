"""Makes all HTTP clients, and their transport.

httpx's stock transport is slow under concurrency, so calls go through aiohttp's connector. The
published bridge between the two would break two promises: it decodes and re-encodes the query,
which spoils a signature over the raw text; and it reports a connection lost after sending as one
never made, which turns a lost reply into a duplicate. Hence a transport here.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from gateway.sdk.exchange import CLOCK, Clock
from gateway.sdk.http import NotConnected, PrivateAddress
from gateway.sdk.inflate import ACCEPTED
from gateway.wire.budget import CallBudget, CallSource, has_turn
from gateway.wire.connecting import unconnected
from gateway.wire.departures import RecordingTransport
from gateway.wire.network import GuardedResolver, Network, PrivateAddressError, is_private

_PIECE = 64 * 1024
#: Bytes looked at at once until an answer begins, and bytes taken before it.
_HEAD = 8192
_INTERIM = 8


#: The header by which calls of the attempt under way tell its trace.
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


@contextmanager
def telling_trace(traceparent: str | None) -> Iterator[None]:
    """Within the block, calls say which trace they belong to; None: they say nothing."""
    token = _traceparent.set(traceparent)
    try:
        yield
    finally:
        _traceparent.reset(token)


async def _tell_trace(request: httpx.Request) -> None:
    traceparent = _traceparent.get()
    if traceparent is not None:
        request.headers["traceparent"] = traceparent


def open_client(
    *,
    timeout: float,
    connections: int | None,
    transport: httpx.AsyncBaseTransport | None = None,
    shared: CallBudget | None = None,
    commune: str = "",
    far_end: str = "",
    network: Network | None = None,
    served: Callable[[datetime], None] | None = None,
) -> httpx.AsyncClient:
    """Open a client of one far end: `timeout` seconds per call, `connections` at once (None: no
    bound).

    `shared` is the process's budget, in which `commune` and `far_end` name the calls. Waiting for a
    connection or a turn does not count as a call's time. Redirects are never followed: a far end
    that moves is a setting to mend, and a signed or personal body must not follow it. Proxies of
    the environment are not used. `network` says which addresses may be called, and how; None: any,
    directly. `served` is called at each TLS connection with the end of the far end's certificate.
    Raises OSError and ssl.SSLError when a file that `network` names cannot be used.
    """
    if transport is None:
        transport = ConnectorTransport(connections, shared, commune, far_end, network, served)
    return httpx.AsyncClient(
        transport=RecordingTransport(transport),
        # Connecting has half of it: a far end that was not reached has nothing of the call.
        timeout=httpx.Timeout(timeout, connect=min(timeout / 2, 10.0)),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "toodego-gru-gateway", "Accept-Encoding": ACCEPTED},
        event_hooks={"request": [_tell_trace]},
    )


class ConnectorTransport(httpx.AsyncBaseTransport):
    """httpx over aiohttp's connection pool. The URL is sent exactly as httpx holds it."""

    def __init__(
        self,
        connections: int | None,
        shared: CallBudget | None = None,
        commune: str = "",
        far_end: str = "",
        network: Network | None = None,
        served: Callable[[datetime], None] | None = None,
    ) -> None:
        self._room = None if connections is None else asyncio.Semaphore(connections)
        self._shared = shared
        self._commune = commune
        self._far_end = far_end
        self._network = network
        self._served = served
        self._tls = None if network is None else network.tls()
        self._calls = 0
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        clock: Clock | None = request.extensions.get(CLOCK)
        with nullcontext() if clock is None else clock.stopped():
            call = await self._begin()
        try:
            response, sending = await self._send(request)
        except BaseException:
            call.end()
            raise
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Stream(response, request, sending, call),
            request=request,
        )

    async def _begin(self) -> _Call:
        """Wait until a call may begin."""
        call = _Call()
        try:
            if self._room is not None:
                await self._room.acquire()
                call.then(self._room.release)
            shared = self._shared
            if shared is None:
                return call
            if not has_turn():
                caller = CallSource(self._commune, self._far_end, id(call))
                await shared.turns.wait(caller)
                call.then(lambda: shared.turns.give_back(caller))
            self._calls += 1
            call.then(self._end)
            await shared.sockets.using(id(self), self._calls, self._hang_up)
        except BaseException:
            call.end()
            raise
        return call

    def _end(self) -> None:
        self._calls -= 1
        if self._shared is not None:
            self._shared.sockets.used(id(self), self._calls)

    async def _send(self, request: httpx.Request) -> tuple[aiohttp.ClientResponse, _Sending]:
        network, host = self._network, request.url.host
        if network is not None and is_private(host) and not network.allows(host):
            raise PrivateAddress("a private address", request=request)
        session = self._open()
        timeout = request.extensions.get("timeout", {})
        sending = await _sending(request.stream)
        try:
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=sending.data,
                allow_redirects=False,
                **self._proxied,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=timeout.get("connect"),
                    sock_connect=timeout.get("connect"),
                    sock_read=timeout.get("read"),
                ),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx(error, request) from None
        return response, sending

    @property
    def _proxied(self) -> dict[str, Any]:
        if self._network is None or self._network.proxy is None:
            return {}
        proxied: dict[str, Any] = {"proxy": self._network.proxy}
        if self._network.proxy_auth is not None:
            pair = base64.b64encode(":".join(self._network.proxy_auth).encode()).decode("ascii")
            proxied["proxy_headers"] = {"Authorization": f"Basic {pair}"}  # for the proxy alone
        return proxied

    async def aclose(self) -> None:
        if self._shared is not None:
            await self._shared.sockets.close(id(self))
        await self._hang_up()

    async def _hang_up(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Made at the first call, since the session belongs to the running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_connector(self._network, self._tls, self._served),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
            # aiohttp would silently repeat a PUT or DELETE when a kept connection breaks. A GRU
            # that appends a note by PUT would have it twice.
            self._session._retry_connection = False  # noqa: SLF001 - there is no public way
        return self._session


class _Handler(ResponseHandler):
    """aiohttp's handler, with a turn for others between interim answers (100 to 199): it would
    read any number of them at a stretch. `served` is called with the end of the far end's
    certificate."""

    served: Callable[[datetime], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        shown = transport.get_extra_info("peercert") if self.served is not None else None
        if shown and self.served is not None:
            # An unreadable certificate is not reported, and the call goes on.
            with suppress(LookupError, ValueError, OverflowError, OSError):
                ends = ssl.cert_time_to_seconds(shown["notAfter"])
                self.served(datetime.fromtimestamp(ends, UTC))

    def data_received(self, data: bytes) -> None:
        while data:
            body = self._payload is not None and not self._payload.is_eof()
            piece, data = (data, b"") if body else (data[:_HEAD], data[_HEAD:])
            super().data_received(piece)
            if len(self._buffer) > _INTERIM:
                self._buffer.clear()
                self.close()
                self.set_exception(aiohttp.ServerDisconnectedError())
                return


def _connector(
    network: Network | None,
    tls: ssl.SSLContext | None,
    served: Callable[[datetime], None] | None,
) -> aiohttp.TCPConnector:
    secured: ssl.SSLContext | bool = True if tls is None else tls
    resolver = None
    if network is not None:
        proxy = None if network.proxy is None else URL(network.proxy).host
        resolver = GuardedResolver(network, proxy)
    connector = aiohttp.TCPConnector(
        # The number of calls is bounded before they come here.
        limit=0,
        keepalive_timeout=20,
        ssl=secured,
        resolver=resolver,
    )
    loop = asyncio.get_running_loop()

    def handler() -> ResponseHandler:
        made = _Handler(loop)
        made.served = served
        return made

    connector._factory = handler  # type: ignore[assignment]  # noqa: SLF001 - nor here
    return connector


class _Call:
    """A call under way, until its answer is read. It gives its place back once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends: list[Callable[[], None]] = []

    def then(self, end: Callable[[], None]) -> None:
        self._ends.append(end)

    def end(self) -> None:
        while self._ends:
            self._ends.pop()()

    def __del__(self) -> None:
        # An unclosed answer must not keep its place for ever.
        if self._ends and not self._loop.is_closed():
            for end in self._ends:
                self._loop.call_soon_threadsafe(end)


@dataclass(slots=True)
class _Sending:
    """A body being sent. `data` is given to aiohttp; `over`: all of it has left."""

    data: bytes | AsyncIterator[bytes] | None
    over: bool = True


async def _sending(stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> _Sending:
    """Send it whole if it is in memory, else piece by piece. The first piece is made here: a fault
    in it comes before anything is sent."""
    if isinstance(stream, httpx.SyncByteStream):
        return _Sending(b"".join(stream) or None)
    pieces = aiter(stream)
    first = await anext(pieces, None)
    if first is None:
        return _Sending(None)
    sending = _Sending(None, over=False)

    async def all_of_it(piece: bytes) -> AsyncIterator[bytes]:
        yield piece
        async for piece in pieces:
            yield piece
        sending.over = True

    sending.data = all_of_it(first)
    return sending


class _Stream(httpx.AsyncByteStream):
    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: httpx.Request,
        sending: _Sending,
        call: _Call,
    ) -> None:
        self._response = response
        self._request = request
        self._sending = sending
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_chunked(_PIECE):
                yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx(error, self._request) from None

    async def aclose(self) -> None:
        if self._sending.over:
            self._response.release()
        else:
            # Answered before it had read everything: the rest is not sent.
            self._response.close()
        self._call.end()


def _as_httpx(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Turn aiohttp's error into httpx's. A call that may have left is never a connect error. The
    text of aiohttp's error names hosts and ports, so it is dropped."""
    name = type(error).__name__
    reason = unconnected(error)
    if reason is not None:
        return NotConnected(name, request=request, reason=reason)
    kind: type[httpx.TransportError]
    match error:
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, PrivateAddressError):
            kind = PrivateAddress
        case OSError(errno=errno.EMFILE | errno.ENFILE | errno.EADDRNOTAVAIL):
            kind = httpx.PoolTimeout  # this machine has no connection to give
        case aiohttp.ConnectionTimeoutError():
            kind = httpx.ConnectTimeout
        case aiohttp.ClientConnectorError():
            kind = httpx.ConnectError
        case aiohttp.InvalidURL():
            kind = httpx.UnsupportedProtocol
        case aiohttp.SocketTimeoutError() | TimeoutError():
            kind = httpx.ReadTimeout
        case aiohttp.ServerDisconnectedError():
            kind = httpx.RemoteProtocolError
        case aiohttp.ClientOSError() | aiohttp.ClientPayloadError():
            kind = httpx.ReadError
        case _:
            kind = httpx.RemoteProtocolError
    return kind(name, request=request)
