"""A client of IMAP (IMAP4rev1, RFC 3501) with the ten commands that the adapter needs.

It bounds the time, the lines and the bytes of each answer, and reads it piece by piece.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from adapters.email.options import Imap, server_of
from gateway.sdk import (
    PACE,
    Clock,
    Connector,
    Misconfigured,
    Outcome,
    TryLater,
    Unreached,
    unreached,
)

#: Bytes of one line; lines that answer one command.
_LINE, _LINES = 64 * 1024, 5000
#: Bytes of the answer to a command that asks for no message.
_ANSWER: Final = 1_000_000
_LITERAL: Final = re.compile(rb"\{(\d{1,12})\}\Z")
_UID: Final = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b")
_DATE: Final = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"')
_QUOTED: Final = re.compile(rb'BODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')
_VALIDITY: Final = re.compile(rb"\[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)
_NEXT: Final = re.compile(rb"\[UIDNEXT (\d{1,10})\]", re.IGNORECASE)
_EXISTS: Final = re.compile(rb"\A\* (\d{1,10}) EXISTS", re.IGNORECASE)
_SEPARATOR: Final = re.compile(rb'\A\* LIST \([^)]*\) "([!-~])" ', re.IGNORECASE)
_COUNT: Final = re.compile(rb"\bMESSAGES (\d{1,10})\b", re.IGNORECASE)


class MailboxFailed(Exception):
    """The mailbox cannot be used: now, or with these options. `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class CommandRefused(Exception):
    """The server answered NO or BAD to one command."""


@dataclass(frozen=True, slots=True)
class MailboxLine:
    """One untagged answer: its text, and its literals apart from it."""

    text: bytes
    literals: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class FolderState:
    """A folder at the moment of its opening. UIDs hold as long as `validity` is the same."""

    validity: int
    next_uid: int
    exists: int


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message of a folder, without its content."""

    uid: int
    size: int
    at: datetime | None


class Mailbox:
    """One IMAP session.

    Its commands raise CommandRefused when the server refuses, and MailboxFailed when the session
    has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._count = 0
        self._clock: Clock | None = None
        self.abilities: frozenset[str] = frozenset()
        self._separator = "/"

    def timed(self, clock: Clock) -> None:
        """Count received bytes on `clock`, which gives more time to large answers."""
        self._clock = clock

    async def greeting(self) -> None:
        first = (await self._read_line(_ANSWER)).text
        if not first.upper().startswith((b"* OK", b"* PREAUTH")):
            raise MailboxFailed(TryLater("busy", "the server does not let us in now"))

    async def secure(self, tls: ssl.SSLContext, host: str) -> None:
        """Go on over TLS. Drop whatever came before: anybody may have written it."""
        try:
            await self.command("STARTTLS")
        except CommandRefused:
            raise MailboxFailed(Misconfigured("no_starttls")) from None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE)
        protocol = asyncio.StreamReaderProtocol(reader)
        secured = await loop.start_tls(self._writer.transport, protocol, tls, server_hostname=host)
        if secured is None:  # the connection was closed meanwhile
            raise MailboxFailed(TryLater("no_answer", "closed while TLS began"))
        protocol.connection_made(secured)
        self._reader = reader
        self._writer = asyncio.StreamWriter(secured, protocol, reader, loop)

    @property
    def certificate(self) -> Any:
        """The certificate that the server showed, as `ssl` gives it."""
        return self._writer.get_extra_info("peercert")

    def say_goodbye(self) -> None:
        """End the session without waiting for the answer."""
        self._writer.write(b"z LOGOUT\r\n")

    def abort(self) -> None:
        self._writer.transport.abort()

    async def login(self, username: str, password: str) -> None:
        try:
            if password.isascii() and password.isprintable():
                await self.command(f"LOGIN {quoted(username)} {quoted(password)}")
            else:
                both = f"\0{username}\0{password}".encode()
                answer = base64.b64encode(both).decode("ascii")
                await self.command("AUTHENTICATE PLAIN", then=answer)
        except CommandRefused:
            raise MailboxFailed(
                Misconfigured("access_denied", "the mailbox does not let us in")
            ) from None
        lines = await self.command("CAPABILITY")
        said = b" ".join(one.text for one in lines).decode("ascii", "replace")
        self.abilities = frozenset(said.upper().split())
        told = [one.text for one in await self.command('LIST "" ""')]
        found = next((match for line in told if (match := _SEPARATOR.search(line))), None)
        if found is not None:
            self._separator = found[1].decode("ascii")

    async def open(self, folder: str, *, altering: bool = False) -> FolderState:
        """Open a folder. Raises CommandRefused for one that does not exist."""
        verb = "SELECT" if altering else "EXAMINE"
        lines = [one.text for one in await self.command(f"{verb} {self._named(folder)}")]
        return FolderState(
            _number(_VALIDITY, lines, 0), _number(_NEXT, lines, 0), _number(_EXISTS, lines, 0)
        )

    async def count(self, folder: str) -> int:
        """Count the messages of a folder. Raises CommandRefused for one that does not exist."""
        lines = await self.command(f"STATUS {self._named(folder)} (MESSAGES)")
        return _number(_COUNT, [one.text for one in lines], 0)

    async def listed(self, first: int, last: int) -> list[ListedMessage]:
        """List the messages of the open folder from UID `first` to `last`, in their order."""
        what = "(UID RFC822.SIZE INTERNALDATE)"
        lines = await self.command(f"UID FETCH {first}:{last} {what}")
        found: dict[int, ListedMessage] = {}
        for line in lines:
            uid = _number(_UID, [line.text], 0)
            if first <= uid <= last and b" FETCH " in line.text.upper():
                date = _DATE.search(line.text)
                size = _number(_SIZE, [line.text], 0)
                found[uid] = ListedMessage(uid, size, _moment(date[1]) if date else None)
        return [found[uid] for uid in sorted(found)]

    async def part(self, uid: int, section: str, most: int) -> bytes | None:
        """Return the first `most` bytes of a section of a message, without marking it as read.

        `section` is IMAP's: empty for the whole message. None: the message is gone.
        """
        asked = f"UID FETCH {uid} (UID BODY.PEEK[{section}]<0.{most}>)"
        for line in await self.command(asked, limit=most + _ANSWER):
            if _number(_UID, [line.text], 0) != uid:
                continue
            if line.literals:
                return line.literals[0]
            short = _QUOTED.search(line.text)
            if short is not None:
                return re.sub(rb"\\(.)", rb"\1", short[1])
            return b""
        return None

    async def search(self, header: str, value: str) -> list[int]:
        """Return the UIDs that the server finds for a text in a header."""
        lines = await self.command(f"UID SEARCH HEADER {header} {quoted(value)}")
        words = b" ".join(one.text[8:] for one in lines if one.text.upper().startswith(b"* SEARCH"))
        return [int(word) for word in words.split() if word.isdigit()]

    async def move(self, uids: Sequence[int], folder: str) -> None:
        """Move messages of the open folder. Raises CommandRefused."""
        chosen = ",".join(map(str, uids))
        if "MOVE" in self.abilities:
            await self._into(f"UID MOVE {chosen}", folder)
            return
        if "UIDPLUS" not in self.abilities:
            raise CommandRefused
        await self._into(f"UID COPY {chosen}", folder)
        await self.command(f"UID STORE {chosen} +FLAGS.SILENT (\\Deleted)")
        await self.command(f"UID EXPUNGE {chosen}")

    async def _into(self, verb: str, folder: str) -> None:
        """Run a command on a folder; make the folder when the first try is refused."""
        named = self._named(folder)
        try:
            await self.command(f"{verb} {named}")
        except CommandRefused:
            await self.command(f"CREATE {named}")
            await self.command(f"{verb} {named}")

    def _named(self, folder: str) -> str:
        """Return a folder's name with this server's separator."""
        return quoted(folder.replace("/", self._separator))

    async def command(
        self, text: str, *, then: str | None = None, limit: int = _ANSWER
    ) -> list[MailboxLine]:
        """Run one command and return its untagged answers, of `limit` bytes in all.

        `then` is sent when the server asks for a continuation.
        """
        self._count += 1
        tag = f"a{self._count}".encode()
        self._writer.write(tag + b" " + text.encode("ascii") + b"\r\n")
        await self._writer.drain()
        lines: list[MailboxLine] = []
        while len(lines) < _LINES:
            line = await self._read_line(limit)
            limit -= len(line.text) + sum(map(len, line.literals))
            if line.text.startswith(b"+") and then is not None:
                self._writer.write(then.encode("ascii") + b"\r\n")
                then = None
            elif line.text.startswith(tag + b" "):
                if line.text[len(tag) + 1 :].upper().startswith(b"OK"):
                    return lines
                raise CommandRefused
            elif line.text.upper().startswith(b"* BYE"):
                raise MailboxFailed(TryLater("busy", "the server says goodbye"))
            else:
                lines.append(line)
        raise MailboxFailed(TryLater("answer_too_large", f"more than {_LINES} lines"))

    async def _read_line(self, limit: int) -> MailboxLine:
        text = b""
        literals: list[bytes] = []
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError:
                raise MailboxFailed(
                    TryLater("answer_too_large", f"a line of more than {_LINE} bytes")
                ) from None
            except (asyncio.IncompleteReadError, OSError) as error:
                name = type(error).__name__
                raise MailboxFailed(TryLater("no_answer", name)) from None
            text += piece[:-2]
            limit -= len(piece)
            size = _LITERAL.search(text)
            if size is None:
                if limit < 0:
                    raise MailboxFailed(TryLater("answer_too_large", "more than was asked for"))
                return MailboxLine(text, literals)
            limit -= int(size[1])
            if limit < 0:
                raise MailboxFailed(TryLater("answer_too_large", "more than was asked for"))
            literals.append(await self._literal(int(size[1])))
            text = text[: size.start()]

    async def _literal(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            piece = await self._reader.read(min(_LINE, size - len(content)))
            if not piece:
                raise MailboxFailed(TryLater("no_answer", "it broke off within a message"))
            content += piece
            if self._clock is not None:
                self._clock.moved(len(piece))
        return bytes(content)


@asynccontextmanager
async def open_mailbox(
    options: Imap, connector: Connector, *, seconds: float | None = None
) -> AsyncIterator[Mailbox]:
    """Open a session, logged in. All of it has `seconds` (the connector's timeout), and one more
    for each 50 kB that come. Raises MailboxFailed, for what happens within the block too, and for a
    refusal that the block lets out."""
    server = server_of(options.url)
    clock = Clock(connector.timeout if seconds is None else seconds)
    try:
        async with clock, connector.connection(server.host, server.port) as connected:
            tls = None if options.clear and not server.tls else await connector.tls()
            at_once = tls if server.tls else None
            name = server.host if at_once is not None else None
            mailbox = Mailbox(
                *await asyncio.open_connection(
                    sock=connected, ssl=at_once, server_hostname=name, limit=_LINE
                )
            )
            try:
                mailbox.timed(clock)
                await mailbox.greeting()
                if tls is not None and not server.tls:
                    await mailbox.secure(tls, server.host)
                if tls is not None:
                    connector.served(mailbox.certificate)
                await mailbox.login(options.username, options.password.get_secret_value())
                yield mailbox
                mailbox.say_goodbye()
            finally:
                mailbox.abort()
    except CommandRefused:
        raise MailboxFailed(TryLater("far_end_error", "the mailbox refuses a command")) from None
    except Unreached as error:
        raise MailboxFailed(error.outcome) from None
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, TimeoutError):
            if not clock.over:
                raise
            late = TryLater("timeout", "the mailbox did not answer in time")
            raise MailboxFailed(late) from None
        raise MailboxFailed(unreached(error).outcome) from None


def quoted(text: str) -> str:
    """Quote a text for IMAP. It must hold no line end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(pattern: re.Pattern[bytes], lines: Sequence[bytes], missing: int) -> int:
    found = next((match for line in lines if (match := pattern.search(line))), None)
    return missing if found is None else int(found[1])


def _moment(text: bytes) -> datetime | None:
    try:
        said = text.decode("ascii").strip()
        return datetime.strptime(said, "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


__all__ = [
    "PACE",
    "CommandRefused",
    "FolderState",
    "ListedMessage",
    "Mailbox",
    "MailboxFailed",
    "open_mailbox",
]
