"""An incoming message: its request, its sender's proof and its text.

The mailbox bounds the bytes. Python's parser reads nested parts by recursion, so a message with too
many parts is left to a person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message as MimeMessage
from email.parser import BytesParser
from enum import StrEnum
from typing import Final

from adapters.email.composing import REFERENCE_HEADER, attachment_name
from adapters.email.options import EmailOptions, Replies
from adapters.email.proof import is_proven, sender_domain
from adapters.email.quoting import new_words
from adapters.email.tokens import NamedRequest, Tokens
from gateway.sdk import Document, decoded, note_text

#: The status of a message that was not delivered. A mapping that lacks it leaves it to a person.
UNDELIVERED: Final = "undelivered"
_MOST_PARTS: Final = 200
_LONGEST_FIELD: Final = 20_000
_TEXT: Final = 100_000
#: Headers that name the recipients; servers write the first three.
_TO: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc", "X-Failed-Recipients")
_TAGGED: Final = re.compile(r"\[([^\[\]]{1,20})\]")
#: Errors of Python's parser for malformed messages.
_UNPARSED: Final = (
    MessageError,
    RecursionError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
#: A final failure, or one by age (RFC 3463: X.4.7), which OpenSMTPD calls delayed.
_FAILED: Final = re.compile(
    rb"^(?:Action:\s*failed\b|Status:\s*[45]\.4\.7\b)", re.IGNORECASE | re.MULTILINE
)


class MailKind(StrEnum):
    """The gateway's sorts of messages."""

    REPLY = "reply"
    #: Our own message, or an automatic answer: nothing is told.
    NOBODY = "nobody"
    #: A mail server's report, or a program's answer without a return path. Its body says whether
    #: our message failed.
    REPORT = "report"
    #: A message that a person has to look at.
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class MessageHead:
    """The facts in a message's header: its kind, the request that it names, and its own key."""

    kind: MailKind
    named: NamedRequest | None
    key: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The content of a reply: the status that it names, if any, its new text and its files.

    `unreadable` counts files that were not taken.
    """

    status: str | None
    text: str | None
    documents: Sequence[Document]
    unreadable: int


def read_head(content: bytes, where: str, tokens: Tokens, options: EmailOptions) -> MessageHead:
    """Read a message's header. `where`, its place in the mailbox, stands in for a Message-ID."""
    try:
        return _head(content, where, tokens, options)
    except _UNPARSED:
        return MessageHead(MailKind.PERSON, None, f"m:{where}")


def _head(content: bytes, where: str, tokens: Tokens, options: EmailOptions) -> MessageHead:
    message = BytesParser(policy=policy.compat32).parsebytes(content, headersonly=True)
    ids = _fields(message, "Message-ID")
    named = tokens.in_addresses(_all(message, _TO))
    named = named or tokens.in_ids(_all(message, ("In-Reply-To", "References")))
    key = hashlib.sha256((ids[0] if ids else where).encode()).hexdigest()[:32]

    def head(kind: MailKind) -> MessageHead:
        return MessageHead(kind, named, f"m:{key}")

    if tokens.in_ids(ids) is not None and _fields(message, REFERENCE_HEADER):
        return head(MailKind.NOBODY)  # our own: a copy, or forwarded by a rule
    replies = options.replies
    if message.get_content_type() == "multipart/report" or _has_no_way_back(message):
        return head(MailKind.REPORT)
    if _is_automatic(message):
        return head(MailKind.NOBODY)
    if named is None or replies is None:
        return head(MailKind.PERSON)
    senders = _fields(message, "From")
    own = options.sender.rpartition("@")[2].lower()
    results = _fields(message, "Authentication-Results")
    if not is_proven(senders, results, replies) or (
        sender_domain(senders) == own and _is_ours(senders, options)
    ):
        return head(MailKind.PERSON)
    return head(MailKind.REPLY)


def reports_failure(content: bytes) -> bool:
    """Does the message report a final failure (RFC 3464)?

    Not every server calls its reports multipart/report.
    """
    at = content.lower().find(b"message/delivery-status")
    return at >= 0 and _FAILED.search(content, at, at + _TEXT) is not None


def read_reply(
    content: bytes, named: NamedRequest, options: Replies, *, whole: bool
) -> Reply | None:
    """Read a reply; None when it cannot be read. `whole`: `content` is all of it."""
    if content[:_TEXT].lower().count(b"content-type: multipart/") > _MOST_PARTS:
        return None
    try:
        return _reply(content, named, options, whole=whole)
    except _UNPARSED:
        return None


def _reply(content: bytes, named: NamedRequest, options: Replies, *, whole: bool) -> Reply | None:
    message = BytesParser(policy=policy.compat32).parsebytes(content)
    leaves = _leaves(message)
    if leaves is None:
        return None
    body = _body(leaves)
    text = None if body is None else _text_of(body)
    if text is not None and options.quoted == "cut":
        text = new_words(text)
    documents, unreadable = _documents([part for part in leaves if part is not body], options)
    if not whole:
        documents, unreadable = [], max(1, unreadable + len(documents))
    subject = " ".join(_fields(message, "Subject"))
    return Reply(_status(subject, named, options), text or None, documents, unreadable)


def _status(subject: str, named: NamedRequest, options: Replies) -> str | None:
    if options.where == "address":
        return named.word if named.word in options.words else None
    tags = (found.strip().lower() for found in _TAGGED.findall(_shown(subject)))
    return next((tag for tag in tags if tag in options.words), None)


def _is_automatic(message: MimeMessage) -> bool:
    """Did a program answer (RFC 3834 and what is usual)?"""
    submitted = " ".join(_fields(message, "Auto-Submitted")).strip().lower()
    if submitted and not submitted.startswith("no"):
        return True
    precedence = " ".join(_fields(message, "Precedence")).strip().lower()
    if precedence in ("bulk", "junk", "list", "auto_reply"):
        return True
    return bool(_fields(message, "X-Auto-Response-Suppress"))


def _has_no_way_back(message: MimeMessage) -> bool:
    """Does it forbid an answer, as reports do (RFC 5321, 4.5.5)?"""
    return any(one.strip() == "<>" for one in _fields(message, "Return-Path"))


def _is_ours(senders: Sequence[str], options: EmailOptions) -> bool:
    local = options.sender.partition("@")[0].lower()
    return any(f"{local}@" in one.lower() or f"{local}+" in one.lower() for one in senders)


def _leaves(message: MimeMessage) -> list[MimeMessage] | None:
    """Return the parts with content; None for too many. A forwarded message is one part."""
    found: list[MimeMessage] = []
    waiting, seen = [message], 0
    while waiting:
        one = waiting.pop(0)
        seen += 1
        if seen > _MOST_PARTS:
            return None
        inner = one.get_payload()
        if isinstance(inner, list) and one.get_content_maintype() == "multipart":
            waiting = [part for part in inner if isinstance(part, MimeMessage)] + waiting
        else:
            found.append(one)
    return found


def _body(leaves: Sequence[MimeMessage]) -> MimeMessage | None:
    texts = [
        part
        for part in leaves
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"
    ]
    plain = [part for part in texts if part.get_content_subtype() == "plain"]
    return next(iter(plain or texts), None)


def _text_of(part: MimeMessage) -> str:
    raw = part.get_payload(decode=True)
    text = decoded(raw if isinstance(raw, bytes) else b"", part.get_content_charset())
    if part.get_content_subtype() == "plain":
        return text[:_TEXT]
    return note_text(text[: 4 * _TEXT], "always") or ""


def _documents(parts: Sequence[MimeMessage], options: Replies) -> tuple[list[Document], int]:
    """Return the files, without the pictures of the layout, and how many are unreadable."""
    found: list[Document] = []
    unreadable = 0
    for part in parts:
        name = part.get_filename()
        kind = part.get_content_type()
        attached = part.get_content_disposition() == "attachment"
        if not attached and (name is None or part.get("Content-ID") is not None):
            continue
        raw = part.get_payload(decode=True)
        if not isinstance(raw, bytes) or not raw or len(found) >= options.max_files:
            unreadable += 1
            continue
        shown = attachment_name(_shown(name) if name else "document")
        found.append(Document(shown, kind, raw))
    return found, unreadable


def _fields(message: MimeMessage, name: str) -> list[str]:
    found = [str(value)[:_LONGEST_FIELD] for value in message.get_all(name, [])]
    return [" ".join(value.split()) for value in found]


def _all(message: MimeMessage, names: Sequence[str]) -> list[str]:
    return [value for name in names for value in _fields(message, name)]


def _shown(text: str) -> str:
    """Return a header's text with its encoded words decoded (RFC 2047)."""
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, ValueError, LookupError):
        return text


__all__ = [
    "UNDELIVERED",
    "MailKind",
    "MessageHead",
    "Reply",
    "read_head",
    "read_reply",
    "reports_failure",
]
