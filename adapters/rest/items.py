"""The items of a GRU's answer: the changes in them, with their further reads and files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from adapters.rest.answers import Also, Documents, Item, NoteFields, Public
from adapters.rest.exchange import Exchange
from adapters.rest.expression import ExpressionFault, Json, status_word, word
from adapters.rest.paging import read_all
from adapters.rest.reading import time_of
from gateway.sdk import (
    Answer,
    Change,
    Document,
    Html,
    Outcome,
    Refused,
    TryLater,
    beside,
    by_turns,
    note_text,
    weight,
)
from gateway.sdk import read_base64 as base64_bytes

#: A file that cannot be fetched for so long is not waited for any more: a person is told.
WAITED = timedelta(days=1)
#: The files of one change have so many bytes together at most.
TOGETHER = 50_000_000
_HTML: Mapping[object, Html] = {
    "auto": "auto",
    "escaped": "escaped",
    True: "always",
    False: "never",
}

Scope = dict[str, Json]


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads items by `rules`."""

    rules: Item
    exchange: Exchange
    now: Callable[[], datetime]

    async def changes(self, item: Json) -> list[Change] | Outcome | None:
        """Return the changes in the item: none when it names no request, an outcome when a read
        failed."""
        rules = self.rules
        scope: Scope = {}
        for name, path in (("gru_reference", rules.gru_reference), ("reference", rules.reference)):
            scope[name] = None if path is None else word(await path.found_in(item))
        if scope["gru_reference"] is None and scope["reference"] is None:
            return None
        whole = await self._with(rules.also, item, scope)
        if not isinstance(whole, _Whole):
            return None if isinstance(whole, Refused) else whole
        item = whole.element
        status = status_word(await rules.status.found_in(item)) if rules.status else None
        change = await self._read_beside(rules, item, scope, status)
        if self._is_ours(rules, item):  # what it says of the request is news all the same
            change = replace(change, message=None)
        told = [change] if _says_something(change) else []
        told += await self._files_apart(rules, item, scope)
        if rules.notes is not None:
            notes = await rules.notes.list.found_in(item)
            async for note in by_turns(notes if isinstance(notes, list) else []):
                if self._is_ours(rules.notes, note):
                    continue
                change = await self._note(rules.notes, note, scope)
                if _says_something(change):
                    told.append(change)
        return told

    def _is_ours(self, rules: NoteFields | Documents, element: Json) -> bool:
        """Did our own account write it?"""
        if rules.author is None:
            return False
        return word(rules.author.read(element)) in self.exchange.accounts

    async def whole(self, item: Json) -> list[Json] | Outcome:
        """Return the item with the results of the further reads; nothing when it has gone
        meanwhile."""
        whole = await self._with(self.rules.also, item, {})
        if isinstance(whole, _Whole):
            return [whole.element]
        return [] if isinstance(whole, Refused) else whole

    # --- one change ---------------------------------------------------------------------------

    async def _read_beside(
        self, rules: NoteFields, element: Json, scope: Scope, status: str | None
    ) -> Change:
        return await beside(weight(element), lambda: self._read(rules, element, scope, status))

    def _read(self, rules: NoteFields, element: Json, scope: Scope, status: str | None) -> Change:
        return Change(
            key=word(rules.key.read(element)) if rules.key else None,
            gru_reference=scope["gru_reference"],
            reference=scope["reference"],
            status=status,
            message=self._message(rules, element),
            public=is_public(rules, element),
            at=time_of(rules.at, element) if rules.at else None,
            sender_key=word(rules.sender_key.read(element)) if rules.sender_key else None,
        )

    def _message(self, rules: NoteFields, element: Json) -> str | None:
        if rules.message is None:
            return None
        return note_text(rules.message.read(element), _HTML[rules.html])

    async def _note(self, rules: NoteFields, note: Json, scope: Scope) -> Change:
        change = await self._read_beside(rules, note, scope, None)
        documents = rules.documents
        if change.key is not None and (rules.also or (documents and documents.apart)):
            return replace(change, more=partial(self._rest, rules, note, scope, change))
        return change if documents is None else await self._with_inline(documents, note, change)

    async def _rest(
        self, rules: NoteFields, note: Json, scope: Scope, change: Change
    ) -> Change | Outcome:
        """Return the note with the parts that have to be fetched."""
        whole = await self._with(rules.also, note, scope)
        if not isinstance(whole, _Whole):
            return self._waited(change, whole)
        element = whole.element
        message = await beside(weight(element), lambda: self._message(rules, element))
        change = replace(change, message=message, more=None)
        if rules.documents is None:
            return change
        listed = await rules.documents.list.found_in(element)
        inside = {**scope, "note": element}
        return await self._with_files(rules.documents, listed, inside, change)

    # --- files --------------------------------------------------------------------------------

    async def _with_inline(self, rules: Documents, element: Json, change: Change) -> Change:
        """Return the change with the files whose bytes stand in the element."""
        public = change.public
        if rules.is_stated:
            public = await beside(weight(element), lambda: is_public(rules, element))
        if not public:
            return change
        listed = await rules.list.found_in(element)
        listed = listed if isinstance(listed, list) else []
        documents, unreadable = [], max(0, len(listed) - rules.most)
        for one in listed[: rules.most]:
            document = await _inline(rules, one)
            if document is None:
                unreadable += 1
            else:
                documents.append(document)
        # Without a text it is the files alone that are public or not.
        told = change.public or change.message is None
        return replace(change, public=told, documents=tuple(documents), unreadable=unreadable)

    async def _files_apart(self, rules: Item, item: Json, scope: Scope) -> list[Change]:
        """Return an item's files, each as a change of its own: by its number, or by its bytes."""
        documents = rules.documents
        if documents is None:
            return []
        listed = await documents.list.found_in(item)
        listed = listed if isinstance(listed, list) else []
        told = [
            await self._file_apart(rules, documents, item, one, scope)
            async for one in by_turns(listed)
            if not self._is_ours(documents, one)
        ]
        changes = [change for change in told if change is not None]
        if len(changes) < len(told):
            lost = len(told) - len(changes)
            changes.append(
                replace(self._holding(rules, documents, item, item, scope), unreadable=lost)
            )
        return changes

    def _holding(
        self, rules: Item, documents: Documents, item: Json, one: Json, scope: Scope
    ) -> Change:
        holder = one if documents.internal is not None else item
        return Change(
            gru_reference=scope["gru_reference"],
            reference=scope["reference"],
            public=is_public(documents if documents.is_stated else rules, holder),
            at=time_of(rules.at, item) if rules.at else None,
        )

    async def _file_apart(
        self, rules: Item, documents: Documents, item: Json, one: Json, scope: Scope
    ) -> Change | None:
        change = self._holding(rules, documents, item, one, scope)
        number = word(documents.key.read(one)) if documents.key is not None else None
        if documents.apart:
            if number is None:
                return None
            change = replace(change, key=f"document:{number}"[:200])
            return replace(change, more=partial(self._with_files, documents, [one], scope, change))
        document = await _inline(documents, one)
        if document is None:
            return None
        if number is None:
            held = document.content
            number = await beside(len(held), lambda: hashlib.sha256(held).hexdigest())
        return replace(change, key=f"document:{number}"[:200], documents=(document,))

    async def _with_files(
        self, rules: Documents, listed: Json, scope: Scope, change: Change
    ) -> Change | Outcome:
        listed = listed if isinstance(listed, list) else []
        documents: list[Document] = []
        unreadable, left = max(0, len(listed) - rules.most), TOGETHER
        for one in listed[: rules.most]:
            document = await self._file(rules, one, scope, left)
            if isinstance(document, Document):
                documents.append(document)
                left -= len(document.content)
            elif document is None or _is_final(document) or self._is_old(change):
                unreadable += 1
            else:
                return document
        return replace(
            change, documents=tuple(documents), unreadable=change.unreadable + unreadable, more=None
        )

    async def _file(
        self, rules: Documents, one: Json, scope: Scope, left: int
    ) -> Document | Outcome | None:
        whole = await self._with(rules.also, one, scope)
        if not isinstance(whole, _Whole):
            return whole
        one = whole.element
        if rules.content is not None:
            return await _inline(rules, one)
        limit = min(int(rules.max_mb * 1_000_000), left)
        inside = {**scope, "item": one}
        try:
            if rules.path is not None:
                fetched = await self.exchange.download(rules.path.render(inside), limit, ours=True)
            else:
                address = rules.address.read(one) if rules.address is not None else None
                if not isinstance(address, str) or not address:
                    return None
                fetched = await self.exchange.download(address, limit)
        except ExpressionFault:
            return None
        if not isinstance(fetched, Answer):
            return fetched
        if not await beside(fetched.size, lambda: _is_whole(rules, one, fetched.content)):
            return None
        name, sent = _name(rules, one), fetched.content_type
        if sent == "text/html" and not name.lower().endswith((".htm", ".html")):
            return None  # a page that asks to log in, or says that there is nothing
        return Document(name, _kind(rules, one) or sent or _UNKNOWN, fetched.content)

    # --- further reads ------------------------------------------------------------------------

    async def _with(
        self, also: Mapping[str, Also], element: Json, scope: Scope
    ) -> _Whole | Outcome:
        """Return the element with the results of the further reads, each under its name."""
        if not also:
            return _Whole(element)
        whole = dict(element) if isinstance(element, dict) else {"value": element}
        for name, read in also.items():
            content = await read_all(read, self.exchange, {**scope, "item": whole})
            if not isinstance(content, Answer):
                return content
            whole[name] = content.value
        return _Whole(whole)

    def _waited(self, change: Change, failure: Outcome) -> Change | Outcome:
        if _is_final(failure) or self._is_old(change):
            return replace(change, more=None, unreadable=1)
        return failure

    def _is_old(self, change: Change) -> bool:
        return change.at is not None and self.now() - change.at > WAITED


@dataclass(frozen=True, slots=True)
class _Whole:
    """An element. It is a class so that it differs from an outcome."""

    element: Json


def _is_final(failure: Outcome) -> bool:
    """Will the result be the same tomorrow? A file that is too large stays so, and must not delay
    later changes."""
    return isinstance(failure, Refused) or (
        isinstance(failure, TryLater) and failure.reason == "answer_too_large"
    )


def is_public(rules: Public, element: Json) -> bool:
    """Is it stated that the item is for the citizen? Without a clear statement it is internal."""
    if rules.public or rules.internal is None:
        return rules.public
    value = rules.internal.read(element)
    if isinstance(value, str):
        return value.strip().lower() in ("false", "0", "no", "non")
    return value is False or (isinstance(value, int) and value == 0)


_UNKNOWN = "application/octet-stream"


async def _inline(rules: Documents, one: Json) -> Document | None:
    content = await rules.content.found_in(one) if rules.content is not None else None
    if not isinstance(content, str):
        return None
    read = await beside(len(content), partial(base64_bytes, content))
    if read is None or len(read) > rules.max_mb * 1_000_000:
        return None
    if not await beside(len(read), partial(_is_whole, rules, one, read)):
        return None
    return Document(_name(rules, one), _kind(rules, one) or _UNKNOWN, read)


def _is_whole(rules: Documents, one: Json, content: bytes) -> bool:
    """Do the bytes match the size and the digest that the GRU states, if any?"""
    size = word(rules.size.read(one)) if rules.size is not None else None
    if size is not None and size != str(len(content)):
        return False
    digest = word(rules.sha256.read(one)) if rules.sha256 is not None else None
    return digest is None or digest.lower() == hashlib.sha256(content).hexdigest()


def _name(rules: Documents, one: Json) -> str:
    name = rules.filename.read(one)
    return name[:200] if isinstance(name, str) and name.strip() else "document"


def _kind(rules: Documents, one: Json) -> str | None:
    kind = rules.content_type.read(one) if rules.content_type is not None else None
    return kind if isinstance(kind, str) and kind else None


def _says_something(change: Change) -> bool:
    return bool(
        change.status or change.message or change.documents or change.unreadable or change.more
    )


__all__ = ["ItemReader", "is_public"]
