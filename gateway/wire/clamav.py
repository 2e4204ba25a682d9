"""Asks a ClamAV daemon whether a file is infected: clamd's INSTREAM, over a UNIX socket or TCP.

Source: clamd(8), "COMMANDS". The file is sent in chunks, each behind its length, the last one
empty; the answer is one line. Whatever is no plain OK or FOUND is no answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.core.content import Content
from gateway.core.errors import Unavailable
from gateway.core.messages import Messages, Text

#: Bytes of a chunk, and of an answer that is read.
_CHUNK, _ANSWER = 256 * 1024, 4096
_FOUND: Final = re.compile(rb"stream: ([!-'*-~]{1,200})(?:\([^)]{0,100}\))? FOUND\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_PATH: Final = re.compile(r"/[!-~]{1,100}")


# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("clamd_away", "the virus scanner does not answer: no file is taken", "start clamd",
         "l'antivirus ne répond pas : aucun fichier n'est pris", "démarrer clamd"),
    Text("clamd_slow", "the virus scanner does not answer in time: no file is taken",
         "look at clamd's load, or raise `antivirus: {{timeout}}`",
         "l'antivirus ne répond pas à temps : aucun fichier n'est pris",
         "regarder la charge de clamd, ou augmenter `antivirus: {{timeout}}`"),
    Text("clamd_small", "the virus scanner takes no file of {size} MB",
         "raise StreamMaxLength in clamd.conf above `limits: {{file_mb}}`",
         "l'antivirus ne prend pas un fichier de {size} Mo",
         "augmenter StreamMaxLength dans clamd.conf, au-delà de `limits: {{file_mb}}`"),
    Text("clamd_strange", "the virus scanner gives no answer of clamd's: no file is taken",
         "look at its log, and at the address",
         "l'antivirus ne répond pas comme clamd : aucun fichier n'est pris",
         "lire son journal, et vérifier l'adresse"),
)
# fmt: on


class BadScannerAddress(ValueError):
    """The address names no socket of clamd."""


@dataclass(frozen=True, slots=True)
class Clamd:
    """A daemon at `address` (`unix:/run/clamav/clamd.ctl`, `tcp://127.0.0.1:3310`). What is asked
    of it at once has `timeout` seconds. Raises BadScannerAddress."""

    address: str
    timeout: float

    def __post_init__(self) -> None:
        self._place()

    def _place(self) -> tuple[str, int] | str:
        if self.address.startswith("unix:"):
            path = self.address.removeprefix("unix:")
            if _PATH.fullmatch(path):
                return path
        try:
            parts = urlsplit(self.address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise BadScannerAddress from None
        bare = not (parts.path or parts.query or parts.fragment or parts.username)
        if parts.scheme != "tcp" or not port or not bare or not _HOST.fullmatch(host):
            raise BadScannerAddress
        return host, port

    async def version(self) -> str:
        """Return what it says of itself and of its signatures. Raises Unavailable."""
        async with self._asked("VERSION") as (answers, _):
            said = (await _answer(answers)).decode("ascii", "replace")
        if not said.startswith("ClamAV"):
            raise Unavailable(say("clamd_strange"))
        return said[:200]

    async def scan(self, content: Content) -> str | None:
        """Return the name of what was found in a file, None where nothing was. Raises
        Unavailable."""
        async with self._asked("INSTREAM") as (answers, writer):
            # One that has enough before the end says so, and hangs up.
            answering = asyncio.ensure_future(_answer(answers))
            sent = _Sent()
            try:
                with suppress(ConnectionError):
                    await _send(content, writer, answering, sent)
                said = await answering
            finally:
                answering.cancel()
        if said == b"stream: OK" and sent.whole:
            return None
        found = _FOUND.fullmatch(said)
        if found is not None:
            return found[1].decode("ascii")
        if said.startswith(b"INSTREAM size limit exceeded"):
            raise Unavailable(say("clamd_small", size=f"{content.size / 1e6:.1f}"))
        raise Unavailable(say("clamd_strange"))

    @asynccontextmanager
    async def _asked(
        self, command: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        place, patience = self._place(), asyncio.timeout(self.timeout)
        try:
            async with patience:
                opened = (
                    asyncio.open_unix_connection(place, limit=_ANSWER)
                    if isinstance(place, str)
                    else asyncio.open_connection(*place, limit=_ANSWER)
                )
                answers, writer = await opened
                try:
                    writer.write(b"z" + command.encode("ascii") + b"\0")
                    yield answers, writer
                finally:
                    writer.transport.abort()
        except TimeoutError:
            if not patience.expired():
                raise
            raise Unavailable(say("clamd_slow")) from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Unavailable(say("clamd_away")) from None


@dataclass(slots=True)
class _Sent:
    """Was a file sent to its end before an answer came? What was not seen whole is not clean."""

    whole: bool = False


async def _send(
    content: Content,
    writer: asyncio.StreamWriter,
    answering: asyncio.Future[bytes],
    sent: _Sent,
) -> None:
    for at in range(0, content.size, _CHUNK):
        length = min(_CHUNK, content.size - at)
        piece = await asyncio.to_thread(content.read, at, length)
        if answering.done():
            return
        writer.write(len(piece).to_bytes(4) + piece)
        await writer.drain()
    sent.whole = not answering.done()
    writer.write(bytes(4))
    await writer.drain()


async def _answer(answers: asyncio.StreamReader) -> bytes:
    return (await answers.readuntil(b"\0"))[:-1].strip()


__all__ = ["BadScannerAddress", "Clamd"]
