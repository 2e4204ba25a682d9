"""A formdata's history (`evolution`), and the events in it.

Entries are only appended, and their `time` never changes; a part's position may, and offsets differ
between answers. So the instant of its entry identifies an event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.core.request import EventKind, Json
from gateway.core.richtext import is_html, to_text
from gateway.sdk.publik.localtime import parse_aware
from gateway.wire.event import MAX_MESSAGE, AnnouncedEvent

#: Entries read: the latest ones.
MAX_ENTRIES = 5_000


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry: its time, the status that it led to (None: unchanged), and the typed text."""

    at: datetime
    status: str | None
    words: str | None


def read_history(evolution: Json) -> tuple[HistoryEntry, ...]:
    """Read the entries in order, without invalid ones. A workflow's messages are no typed text."""
    if not isinstance(evolution, list):
        return ()
    entries = []
    for one in evolution[-MAX_ENTRIES:]:
        at = parse_aware(one.get("time")) if isinstance(one, dict) else None
        if at is not None:
            status = one.get("status")
            entries.append(
                HistoryEntry(at, status if isinstance(status, str) else None, _words(one))
            )
    return tuple(entries)


def instant_of(
    entries: Sequence[HistoryEntry], announced: AnnouncedEvent, statuses: Mapping[str, EventKind]
) -> datetime | None:
    """Return the instant of the entry of a pushed event; None when the history has none.

    A message is the last entry with its words; another event is the last entry that led to one of
    the `statuses` of its kind.
    """
    wanted = words_of(announced.message)
    for entry in reversed(entries):
        if announced.kind is EventKind.MESSAGE:
            found = bool(wanted) and words_of(entry.words) == wanted
        else:
            found = statuses.get(entry.status or "") is announced.kind
        if found:
            return entry.at
    return None


def events_in(
    entries: Sequence[HistoryEntry], statuses: Mapping[str, EventKind]
) -> list[tuple[HistoryEntry, AnnouncedEvent]]:
    """Return the later events in the history, in order: entries that led to one of `statuses`. A
    message without words may hold a file, which a list does not show."""
    found = []
    for entry in entries:
        kind = statuses.get(entry.status or "")
        if kind is not None:
            found.append((entry, AnnouncedEvent(kind, None, entry.words)))
    return found


def words_of(text: str | None) -> str:
    """Return a text's letters and digits alone: the same text comes in several layouts."""
    plain = to_text(text) if text and is_html(text) else text or ""
    return re.sub(r"[\W_]+", " ", plain).strip().casefold() or plain.strip()


def _words(entry: Mapping[str, Json]) -> str | None:
    parts = entry.get("parts")
    texts = []
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict) or part.get("type") != "workflow-comment":
            continue
        plain, rich = part.get("comment_plain_text"), part.get("comment")
        text = ""
        if isinstance(plain, str):
            text = plain
        elif isinstance(rich, str):
            text = to_text(rich) if is_html(rich) else rich
        if text.strip():
            texts.append(text.strip())
    return "\n".join(texts)[:MAX_MESSAGE] or None
