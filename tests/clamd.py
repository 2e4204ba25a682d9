"""A small clamd that answers as Debian's ClamAV 1.4.6 was seen to, with a signature of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

#: What it finds: the harmless test file of scanners (EICAR), which is whole nowhere here.
EICAR = "".join(
    (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
).encode()


@dataclass
class SimulatedClamd:
    """`largest`: its StreamMaxLength; `instead`: its answer to each, if any. `blind`: without
    signatures."""

    largest: int = 25_000_000
    instead: bytes | None = None
    blind: bool = False
    seen: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = await reader.readuntil(b"\0")
        if command == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.6\0")
        elif command == b"zINSTREAM\0":
            writer.write(await self._scanned(reader))
        else:
            writer.write(b"UNKNOWN COMMAND\0")
        await writer.drain()
        writer.close()

    async def _scanned(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while size := int.from_bytes(await reader.readexactly(4)):
            if len(content) + size > self.largest:
                return b"INSTREAM size limit exceeded. ERROR\0"
            content += await reader.readexactly(size)
        self.seen.append(content)
        if self.instead is not None:
            if not self.instead:
                await asyncio.Event().wait()
            return self.instead
        if EICAR in content and not self.blind:
            return b"stream: Eicar-Ndb.UNOFFICIAL FOUND\0"
        return b"stream: OK\0"
