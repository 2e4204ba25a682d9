"""Checks that what a citizen writes and attaches arrives whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import httpx

from gateway.core.outcome import Accepted, Misconfigured, Refused, TryLater, Unsure
from gateway.core.request import EventKind
from gateway.sdk.adapter import Adapter, File, Files
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import PlayedFarEnd, playing, says
from gateway.sdk.under_test import AdapterUnderTest, NotShown, file

#: Bytes of a large photograph, and the bytes of it that may be in memory.
LARGE_FILE: Final = 20_000_000
HELD: Final = 8_000_000
_PIECE: Final = b"\xff" * 62_500


@proves(
    "text.travels",
    Tier.GOLD,
    "emoji and writing from right to left arrive whole",
    "les émojis et l'écriture de droite à gauche arrivent entiers",
    "http",
)
async def travels(suite: AdapterUnderTest) -> None:
    words = ("👩‍👩‍👧", "שלום", "œuvre")
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        saying = suite.payload_saying(" ".join(words))
        must(await adapter.submit(replace(suite.submission(), payload=saying)), Accepted)
        for word in words:
            holds(any(says(call, word) for call in far_end.creating), f"{word!r} does not arrive")


@proves(
    "text.hostile",
    Tier.SILVER,
    "a NUL, a lone surrogate or a text turned round is answered with a value",
    "un NUL, un caractère coupé ou un texte retourné reçoit une valeur, pas une exception",
    "http",
)
async def hostile(suite: AdapterUnderTest) -> None:
    for text in ("a\0b", "‮éxe.gpj", "]]> -- ' \" & <b>", "a\r\nX-Evil: 1"):
        async with playing(suite) as (adapter, far_end):
            suite.far_end_accepts(far_end.router)
            saying = suite.payload_saying(text)
            outcome = await adapter.submit(replace(suite.submission(), payload=saying))
            must(outcome, Accepted, Refused, TryLater, Unsure, Misconfigured)
            for call in far_end.calls:
                holds("x-evil" not in call.headers, "a citizen's text becomes a header")


@proves(
    "file.large",
    Tier.GOLD,
    "a file of 20 MB leaves in a stream: it is not held",
    "un fichier de 20 Mo part en flux : il n'est pas gardé en mémoire",
    "files",
    "http",
)
async def large(suite: AdapterUnderTest) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LARGE_FILE // len(_PIECE)):
            yield _PIECE

    photo = replace(file(), size=LARGE_FILE, pieces=pieces, filename="grande.png")
    arrived: list[int] = []
    async with playing(suite, lambda far_end: _CountingTransport(far_end, arrived)) as (
        adapter,
        far_end,
    ):
        suite.far_end_accepts(far_end.router)
        tracemalloc.start()
        try:
            outcome = await _send_file(suite, adapter, photo)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        must(outcome, Accepted)
        whole = suite.files_by_link or max(arrived) >= LARGE_FILE
        holds(whole, f"{max(arrived)} bytes of {LARGE_FILE} arrive")
        holds(peak < HELD, f"{peak} bytes are held")


@proves(
    "file.name",
    Tier.SILVER,
    "a file name with quotes, line ends, slashes and emoji breaks no body",
    "un nom de fichier avec guillemets, retours, barres et émojis ne casse aucun corps",
    "files",
    "http",
)
async def hostile_file_name(suite: AdapterUnderTest) -> None:
    photo = file(filename='../é"😀\r\nX-Evil: 1\r\n\r\n.png')
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        outcome = await _send_file(suite, adapter, photo)
        must(outcome, Accepted, Refused)
        for call in far_end.calls:
            holds(b"\r\nX-Evil" not in call.content, "a file name becomes a header")


async def _send_file(suite: AdapterUnderTest, adapter: Adapter, photo: File) -> object:
    if adapter.capabilities.files is Files.WITHIN:
        return await adapter.submit(replace(suite.submission(), files=(photo,)))
    if EventKind.DOCUMENT not in adapter.capabilities.amends:
        raise NotShown("capabilities.files is `after`, and no DOCUMENT is among its amends")
    amendment = replace(suite.amendment(EventKind.DOCUMENT), files=(photo,))
    return await adapter.amend(amendment)


class _CountingTransport(httpx.AsyncBaseTransport):
    """Reads each body piece by piece, and counts its bytes."""

    def __init__(self, far_end: PlayedFarEnd, arrived: list[int]) -> None:
        self._far_end = far_end
        self._arrived = arrived

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        size = 0
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - for mypy
        async for piece in request.stream:
            size += len(piece)
        self._arrived.append(size)
        bare = httpx.Request(request.method, request.url, headers={"x-drained": str(size)})
        return await self._far_end.handle(bare)
