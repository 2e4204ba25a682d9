"""Reading a body no further than it may go."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from gateway.core.errors import Rejected
from gateway.wire.spool import Body, Inflow, TooLarge

#: A body must be here within this many seconds; the portal itself gives up after 28.
READ_SECONDS = 60.0


async def read_body(request: Request, limit: int) -> bytes:
    """The body of at most `limit` bytes, in memory.

    Raises Rejected 413 as soon as the announced or the received size is over the limit, and 408
    for a sender that dawdles.
    """
    _announced(request, limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError:
        raise _slow() from None
    return b"".join(chunks)


async def take_body(request: Request, limit: int, inflow: Inflow) -> Body:
    """The same, where long file contents of a large JSON body go to disk while it comes.

    Raises Unavailable as well, when the disk has no room for them.
    """
    _announced(request, limit)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await inflow.take(request.stream(), limit)
    except TooLarge:
        raise _too_large() from None
    except TimeoutError:
        raise _slow() from None


def _announced(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large()


def _too_large() -> Rejected:
    return Rejected(413, "body_too_large", "La demande dépasse la taille permise.")


def _slow() -> Rejected:
    return Rejected(408, "slow_body", "L'envoi est trop lent.")
