"""Reads bodies within bounds."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from gateway.core.errors import Rejected
from gateway.sdk import beside
from gateway.web.room import Lease
from gateway.wire.spool import BodyReader, SpooledBody, TooLarge, TooManyBodyValues

#: Seconds for a whole body; the portal itself gives up after 28.
READ_SECONDS = 60.0
#: The least bytes a second of a sender that is not proven, after so many seconds.
PACE = 64 * 1024
GRACE = 10.0


async def read_body(request: Request, limit: int, lease: Lease) -> bytes:
    """Read a body of at most `limit` bytes into memory, with room from `lease`.

    Raises Rejected 413 once the announced or received size exceeds the limit, 408 for a slow
    sender, and Unavailable when there is no room.
    """
    _announced(request, limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(min(GRACE, READ_SECONDS)) as patience:
            begun = asyncio.get_running_loop().time()
            async for chunk in request.stream():
                size += len(chunk)
                patience.reschedule(begun + min(GRACE + size / PACE, READ_SECONDS))
                if size > limit:
                    raise _too_large()
                lease.grow(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise _slow() from None
    return await beside(size, lambda: b"".join(chunks))


async def take_body(request: Request, limit: int, body_reader: BodyReader) -> SpooledBody:
    """Take the body as `read_body` does; long texts of a large JSON body go to disk.

    Raises Rejected 400 once it has more values than a formdata can, and Unavailable when the disk
    is full.
    """
    _announced(request, limit)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await body_reader.read(request.stream(), limit)
    except TooManyBodyValues:
        raise Rejected(400, "too_many_values", "Le corps JSON contient trop de valeurs.") from None
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
