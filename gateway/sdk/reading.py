"""Reading a far end's answer without letting it fill the memory."""

from __future__ import annotations

import httpx


async def read_bounded(response: httpx.Response, limit: int) -> bytes | None:
    """The body of a streamed answer as it stands once decompressed; None when it is larger than
    `limit` bytes, which are then all that was read. Raises httpx.HTTPError when the line breaks."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > limit:
            return None
    return bytes(content)
