"""A list that comes in pages: by number, by offset, or by the address of the next one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.rest.answers import Also, Paging
from adapters.rest.call import Call
from adapters.rest.exchange import Exchange
from adapters.rest.expression import Expression, Json, Template
from gateway.sdk import Answer, Misconfigured, Outcome, Refused, TryLater, beside

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,<]*\brel="?next"?')


class Pages:
    """Iterate over (answer, its items), where `items` says where they are.

    `failure`: why it stopped early. `truncated`: `max_pages` were read and there were more.
    A short page is not the end of a list: a server gives as few at once as it likes. The end is a
    page shorter than the one before it, an empty one, one that brings the same again, or `total`.
    """

    def __init__(
        self,
        call: Call,
        paging: Paging,
        items: Expression | None,
        exchange: Exchange,
        scope: Mapping[str, Json],
        where: str = "list",
        expected: tuple[int, ...] = (),
    ) -> None:
        self._call = call
        self._paging = paging
        self._list = items
        self._exchange = exchange
        self._scope = scope
        self._where = where
        self._expected = expected
        self._count = 0
        self.failure: Outcome | None = None
        self.truncated = False

    async def __aiter__(self) -> AsyncIterator[tuple[Answer, list[Json]]]:
        paging = self._paging
        address: str | None = None
        full = paging.size if paging.style in ("page", "offset") else 0
        before: list[Json] | None = None
        for number in range(paging.max_pages):
            answer = await self._exchange.run(
                self._page(number),
                self._scope,
                safe=True,
                address=address,
                expected=self._expected,
            )
            if number and isinstance(answer, Refused):
                return  # some say so of a page past the end
            if not isinstance(answer, Answer):
                self.failure = answer
                return
            if answer.status in self._expected:
                return
            items = answer.value
            if self._list is not None:
                items = await beside(answer.size, partial(self._list.read, answer.value))
            if not isinstance(items, list):
                path = "the answer" if self._list is None else self._list.text
                self.failure = Misconfigured("no_list", f"{self._where}: {path} is no list")
                return
            if before is not None and items == before:
                self._settle(answer)
                if len(items) >= paging.size:
                    self.failure = TryLater("list_cut", f"{self._where}: the same page again")
                return
            self._count += len(items)
            yield answer, items
            if paging.style == "none":
                self._settle(answer)
                return
            if paging.style == "link":
                following = self._next(answer)
                if following is None:
                    return
                address = self._exchange.within(following)
                if address is None:
                    self.failure = Misconfigured("foreign_link", "the next page is elsewhere")
                    return
                continue
            if self._ended(answer, items, full):
                return
            full = min(full, len(items))
            before = items
        # One page that is not full is all that was asked for.
        self.truncated = paging.max_pages > 1 or self._count >= paging.size

    def _ended(self, answer: Answer, items: list[Json], full: int) -> bool:
        total = self._total(answer)
        if not items:
            self._settle(answer)
            return True
        if total is not None:
            return self._count >= total
        # The first page may be short because the server gives no more at once.
        return len(items) < full and self._count > len(items)

    def _settle(self, answer: Answer) -> None:
        """The list ended: does the GRU say that there is more?"""
        total = self._total(answer)
        if total is not None and total > self._count:
            self.failure = TryLater("list_cut", f"{self._where}: {self._count} of {total} items")

    def _total(self, answer: Answer) -> int | None:
        if self._paging.total is None:
            return None
        told = self._paging.total.read(answer.value)
        if isinstance(told, str) and told.isdigit() and len(told) < 12:
            return int(told)
        return told if isinstance(told, int) and not isinstance(told, bool) else None

    def _page(self, number: int) -> Call:
        paging = self._paging
        added: dict[str, Any] = {}
        if paging.size_param is not None:
            added[paging.size_param] = paging.size
        if paging.style == "page":
            added[paging.param] = paging.first + number
        elif paging.style == "offset":
            added[paging.param] = self._count
        if not added:
            return self._call
        query = {**self._call.query, **{k: Template.parse(v) for k, v in added.items()}}
        return self._call.model_copy(update={"query": query})

    def _next(self, answer: Answer) -> str | None:
        if self._paging.next is not None:
            told = self._paging.next.read(answer.value)
            return told if isinstance(told, str) and told else None
        found = _NEXT.search(answer.headers.get("link", ""))
        return found.group(1) if found else None


async def read_all(call: Also, exchange: Exchange, scope: Mapping[str, Json]) -> Answer | Outcome:
    """What a further read gives, as the answer's body: its `content`, of all pages."""
    if call.paging.style == "none" and call.paging.total is None:
        answer = await exchange.run(call, scope, safe=True)
        if not isinstance(answer, Answer):
            return answer
        return replace(answer, value=call.content.read(answer.value))
    pages = Pages(call, call.paging, call.content, exchange, scope, where=call.path.text)
    together: list[Json] = []
    last: Answer | None = None
    async for answer, items in pages:
        together += items
        last = answer
    if pages.failure is not None:
        return pages.failure
    if pages.truncated or last is None:
        return TryLater("list_cut", f"{call.path.text}: more than max_pages hold")
    return replace(last, value=together)


__all__ = ["Pages", "read_all"]
