"""Lists that come in pages: by number, by offset, or by the address of the next page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from adapters.rest.answers import Also, Paging
from adapters.rest.exchange import Exchange
from adapters.rest.expression import Json, RestExpression, Template
from gateway.sdk import Answer, Misconfigured, Outcome, Patience, Refused, TryLater

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,<]*\brel="?next"?')


#: So many calls of one reading ask for less than a page, because a whole one is too large.
_SMALLER_CALLS = 200
#: So many items one after the other may be too large by themselves.
_IN_A_ROW = 5


@dataclass(slots=True)
class _Part:
    """A part of the list: the range of its items. `ended`: the list ended within it."""

    at: int
    end: int
    ended: bool = False


class Pages:
    """Iterates over pairs of an answer and its items, which are at `items`.

    `failure`: the reason why it stopped early. `truncated`: `max_pages` were read and there were
    more, or `patience` is over (then `failure` says so too). A short page is not the end of a list,
    since a server may limit its pages. The end is a page shorter than the one before it, an empty
    page, a repeated page, or `total`.

    A page larger than an answer may be is asked for again in smaller pages, if the call states a
    size. An item that is too large alone is passed over; `passed_over` counts them.
    """

    def __init__(
        self,
        call: Any,
        paging: Paging,
        items: RestExpression | None,
        exchange: Exchange,
        scope: Mapping[str, Json],
        where: str = "list",
        expected: tuple[int, ...] = (),
        patience: Patience | None = None,
    ) -> None:
        self._call = call
        self._paging = paging
        self._list = items
        self._exchange = exchange
        self._scope = scope
        self._where = where
        self._expected = expected
        self._patience = patience
        self._count = 0
        self.failure: Outcome | None = None
        self.truncated = False
        self.passed_over = 0
        self._calls_left = _SMALLER_CALLS

    async def __aiter__(self) -> AsyncIterator[tuple[Answer, list[Json]]]:
        paging = self._paging
        address: str | None = None
        full = paging.size if paging.style in ("page", "offset") else 0
        before: list[Json] | None = None
        known = False  # is `full` what the server gives at once?
        for number in range(paging.max_pages):
            if number and self._too_long():
                return
            answer = await self._ask(self._page(number), address)
            if _too_large(answer) and self._divisible:
                start = number * full if paging.style == "page" else self._count
                part = _Part(start, start + full)
                async for smaller in self._in_smaller(part, answer):
                    yield smaller
                if part.ended or self.failure is not None:
                    return
                before = None
                continue
            page = await self._read(answer, later=number > 0)
            if page is None or await self._repeated(page, before):
                return
            answer, items = page
            self._count += len(items)
            yield answer, items
            if paging.style == "none":
                await self._settle(answer)
                return
            if paging.style == "link":
                address = await self._next(answer)
                if address is None:
                    return
                continue
            if await self._ended(answer, items, full if known else 0):
                return
            full, known = min(full, len(items)), True
            before = items
        # One page that is not full is all that was asked for.
        self.truncated = paging.max_pages > 1 or self._count >= paging.size

    def _too_long(self) -> bool:
        if self._patience is None or not self._patience.over:
            return False
        self.failure = TryLater("poll_too_long", f"{self._where}: {self._count} items were read")
        self.truncated = True
        return True

    @property
    def _divisible(self) -> bool:
        return self._paging.style in ("page", "offset") and self._paging.size_param is not None

    async def _ask(self, call: Any, address: str | None = None) -> Answer | Outcome:
        return await self._exchange.run(
            call, self._scope, safe=True, address=address, expected=self._expected
        )

    async def _read(
        self, answer: Answer | Outcome, *, later: bool
    ) -> tuple[Answer, list[Json]] | None:
        """Read a page and its items. None where the list has ended, or with `failure` where it
        fails."""
        if later and isinstance(answer, Refused):
            return None  # some say so of a page past the end
        if not isinstance(answer, Answer):
            self.failure = answer
            return None
        if answer.status in self._expected:
            return None
        items = await self._items(answer)
        return None if items is None else (answer, items)

    async def _repeated(self, page: tuple[Answer, list[Json]], before: list[Json] | None) -> bool:
        """Is this the same page as the one before? Then the list has ended, or is cut."""
        answer, items = page
        if before is None or items != before:
            return False
        await self._settle(answer)
        if len(items) >= self._paging.size:
            self.failure = TryLater("list_cut", f"{self._where}: the same page again")
        return True

    async def _items(self, answer: Answer) -> list[Json] | None:
        """Return the page's items. None, with `failure`, where there is no list."""
        if answer.empty and answer.status != 204:
            self.failure = TryLater("unreadable_answer", f"{self._where}: an empty answer")
            return None
        items = answer.value
        if self._list is not None:
            items = await self._list.found_in(answer.value)
        if isinstance(items, list):
            return items
        path = "the answer" if self._list is None else self._list.text
        self.failure = Misconfigured("no_list", f"{self._where}: {path} is no list")
        return None

    async def _in_smaller(
        self, part: _Part, failure: Outcome
    ) -> AsyncIterator[tuple[Answer, list[Json]]]:
        """Yield a part of the list that is too large for one answer, in smaller pages.

        Their size divides the part's length, so that page numbers give their places.
        """
        length = part.end - part.at
        most = length // 2
        proven, in_a_row = 1, 0
        while part.at < part.end:
            size = _dividing(length, min(most, part.end - part.at), part.at)
            if self._too_long():
                return
            if not self._calls_left or size < 1:
                self.failure = failure
                return
            self._calls_left -= 1
            answer = await self._ask(self._page(part.at // size, size))
            if _too_large(answer):
                if size > 1:
                    most = size // 2
                    continue
                in_a_row += 1
                if in_a_row > _IN_A_ROW:  # it is not a row: the far end heeds no size
                    self.failure = failure
                    return
                self.passed_over += 1
                self._count += 1
                part.at, most = part.at + 1, proven
                continue
            in_a_row = 0
            if part.at and isinstance(answer, Refused):
                part.ended = True
                return
            if not isinstance(answer, Answer):
                self.failure = answer
                return
            items = [] if answer.status in self._expected else await self._items(answer)
            if items is None:
                return
            if not items:
                part.ended = True
                await self._settle(answer)
                return
            most = min(most, len(items))
            proven = max(proven, min(len(items), size))
            self._count += len(items)
            part.at += len(items)
            yield answer, items

    async def _ended(self, answer: Answer, items: list[Json], full: int) -> bool:
        total = await self._total(answer)
        if not items:
            await self._settle(answer)
            return True
        if total is not None:
            return self._count >= total
        # The first page may be short because the server gives no more at once.
        return len(items) < full

    async def _settle(self, answer: Answer) -> None:
        """Does the GRU say, at the end of the list, that there are more items?"""
        total = await self._total(answer)
        if total is not None and total > self._count:
            self.failure = TryLater("list_cut", f"{self._where}: {self._count} of {total} items")

    async def _total(self, answer: Answer) -> int | None:
        if self._paging.total is None:
            return None
        told = await self._paging.total.found_in(answer.value)
        if isinstance(told, str) and told.isdigit() and len(told) < 12:
            return int(told)
        return told if isinstance(told, int) and not isinstance(told, bool) else None

    def _page(self, number: int, size: int | None = None) -> Any:
        paging = self._paging
        added: dict[str, Any] = {}
        if paging.size_param is not None:
            added[paging.size_param] = size or paging.size
        if paging.style == "page":
            added[paging.param] = paging.first + number
        elif paging.style == "offset":
            added[paging.param] = self._count
        if not added:
            return self._call
        query = {**self._call.query, **{k: Template.parse(v) for k, v in added.items()}}
        return self._call.model_copy(update={"query": query})

    async def _next(self, answer: Answer) -> str | None:
        """Return the next page's address. None where there is none, or with `failure` for a foreign
        address."""
        if self._paging.next is not None:
            told = await self._paging.next.found_in(answer.value)
        else:
            found = _NEXT.search(answer.headers.get("link", ""))
            told = found.group(1) if found else None
        if not isinstance(told, str) or not told:
            return None
        address = self._exchange.within(told)
        if address is None:
            self.failure = Misconfigured("foreign_link", "the next page is elsewhere")
        return address


def _too_large(answer: Answer | Outcome) -> TypeGuard[TryLater]:
    return isinstance(answer, TryLater) and answer.reason == "answer_too_large"


def _dividing(length: int, most: int, place: int) -> int:
    """Return the largest size, at most `most`, that divides both the length and the beginning of a
    part."""
    return next((n for n in range(most, 0, -1) if length % n == 0 and place % n == 0), 0)


async def read_all(call: Also, exchange: Exchange, scope: Mapping[str, Json]) -> Answer | Outcome:
    """Return the answer of a further read: its `content`, of all pages."""
    if call.paging.style == "none" and call.paging.total is None:
        answer = await exchange.run(call, scope, safe=True)
        if not isinstance(answer, Answer):
            return answer
        return replace(answer, value=await call.content.found_in(answer.value))
    pages = Pages(call, call.paging, call.content, exchange, scope, where=call.path.text)
    together: list[Json] = []
    last: Answer | None = None
    async for answer, items in pages:
        together += items
        last = answer
    if pages.failure is not None:
        return pages.failure
    if pages.passed_over:
        return TryLater("item_too_large", f"{call.path.text}: larger than an answer may be")
    if pages.truncated or last is None:
        return TryLater("list_cut", f"{call.path.text}: more than max_pages hold")
    return replace(last, value=together)


__all__ = ["Pages", "read_all"]
