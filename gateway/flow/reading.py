"""Checks and bounds the changes that an adapter tells."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gateway.core.content import EDGE, Content, InMemory
from gateway.core.request import Attachment
from gateway.core.richtext import clean_text
from gateway.sdk import Change, Document
from gateway.store.rows import IncomingChange
from gateway.wire.files import is_disguised, safe_filename, true_type

#: A date further ahead is a planned one, or the far end's clock is wrong.
AHEAD = timedelta(minutes=5)
LONGEST_NAME = 200
LONGEST_MESSAGE = 20_000
#: Characters of a text that are searched for what no database takes.
_READ = 2 * LONGEST_MESSAGE


def news_of(change: Change, now: datetime, *, polled: bool) -> IncomingChange:
    """Return one change. Raises TypeError, AttributeError or ValueError when it breaks the
    contract."""
    reference, number = _name(change.reference), _name(change.gru_reference)
    if reference is None and number is None:
        raise ValueError("a change names its request")
    at = _instant(change.at)
    # A document without bytes counts as unreadable.
    documents = [document for document in change.documents if document.content]
    empty = len(change.documents) - len(documents)
    kept = tuple(map(_kept, documents))
    message = clean_text((change.message or "")[:_READ])[:LONGEST_MESSAGE].strip()
    return IncomingChange(
        key=_name(change.key),
        gru_reference=number,
        reference=reference,
        status=_name(change.status),
        message=message or None,
        public=bool(change.public),
        at=now if at is None else min(at, now),
        documents=tuple((file, content) for file, content, _ in kept),
        dated=at is not None,
        doubtful=at is not None and at > now + AHEAD,
        present=polled and change.key is None,
        sender_key=_name(change.sender_key),
        unreadable=max(0, int(change.unreadable)) + empty,
        disguised=frozenset(file.sha256 for file, _, disguised in kept if disguised),
        more=change.more,
    )


def as_they_stand(news: list[IncomingChange]) -> list[IncomingChange]:
    """Keep the latest state of each request. A poll may read it from list and journal, and a
    journal's status is the past."""
    latest: dict[str, int] = {}
    for n, item in enumerate(news):
        if item.present and item.status is not None:
            before = latest.get(_of(item))
            if before is None or not _earlier(item, news[before]):
                latest[_of(item)] = n
    standing = {name for n in latest.values() for name in _names(news[n])}

    def past(n: int, item: IncomingChange) -> bool:
        if item.status is None:
            return False
        return latest[_of(item)] != n if item.present else not standing.isdisjoint(_names(item))

    return [
        dataclasses.replace(item, status=None) if past(n, item) else item
        for n, item in enumerate(news)
    ]


def with_contents(
    news: IncomingChange, contents: Mapping[str, Content], infected: frozenset[str] = frozenset()
) -> IncomingChange:
    """Return the change with its files' bytes as stored, by SHA-256; `infected` are those in which
    a virus was found."""
    if not news.documents:
        return news
    documents = tuple((file, contents.get(file.sha256, c)) for file, c in news.documents)
    found = infected & {file.sha256 for file, _ in documents}
    return dataclasses.replace(news, documents=documents, infected=found)


def _earlier(one: IncomingChange, other: IncomingChange) -> bool:
    return one.dated and other.dated and one.at < other.at


def _of(item: IncomingChange) -> str:
    return item.reference or f"#{item.gru_reference}"


def _names(item: IncomingChange) -> set[str]:
    names = (item.reference, None if item.gru_reference is None else f"#{item.gru_reference}")
    return {name for name in names if name is not None}


def _instant(at: datetime | None) -> datetime | None:
    """Return a time in UTC; None for one without an offset, and at the edge of the calendar, where
    it has no place in UTC."""
    if at is None or at.tzinfo is None:
        return None
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return None


def _name(value: str | None) -> str | None:
    """Return a name that can be stored and searched; the hash of a long one."""
    if value is None:
        return None
    name = clean_text(value[: _READ // 4]).strip()
    if len(name) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()
        name = f"{name[:100]}…{digest[:32]}"
    return name or None


def _kept(document: Document) -> tuple[Attachment, Content, bool]:
    """Return a document with the type that its bytes have; is it something else than it says?"""
    content, name = InMemory(document.content), safe_filename(document.filename)
    told = document.content_type
    kind = true_type(told, document.content[:EDGE], document.content[-EDGE:])
    file = Attachment("document", name, kind, content.size, content.sha256)
    return file, content, is_disguised(told, document.content)


__all__ = ["as_they_stand", "news_of", "with_contents"]
