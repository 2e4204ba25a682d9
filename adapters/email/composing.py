"""Outgoing messages: subject and body come from the mapping, the addresses from the options.

A citizen's words stand in the subject and the body alone. Control characters are taken out: in a
header they would begin another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from adapters.email.options import EmailOptions
from gateway.sdk import File, FileLink, FileLinks, Filing, Refused, ServiceInCharge

#: The agent writes above this line; our message is below it.
MARK: Final = "--- Répondre au-dessus de cette ligne ---"
REFERENCE_HEADER: Final = "X-Toodego-Reference"
#: The name of `to` among the recipients.
MAIN: Final = "to"
KNOWN: Final = frozenset({"recipient", "subject", "body"})
_SUBJECT: Final = 200
_BODY: Final = 200_000
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}")
#: The growth of a file by base64 and its line ends; bytes of the headers of a message or a part.
_GROWTH, _HEADS = 78 / 57, 4000
_PARIS: Final = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is to leave.

    `thread` is the Message-ID of the request's first message. `linked` are files that the message
    gives a link to instead of holding them.
    """

    to: str
    subject: str
    text: str
    reply_to: str
    reference: str
    message_id: str
    thread: str | None
    files: Sequence[File] = ()
    linked: Sequence[tuple[File, FileLink]] = ()

    @property
    def size(self) -> int:
        """Return the bytes of the message as it is sent, estimated."""
        return len(self.whole_text.encode()) * 3 + _HEADS + sum(map(_room, self.files))

    @property
    def whole_text(self) -> str:
        """Return the text, followed by the links to files."""
        if not self.linked:
            return self.text
        # The day that we name is one on which the link works from morning to night.
        end = min(link.expires_at for _, link in self.linked) - timedelta(days=1)
        said = f"Pièces jointes à télécharger, jusqu’au {_day(end)} :"
        rows = [f"{_shown(file)}\n{link.url}" for file, link in self.linked]
        return "\n\n".join([self.text, said, *rows])


def _room(file: File) -> int:
    """Return the bytes of a file within a message."""
    return _HEADS + int(file.size * _GROWTH)


def _shown(file: File) -> str:
    size = f"{file.size / 1e6:.1f}".replace(".", ",")
    return f"{attachment_name(file.filename)} ({size} Mo)"


def _day(moment: datetime) -> str:
    return moment.astimezone(_PARIS).strftime("%d/%m/%Y")


def with_links(letter: Letter, most: int, links: FileLinks, now: datetime) -> Letter:
    """Replace files by links until the letter has `most` bytes at most."""
    kept, linked = list(letter.files), list[tuple[File, FileLink]]()
    # The largest first: so the letter still holds as many files as it can.
    for file in sorted(letter.files, key=lambda one: one.size, reverse=True):
        if letter.size <= most:
            break
        kept.remove(file)
        linked.append((file, links.link(letter.reference, file, now)))
        letter = replace(letter, files=tuple(kept), linked=tuple(linked))
    return letter


def filed(filing: Filing, service: ServiceInCharge | None) -> str:
    """Return the lines that say when the request was filed, and who is in charge of it."""
    moment = filing.submitted_at.astimezone(_PARIS).strftime("%d/%m/%Y à %H:%M")
    number = f" (n° {one_line(filing.number)})" if filing.number else ""
    lines = [f"Demande déposée le {moment}{number}"]
    if service is not None:
        told = (service.name, service.email, service.phone, service.address)
        lines.append("Service en charge : " + ", ".join(one_line(one) for one in told if one))
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class MailTexts:
    """The recipient's address, the subject and the body of one message."""

    to: str
    subject: str
    text: str


def letter_words(
    payload: Mapping[str, Any], options: EmailOptions, *, subject: str = "", text: str = ""
) -> MailTexts | Refused:
    """Read a message from the mapping's payload. `subject` and `text` stand in for what is missing.

    Returns `Refused("unmappable")` for a payload that is no message.
    """
    strange = sorted(set(payload) - KNOWN)
    if strange:
        return Refused("unmappable", f"a message has no {', '.join(strange)}")
    for name in KNOWN & set(payload):
        if payload[name] is not None and not isinstance(payload[name], str):
            return Refused("unmappable", f"{name} must be a text")
    named = payload.get("recipient")
    to = options.to if named in (None, MAIN) else options.recipients.get(str(named))
    if to is None:
        return Refused("unmappable", "recipient is none of `recipients`")
    said = one_line(payload.get("subject") or subject)
    body = body_text(payload.get("body") or text)
    if not said or not body:
        return Refused("unmappable", "a message needs subject and body")
    if len(body) > _BODY:
        return Refused("unmappable", f"a body has {_BODY} characters at most")
    return MailTexts(to, said, body)


def one_line(text: str) -> str:
    """Return the text for a header: on one line, cut, without control characters."""
    shown = "".join(" " if _hidden(c) else c for c in unicodedata.normalize("NFC", text))
    line = " ".join(shown.split())
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 1].rstrip() + "…"


def body_text(text: str) -> str:
    """Return the text without control characters; its line ends and tabs stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("".join(c for c in line if c == "\t" or not _hidden(c)) for line in lines)


def _hidden(char: str) -> bool:
    """Is it a character without a shape: a control, a line end, a change of writing direction?"""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or (
        char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    )


async def read_files(files: Sequence[File]) -> list[bytes]:
    """Read the files into memory: `with_links` has left those that fit a message."""
    return [await file.read() for file in files]


def composed(letter: Letter, read: Sequence[bytes], options: EmailOptions, now: datetime) -> bytes:
    """Write the message in lines of ASCII that end with CRLF."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(options.name, addr_spec=options.sender)
    message["To"] = Address(addr_spec=letter.to)
    message["Reply-To"] = Address(options.name, addr_spec=letter.reply_to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = letter.message_id
    if letter.thread is not None:
        message["In-Reply-To"] = letter.thread
        message["References"] = letter.thread
    message[REFERENCE_HEADER] = letter.reference
    # No out-of-office answer: nobody at the gateway would read it.
    message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    message.set_content(f"{MARK}\n\n{letter.whole_text}\n", charset="utf-8", cte="quoted-printable")
    for file, content in zip(letter.files, read, strict=True):
        kind, _, sub = _media(file.content_type).partition("/")
        name = attachment_name(file.filename)
        message.add_attachment(content, maintype=kind, subtype=sub, filename=name)
    return message.as_bytes()


def attachment_name(name: str) -> str:
    """Return a file's name without folders and control characters."""
    last = re.split(r"[/\\]", name)[-1]
    return one_line(last).replace('"', "'")[:150] or "document"


def _media(declared: str) -> str:
    found = declared.partition(";")[0].strip().lower()
    inside = found.startswith(("message/", "multipart/"))
    return found if _TYPE.fullmatch(found) and not inside else "application/octet-stream"


__all__ = [
    "MARK",
    "REFERENCE_HEADER",
    "Letter",
    "MailTexts",
    "attachment_name",
    "body_text",
    "composed",
    "filed",
    "letter_words",
    "one_line",
    "read_files",
    "with_links",
]
