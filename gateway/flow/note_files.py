"""The files of a GRU's note: those that are new, and those that a person is told of."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

from gateway.core.content import Content
from gateway.core.request import Attachment
from gateway.store.history import RequestHistory
from gateway.store.rows import ChangeEffects, IncomingChange, WithheldPart


def short_hash(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


FileWithContent = tuple[Attachment, Content]


def new_files(
    news: IncomingChange, memory: RequestHistory, names: list[str]
) -> tuple[tuple[FileWithContent, ...], tuple[WithheldPart, ...]]:
    """Return the files that the citizen neither has nor sent, and what a person is told of those in
    which a virus was found, or that are a page or a program under another type. A GRU that makes a
    file anew at each question gives it the same name."""
    fresh: list[FileWithContent] = []
    barred: list[WithheldPart] = []
    called: Counter[str] = Counter()
    for file, content in news.documents:
        called[file.filename] += 1
        name = f"named:{news.key or ''}:{short_hash(file.filename)}:{called[file.filename]}"
        same = f"file:{file.sha256[:32]}"
        known = memory.has_file(file.sha256)
        if known or not {name, same}.isdisjoint({*memory.heard, *names}):
            continue
        names += [name, same]
        if file.sha256 in news.infected:
            found = f"virus:{file.sha256[:32]}"
            barred.append(WithheldPart(found, "virus_found", person=True))
        elif file.sha256 in news.disguised:
            found = f"disguised:{file.sha256[:32]}"
            barred.append(WithheldPart(found, "dangerous_document", person=True))
        else:
            fresh.append((file, content))
    return tuple(fresh), tuple(barred)


def with_unreadable(
    news: IncomingChange, memory: RequestHistory, judged: ChangeEffects
) -> ChangeEffects:
    """Keep files that could not be read, for a person, until they can."""
    name = f"files:{news.key or ''}"
    waits = name in memory.untold
    if news.unreadable and name not in memory.heard:
        detail = f"{news.unreadable} of them"
        withheld = WithheldPart(name, "unreadable_document", detail=detail, person=True)
        return dataclasses.replace(
            judged, names=(*judged.names, name), withheld=(*judged.withheld, withheld)
        )
    if waits and not news.unreadable and news.documents:
        return dataclasses.replace(judged, settled=(*judged.settled, name))
    return judged


__all__ = ["new_files", "short_hash", "with_unreadable"]
