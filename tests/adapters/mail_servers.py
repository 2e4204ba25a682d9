"""Small mail servers on loopback that behave as OpenSMTPD 6.8 and Dovecot 2.3 were seen to."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as MimeMessage

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port of loopback; a client that goes away ends its own session alone."""
    tasks: set[asyncio.Task[None]] = set()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(session, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Envelope:
    """A message that was taken."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> MimeMessage:
        return message_from_bytes(self.content)


@dataclass
class SimulatedSmtp:
    """Takes mail. `says`: another answer at a step (greeting, EHLO, MAIL, RCPT, DATA, dot, AUTH...;
    None: the line is cut there, "": nothing is said). `cut_body`: it is cut after so many bytes."""

    says: Mapping[str, str | None] = field(default_factory=dict)
    cut_body: int | None = None
    starttls: ssl.SSLContext | None = None
    taken: list[Envelope] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = self.starttls is None
        envelope = Envelope("", [], b"")
        if not await self._say(writer, "greeting", "220 vm ESMTP OpenSMTPD"):
            return
        while line := (await reader.readline()).decode("ascii").rstrip("\r\n"):
            self.heard.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            named = line.partition("<")[2].partition(">")[0]
            if verb == "MAIL":
                envelope = Envelope(named, [], b"")
            elif verb == "RCPT":
                envelope.recipients.append(named)
            if not await self._say(writer, verb, _usual(verb, secured)) or verb == "QUIT":
                return
            if verb == "STARTTLS" and self.starttls is not None:
                await writer.start_tls(self.starttls)
                secured = True
            if verb == "DATA" and not self.says.get("DATA"):
                envelope.content = await self._content(reader)
                self.taken.append(envelope)
                if not await self._say(writer, "dot", "250 2.0.0 5f0a Message accepted"):
                    return

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        lines = list[bytes]()
        if self.cut_body is not None:
            await reader.readexactly(self.cut_body)
            raise ConnectionResetError
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def _say(self, writer: asyncio.StreamWriter, step: str, usual: str) -> bool:
        said = self.says.get(step, usual)
        if said is None:
            return False
        if said:
            writer.write(said.encode() + b"\r\n")
            await writer.drain()
        else:
            await asyncio.Event().wait()
        return True


def _usual(verb: str, secured: bool) -> str:
    extra = "AUTH PLAIN LOGIN" if secured else "STARTTLS"
    abilities = ["vm Hello", "8BITMIME", "SIZE 36700160", extra]
    return {
        "EHLO": "\r\n".join(f"250-{one}" for one in abilities) + "\r\n250 HELP",
        "STARTTLS": "220 2.0.0 Ready to start TLS",
        "AUTH": "235 2.0.0 Authentication succeeded",
        "RCPT": "250 2.1.5 Destination address valid: Recipient ok",
        "DATA": '354 Enter mail, end with "." on a line by itself',
        "QUIT": "221 2.0.0 Bye",
    }.get(verb, "250 2.0.0 Ok")


@dataclass
class Stored:
    uid: int
    content: bytes
    deleted: bool = False


@dataclass
class SimulatedImap:
    """A mailbox of folders. `abilities`: what it says that it can do; `instead`: another answer to
    a command that holds this text, as it stands on the wire."""

    abilities: str = "IMAP4rev1 SASL-IR UIDPLUS MOVE"
    validity: int = 1795792050
    folders: dict[str, list[Stored]] = field(default_factory=lambda: {"INBOX": []})
    instead: dict[str, bytes] = field(default_factory=dict)
    starttls: ssl.SSLContext | None = None
    commands: list[str] = field(default_factory=list)
    next_uid: int = 1

    def add(self, content: bytes | str, folder: str = "INBOX") -> int:
        """Deliver a message; its UID."""
        raw = content.encode() if isinstance(content, str) else content
        uid, self.next_uid = self.next_uid, self.next_uid + 1
        self.folders.setdefault(folder, []).append(Stored(uid, raw))
        return uid

    def uids(self, folder: str) -> list[int]:
        return [one.uid for one in self.folders.get(folder, [])]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"* OK [CAPABILITY {self.abilities}] Dovecot (Debian) ready.\r\n".encode())
        chosen = "INBOX"
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            self.commands.append(command)
            other = next((said for text, said in self.instead.items() if text in command), None)
            if other is not None:
                writer.write(other.replace(b"TAG", tag.encode()))
                await writer.drain()
                continue
            if command.startswith(("SELECT", "EXAMINE")):
                chosen = _names(command)[0]
            if command == "STARTTLS" and self.starttls is not None:
                writer.write(tag.encode() + b" OK Begin TLS negotiation now.\r\n")
                await writer.start_tls(self.starttls)
                continue
            for said in self._answers(command, chosen):
                writer.write(said.replace(b"TAG", tag.encode()) + b"\r\n")
            await writer.drain()
            if command == "LOGOUT":
                return

    def _answers(self, command: str, chosen: str) -> list[bytes]:  # noqa: C901 - a table
        """All lines that answer a command; TAG stands for its tag."""
        words = command.split(" ")
        verb = " ".join(words[: 2 if words[0] == "UID" else 1])
        named = _names(command)
        match verb:
            case "LOGIN":
                if named[1] != "gateway-test":
                    return [b"TAG NO [AUTHENTICATIONFAILED] Authentication failed."]
                return [f"TAG OK [CAPABILITY {self.abilities}] Logged in".encode()]
            case "CAPABILITY":
                return [f"* CAPABILITY {self.abilities}".encode(), b"TAG OK Capability completed"]
            case "LIST":
                return [b'* LIST (\\Noselect) "." ""', b"TAG OK List completed"]
            case "SELECT" | "EXAMINE":
                if chosen not in self.folders:
                    return [_missing(chosen)]
                way = "READ-WRITE" if verb == "SELECT" else "READ-ONLY"
                return [
                    f"* {len(self.folders[chosen])} EXISTS".encode(),
                    f"* OK [UIDVALIDITY {self.validity}] UIDs valid".encode(),
                    f"* OK [UIDNEXT {self.next_uid}] Predicted next UID".encode(),
                    f"TAG OK [{way}] {verb.capitalize()} completed".encode(),
                ]
            case "STATUS":
                if named[0] not in self.folders:
                    return [_missing(named[0])]
                count = len(self.folders[named[0]])
                return [
                    f"* STATUS {named[0]} (MESSAGES {count})".encode(),
                    b"TAG OK Status completed",
                ]
            case "CREATE":
                self.folders[named[0]] = []
                return [b"TAG OK Create completed"]
            case "UID FETCH":
                return self._fetched(command, chosen)
            case "UID SEARCH":
                found = [o.uid for o in self.folders[chosen] if named[0].encode() in o.content]
                return [b" ".join([b"* SEARCH", *(b"%d" % n for n in found)]), b"TAG OK Search"]
            case "UID MOVE" | "UID COPY":
                return self._moved(words[2], named[0], chosen, move=verb == "UID MOVE")
            case "UID STORE":
                for one in self._chosen(words[2], chosen):
                    one.deleted = True
                return [b"TAG OK Store completed"]
            case "UID EXPUNGE":
                self.folders[chosen] = [o for o in self.folders[chosen] if not o.deleted]
                return [b"TAG OK Expunge completed"]
            case "LOGOUT":
                return [b"* BYE Logging out", b"TAG OK Logout completed"]
        return [b"TAG BAD Error in IMAP command: Unknown command"]

    def _chosen(self, text: str, folder: str) -> list[Stored]:
        wanted = set[int]()
        for part in text.split(","):
            first, _, last = part.partition(":")
            wanted |= set(range(int(first), int(last or first) + 1))
        return [one for one in self.folders[folder] if one.uid in wanted]

    def _fetched(self, command: str, folder: str) -> list[bytes]:
        lines = list[bytes]()
        for one in self._chosen(command.split(" ")[2], folder):
            number = self.folders[folder].index(one) + 1
            asked = re.search(r"BODY\.PEEK\[(.*)\]<0\.(\d+)>", command)
            if asked is None:
                date = '"27-Nov-2026 15:08:06 +0000"'
                said = f"UID {one.uid} RFC822.SIZE {len(one.content)} INTERNALDATE {date}"
                lines.append(f"* {number} FETCH ({said})".encode())
                continue
            part = one.content
            if asked[1].startswith("HEADER"):
                part = re.split(rb"(?<=\r\n)\r\n", part, maxsplit=1)[0] + b"\r\n"
            part = part[: int(asked[2])]
            head = f"* {number} FETCH (UID {one.uid} BODY[{asked[1]}]<0> {{{len(part)}}}\r\n"
            lines.append(head.encode() + part + b")")
        return [*lines, b"TAG OK Fetch completed"]

    def _moved(self, uids: str, to: str, folder: str, *, move: bool) -> list[bytes]:
        if to not in self.folders:
            return [b"TAG NO [TRYCREATE] Mailbox doesn't exist: " + to.encode()]
        found = self._chosen(uids, folder)
        self.folders[to] += [Stored(one.uid, one.content) for one in found]
        said = [b"* OK [COPYUID 1795792051 3:4 1:2] Moved UIDs."]
        if move:
            numbers = [self.folders[folder].index(one) + 1 for one in found]
            self.folders[folder] = [o for o in self.folders[folder] if o not in found]
            said += [f"* {n} EXPUNGE".encode() for n in reversed(numbers)]
        return [*said, b"TAG OK Move completed"]


def _names(command: str) -> list[str]:
    return re.findall(r'"([^"]*)"', command)


def _missing(name: str) -> bytes:
    return f"TAG NO Mailbox doesn't exist: {name}".encode()
