"""A list that comes in pages: by number, by offset, or by the address of the next one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from adapters.rest.exchange import Exchange
from adapters.rest.expression import Json, Template
from adapters.rest.options import Statuses
from adapters.rest.reading import Answer
from gateway.sdk import Misconfigured, Outcome

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,<]*\brel="?next"?')


class Pages:
    """Iterate over the answers; tell how many items each had with `saw` before the next.

    `failure`: why it stopped early. `truncated`: `max_pages` were read and there were more.
    """

    def __init__(self, rules: Statuses, exchange: Exchange, scope: Mapping[str, Json]) -> None:
        self._rules = rules
        self._exchange = exchange
        self._scope = scope
        self._count = 0
        self._items = 0
        self.failure: Outcome | None = None
        self.truncated = False

    def saw(self, count: int) -> None:
        self._count = count
        self._items += count

    async def __aiter__(self) -> AsyncIterator[Answer]:
        paging = self._rules.paging
        address: str | None = None
        for number in range(paging.max_pages):
            answer = await self._exchange.run(
                self._page(number), self._scope, safe=True, address=address
            )
            if not isinstance(answer, Answer):
                self.failure = answer
                return
            self._count = 0
            yield answer
            if paging.style == "none" or not self._count:
                return
            if paging.style == "link":
                following = self._next(answer)
                if following is None:
                    return
                address = self._exchange.within(following)
                if address is None:
                    self.failure = Misconfigured("foreign_link", "the next page is elsewhere")
                    return
            elif self._count < paging.size:
                return
        self.truncated = True

    def _page(self, number: int) -> Statuses:
        paging = self._rules.paging
        added: dict[str, Any] = {}
        if paging.size_param is not None:
            added[paging.size_param] = paging.size
        if paging.style == "page":
            added[paging.param] = paging.first + number
        elif paging.style == "offset":
            added[paging.param] = self._items
        if not added:
            return self._rules
        query = {**self._rules.query, **{k: Template.parse(v) for k, v in added.items()}}
        return self._rules.model_copy(update={"query": query})

    def _next(self, answer: Answer) -> str | None:
        if self._rules.paging.next is not None:
            told = self._rules.paging.next.read(answer.body)
            return told if isinstance(told, str) and told else None
        found = _NEXT.search(answer.headers.get("link", ""))
        return found.group(1) if found else None
