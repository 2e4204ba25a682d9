"""Reads an API that lists deleted accounts, page by page; its shape is configured."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

import httpx

from gateway.core.account import known_among, normal_account
from gateway.core.expression import Expression, ExpressionError
from gateway.core.moments import read_moment, write_moment
from gateway.sdk.cursors import read_cursor
from gateway.sdk.patience import LONGEST_READING, Patience
from gateway.wire.identity import Outage, ProviderReading
from gateway.wire.identity_call import IdentityAccess, fetch
from gateway.wire.identity_texts import say
from gateway.wire.synchronization import no_error

#: A list with more pages or accounts counts as endless.
MAX_PAGES = 10_000
MAX_ITEMS = 5_000_000
#: Time after which the list is read again from its beginning: a request may arrive long after its
#: citizen's deletion was listed.
FULL_EVERY = timedelta(days=1)
#: Dates of two machines differ; a deletion read twice is known already.
OVERLAP = timedelta(days=1)
#: A deletion dated later than that from now is an announcement, which may be taken back.
AHEAD = timedelta(minutes=15)
#: No deletion is older; a cursor from before is none.
_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
#: Answers that a list gives for a page that it has no more.
_NO_PAGE = frozenset({"malformed", "refused", "error_told"})
#: Pages that a check reads: the first, and the one that it leads to.
CHECKED = 2
_PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class DeletionsShape:
    """The shape of a list of deletions.

    `items`, `uuid` (in an item), `deleted_at` (in an item) and `next` (of the page) are
    expressions. `dates` is the form of times: `iso`, `epoch`, `epoch_ms` or a strptime pattern;
    without an offset they are Paris time. `next_param`: the query parameter for the value of
    `next`; None when that is an address. `since_param`: the parameter for the date to begin from.
    """

    path: str
    params: Mapping[str, str]
    items: Expression
    uuid: Expression
    deleted_at: Expression | None
    next: Expression | None
    dates: str
    next_param: str | None
    since_param: str | None


@dataclass(frozen=True, slots=True)
class _Mark:
    """The end of a run: the last page's place, the last deletion's date, the last full run."""

    page: str | None = None
    since: str | None = None
    full_at: str | None = None


@dataclass(frozen=True, slots=True)
class _WantedAccounts:
    """The accounts that a run looks for, in normal form: those we know, and the canary."""

    accounts: frozenset[str]
    canary: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class _Page:
    """One page. `listed` holds only accounts that we know, and the canary."""

    listed: frozenset[str]
    items: int
    skipped: int
    latest: datetime | None
    following: str | None


@dataclass(slots=True)
class _Run:
    listed: set[str] = field(default_factory=set)
    latest: datetime | None = None
    seen: set[str] = field(default_factory=set)
    calls: int = 0
    items: int = 0
    skipped: int = 0

    def add_page(self, page: _Page) -> None:
        self.listed |= page.listed
        self.items += page.items
        self.skipped += page.skipped
        if page.latest is not None:
            self.latest = page.latest if self.latest is None else max(self.latest, page.latest)


@dataclass(frozen=True, slots=True)
class Deletions:
    """The list at `base_url`. `canary` is an account that must not be in it."""

    base_url: str
    client: httpx.AsyncClient
    access: IdentityAccess
    shape: DeletionsShape
    now: Callable[[], datetime]
    canary: str | None = None

    async def read(self, known: Sequence[str], cursor: str | None) -> ProviderReading | Outage:
        """Read the list from `cursor` on; from its beginning once a day, and where the page is no
        more that the former run ended at."""
        mark, now = _mark_of(cursor), self.now()
        whole = _Mark(full_at=now.isoformat())
        if mark.full_at is None or now - datetime.fromisoformat(mark.full_at) >= FULL_EVERY:
            mark = whole
        told = await self._read(known, mark, MAX_PAGES)
        if isinstance(told, Outage) and mark.page is not None and told.reason in _NO_PAGE:
            return await self._read(known, whole, MAX_PAGES)
        return told

    async def check(self) -> ProviderReading | Outage:
        """Read the first page, and the one that it leads to."""
        return await self._read([], _Mark(), CHECKED)

    async def _read(
        self, known: Sequence[str], mark: _Mark, pages: int
    ) -> ProviderReading | Outage:
        asked = await asyncio.to_thread(_asked, known, self.canary, self.now())
        run, patience = _Run(), Patience(LONGEST_READING)
        place = mark.page
        while run.calls < pages:
            if patience.over:
                return Outage("timeout", say("no_end", count=run.calls))
            run.calls += 1
            page = await self._page(asked, place, mark.since)
            if isinstance(page, _Page):
                run.add_page(page)
                page = self._fault(run, page) or page
            if isinstance(page, Outage):
                return Outage(page.reason, say("at_page", n=run.calls, detail=page.detail))
            if page.following is None:
                break
            place = page.following
            run.seen.add(place)
        else:
            if pages == MAX_PAGES:
                return Outage("malformed", say("many_pages", count=MAX_PAGES))
        if run.items and run.skipped == run.items:
            return Outage("malformed", say("no_entry"))
        told = _Mark(place, None, mark.full_at)
        if self.shape.since_param is not None:
            latest = mark.since if run.latest is None else run.latest.isoformat()
            told = _Mark(None, latest, mark.full_at)
        gone = await asyncio.to_thread(known_among, known, run.listed)
        return ProviderReading(
            gone=gone,
            canary_gone=asked.canary in run.listed,
            positive=True,
            cursor=json.dumps({name: getattr(told, name) for name in _Mark.__slots__}),
            calls=run.calls,
            entries=run.items,
            skipped=run.skipped,
        )

    def _fault(self, run: _Run, page: _Page) -> Outage | None:
        if run.items > MAX_ITEMS:
            return Outage("malformed", say("many_accounts", count=MAX_ITEMS))
        if page.following in run.seen:
            return Outage("malformed", say("no_new_page"))
        return None

    async def _page(
        self, asked: _WantedAccounts, place: str | None, since: str | None
    ) -> _Page | Outage:
        url = self._url(place, since)
        if isinstance(url, Outage):
            return url

        def read(answer: Any) -> _Page | Outage:
            try:
                return self._parsed(answer, asked)
            except ExpressionError:
                return Outage("malformed", say("other_shape"))

        return await fetch(self.client, self.access, "GET", url, None, read)

    def _parsed(self, answer: Any, asked: _WantedAccounts) -> _Page | Outage:
        if isinstance(answer, dict) and not no_error(answer.get("err", 0)):
            return Outage("error_told", say("err_told"))
        items = self.shape.items.search(answer)
        if not isinstance(items, list):
            return Outage("malformed", say("no_list"))
        following = None if self.shape.next is None else self.shape.next.search(answer)
        if isinstance(following, int) and not isinstance(following, bool):
            following = str(following)
        if following in (None, "", False):
            following = None
        elif not isinstance(following, str):
            return Outage("malformed", say("no_new_page"))
        listed: set[str] = set()
        newest: datetime | None = None
        skipped = 0
        for item in items:
            try:
                account, at = self._item(item, asked)
            except (ExpressionError, ValueError):
                skipped += 1
                continue
            if account in asked.accounts:
                listed.add(account)
            if at is not None and (newest is None or at > newest):
                newest = at
        return _Page(frozenset(listed), len(items), skipped, newest, following)

    def _item(self, item: Any, asked: _WantedAccounts) -> tuple[str, datetime | None]:
        """Return the account and time of an entry's deletion. Raises ValueError for an unusable
        entry."""
        account = self.shape.uuid.search(item)
        if not isinstance(account, str) or not account.strip():
            raise ValueError("no uuid")
        account = normal_account(account)
        if self.shape.deleted_at is None or account == asked.canary:
            return account, None
        at = read_moment(self.shape.deleted_at.search(item), self.shape.dates, _PARIS)
        # Nobody is erased before the time that is told.
        if at is None or at > asked.now + AHEAD:
            raise ValueError("no date that can be")
        return account, min(at, asked.now)

    def _url(self, place: str | None, since: str | None) -> str | Outage:
        url = httpx.URL(self.base_url + self.shape.path).copy_merge_params(dict(self.shape.params))
        if place is not None and self.shape.next_param is None:
            following = urljoin(str(url), place)
            # Credentials go to the configured host alone.
            if urlsplit(following)[:2] != urlsplit(self.base_url)[:2]:
                return Outage("malformed", say("page_elsewhere"))
            return following
        if since is not None and self.shape.since_param is not None:
            begin = datetime.fromisoformat(since) - OVERLAP
            stamp = write_moment(begin, self.shape.dates, _PARIS)
            url = url.copy_set_param(self.shape.since_param, stamp)
        if place is not None and self.shape.next_param is not None:
            url = url.copy_set_param(self.shape.next_param, place)
        return str(url)


def _asked(known: Sequence[str], canary: str | None, now: datetime) -> _WantedAccounts:
    accounts = {normal_account(one) for one in known}
    if canary is not None:
        canary = normal_account(canary)
        accounts.add(canary)
    return _WantedAccounts(frozenset(accounts), canary, now)


def _mark_of(cursor: str | None) -> _Mark:
    """Read a cursor of ours; an unreadable one means the beginning, which is always right."""
    try:
        told = read_cursor(cursor)
        mark = _Mark(**{name: told.get(name) for name in _Mark.__slots__})
        for moment in (mark.since, mark.full_at):
            if moment is not None and datetime.fromisoformat(moment) < _OLDEST:
                return _Mark()
    except (ValueError, TypeError, AttributeError):
        return _Mark()
    return mark
