"""The one place that makes HTTP clients, and their transport.

httpx's stock transport is slow under concurrency, so the calls go through aiohttp's connector. The
published bridge between the two would break two promises of this project, hence a transport here:
it decodes and re-encodes the query, which spoils a signature over the raw text; and it reports a
connection lost after sending as one never made, which would turn a lost reply into a duplicate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import httpx
from yarl import URL

_PIECE = 64 * 1024


def open_client(
    *,
    timeout: float,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client bounded by its lane: `timeout` seconds per call, `connections` at once.

    Redirects are never followed: a far end that moves is a setting to mend, and a signed or
    personal body must not follow it elsewhere. Proxies of the environment are not used.
    """
    return httpx.AsyncClient(
        transport=transport or ConnectorTransport(connections),
        timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "toodego-gru-gateway"},
    )


class ConnectorTransport(httpx.AsyncBaseTransport):
    """httpx over aiohttp's connection pool. The URL travels exactly as httpx holds it."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
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
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=timeout.get("pool"),
                    sock_connect=timeout.get("connect"),
                    sock_read=timeout.get("read"),
                ),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx(error, request) from None
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Stream(response, request, sending),
            request=request,
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        # The session belongs to the running loop, so it is made at the first call.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=20),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
            # aiohttp would silently send a PUT or DELETE again when a kept connection breaks.
            # To a GRU that appends a note by PUT, that is the same note twice.
            self._session._retry_connection = False
        return self._session


@dataclass(slots=True)
class _Sending:
    """A body on its way. `data` is what aiohttp is given; `over`: nothing of it is still to go."""

    data: bytes | AsyncIterator[bytes] | None
    over: bool = True


async def _sending(stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> _Sending:
    """Whole where it lies in memory, else piece by piece.

    The first piece is taken here: what fails in making it fails as it is, with nothing sent.
    """
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
        self, response: aiohttp.ClientResponse, request: httpx.Request, sending: _Sending
    ) -> None:
        self._response = response
        self._request = request
        self._sending = sending

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
            # Answered before it had read everything: the rest is not sent for nothing.
            self._response.close()


def _as_httpx(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """aiohttp's error as httpx's. What may have left this machine is never called a connect error.

    The text of aiohttp's error names hosts and ports; it is left out.
    """
    name = type(error).__name__
    kind: type[httpx.TransportError]
    match error:
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
