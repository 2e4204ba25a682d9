"""Asking the identity provider who is gone: one port, two sources.

`Synchronization` is Authentic's `POST /api/users/synchronization/`: of the accounts we know, which
does it not know now (authentic-glc.md, 2.1)? `Deletions` is an API that lists deleted accounts,
whose shape is configured. Both answer for a whole run or not at all: whatever fails, is malformed
or contradicts itself makes the run an `Outage`, and an outage proves nothing about anybody.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from gateway.core.expression import Expression, ExpressionError
from gateway.core.outcome import Outcome
from gateway.sdk.http import classify_error, classify_status
from gateway.wire.signature import sign_url

#: How many accounts one call asks about; the far end's limit on bodies is not documented.
BATCH = 500
#: A list longer than this is one that never ends.
MAX_PAGES = 10_000
#: The list is read again from its beginning this often: a request of somebody whose deletion was
#: told long ago may arrive late.
FULL_EVERY = timedelta(days=1)
#: Dates of two machines differ; what is read twice is known already.
OVERLAP = timedelta(days=1)
#: A token is left this long before it ends.
LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Told:
    """A whole run. `gone` holds accounts among those we know; `positive`: told to be deleted.

    `cursor` is where the next run begins, `calls` how many this one took.
    """

    gone: frozenset[str]
    canary_gone: bool
    positive: bool
    cursor: str | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Outage:
    """The run is void. `reason` is a constant word; `detail` holds no personal data."""

    reason: str
    detail: str = ""


class IdentitySource(Protocol):
    """Who, of the accounts we know, is gone?"""

    async def read(self, known: Sequence[str], cursor: str | None) -> Told | Outage: ...


class Access(Protocol):
    """How a call proves who we are: its URL and headers, ready to be sent."""

    async def prove(self, url: str) -> tuple[str, Mapping[str, str]] | Outage: ...


@dataclass(frozen=True, slots=True)
class BasicAccess:
    """HTTP Basic: an API client of Authentic."""

    username: str
    password: str = field(repr=False)

    async def prove(self, url: str) -> tuple[str, Mapping[str, str]]:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return url, {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True, slots=True)
class SignedAccess:
    """Publik's signature, for services that the platform knows."""

    orig: str
    key: str = field(repr=False)
    now: Callable[[], datetime]
    nonce: Callable[[], str]

    async def prove(self, url: str) -> tuple[str, Mapping[str, str]]:
        signed = sign_url(url, self.key, orig=self.orig, now=self.now(), nonce=self.nonce())
        return signed, {}


@dataclass(slots=True)
class OAuth2Access:
    """RFC 6749 client credentials. Stock Authentic offers none; other providers do."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None
    client: httpx.AsyncClient
    now: Callable[[], datetime]
    _token: str | None = field(default=None, repr=False)
    _ends: datetime | None = None

    async def prove(self, url: str) -> tuple[str, Mapping[str, str]] | Outage:
        if self._token is None or (self._ends is not None and self.now() >= self._ends):
            outage = await self._fetch()
            if outage is not None:
                return outage
        return url, {"Authorization": f"Bearer {self._token}"}

    async def _fetch(self) -> Outage | None:
        self._token = None
        client = ClientAuth(self.client_id, self.client_secret, "client_secret_basic")
        body = prepare_token_request("client_credentials", scope=self.scope, redirect_uri=None)
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        url, headers, body = client.prepare("POST", self.token_url, headers, body)
        answer = await _send(self.client, httpx.Request("POST", url, headers=headers, content=body))
        if isinstance(answer, Outage):
            return Outage("no_token", answer.detail)
        token, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable() and token):
            return Outage("no_token", "the token endpoint gave no access_token")
        self._token, self._ends = token, None
        if isinstance(life, int | float) and not isinstance(life, bool) and 0 <= life < 1e9:
            self._ends = self.now() + max(timedelta(), timedelta(seconds=life) - LEEWAY)
        return None


@dataclass(frozen=True, slots=True)
class Synchronization:
    """Authentic: which of these accounts do you not know? `canary` is one that must be known."""

    base_url: str
    client: httpx.AsyncClient
    access: Access
    canary: str | None = None
    batch: int = BATCH

    async def read(self, known: Sequence[str], cursor: str | None) -> Told | Outage:
        """Ask about all of `known`. One batch that fails voids the run."""
        asked = sorted({*known, *([self.canary] if self.canary else [])})
        gone: set[str] = set()
        calls = 0
        for at in range(0, len(asked), self.batch):
            part = asked[at : at + self.batch]
            answer = await self._ask(part)
            calls += 1
            if isinstance(answer, Outage):
                return Outage(answer.reason, f"call {calls}: {answer.detail}")
            gone |= answer
        canary_gone = self.canary in gone
        return Told(frozenset(gone - {self.canary}), canary_gone, False, cursor, calls)

    async def _ask(self, part: list[str]) -> frozenset[str] | Outage:
        url = f"{self.base_url}/api/users/synchronization/"
        answer = await _call(self.client, self.access, "POST", url, {"known_uuids": part})
        if isinstance(answer, Outage):
            return answer
        if not _no_error(answer.get("err")):
            return Outage("error_told", "HTTP 200 with an `err` that is not 0")
        unknown = answer.get("unknown_uuids")
        if not isinstance(unknown, list) or not all(isinstance(one, str) for one in unknown):
            return Outage("malformed", "no list of unknown_uuids")
        found = frozenset(unknown)
        if not found <= set(part):
            return Outage("malformed", "accounts that were not asked about")
        return found


@dataclass(frozen=True, slots=True)
class Shape:
    """How a list of deletions looks.

    `items`, `uuid` (within an item), `deleted_at` (within an item) and `next` (of the page) are
    expressions. `next_param`: the query parameter that takes the value of `next`; None when it is
    an address. `since_param`: the query parameter that takes the date to begin from.
    """

    path: str
    params: Mapping[str, str]
    items: Expression
    uuid: Expression
    deleted_at: Expression | None
    next: Expression | None
    next_param: str | None = None
    since_param: str | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a run left off: the last page's place, the last deletion's date, the last full run."""

    page: str | None = None
    since: str | None = None
    full_at: str | None = None


@dataclass(slots=True)
class _Pages:
    listed: set[str] = field(default_factory=set)
    latest: datetime | None = None
    seen: set[str] = field(default_factory=set)
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Deletions:
    """An API that lists deleted accounts, page by page."""

    base_url: str
    client: httpx.AsyncClient
    access: Access
    shape: Shape
    now: Callable[[], datetime]
    canary: str | None = None

    async def read(self, known: Sequence[str], cursor: str | None) -> Told | Outage:
        """Read the list from `cursor` on, and once a day from its beginning."""
        mark, now = _mark(cursor), self.now()
        full = mark.full_at is None or now - datetime.fromisoformat(mark.full_at) >= FULL_EVERY
        if full:
            mark = _Mark(full_at=now.isoformat())
        pages = _Pages()
        place = mark.page
        while True:
            try:
                answer = await self._page(pages, place, mark.since)
            except ExpressionError:
                answer = Outage("malformed", "not of the configured shape")
            if isinstance(answer, Outage):
                return Outage(answer.reason, f"page {pages.calls}: {answer.detail}")
            if answer is None:
                break
            place = answer
        told = _Mark(place, None, mark.full_at)
        if self.shape.since_param is not None:
            latest = mark.since if pages.latest is None else pages.latest.isoformat()
            told = _Mark(None, latest, mark.full_at)
        return Told(
            gone=frozenset(pages.listed & set(known)),
            canary_gone=self.canary in pages.listed,
            positive=True,
            cursor=json.dumps({name: getattr(told, name) for name in _Mark.__slots__}),
            calls=pages.calls,
        )

    async def _page(
        self, pages: _Pages, place: str | None, since: str | None
    ) -> str | Outage | None:
        """Read one page into `pages`; the place of the next one, None after the last."""
        pages.calls += 1
        url = self._url(place, since)
        if isinstance(url, Outage):
            return url
        answer = await _call(self.client, self.access, "GET", url, None)
        if isinstance(answer, Outage):
            return answer
        if not _no_error(answer.get("err", 0)):
            return Outage("error_told", "HTTP 200 with an `err` that is not 0")
        items = self.shape.items.search(answer)
        if not isinstance(items, list):
            return Outage("malformed", "no list of accounts")
        if not items and pages.calls > 1:
            return Outage("pages_missing", "an empty page where more was promised")
        for item in items:
            fault = self._item(pages, item)
            if fault is not None:
                return fault
        following = None if self.shape.next is None else self.shape.next.search(answer)
        if following in (None, "", False):
            return None
        if isinstance(following, int):
            following = str(following)
        if not isinstance(following, str) or following in pages.seen or pages.calls >= MAX_PAGES:
            return Outage("malformed", "the next page leads nowhere new")
        pages.seen.add(following)
        return following

    def _item(self, pages: _Pages, item: Any) -> Outage | None:
        uuid = self.shape.uuid.search(item)
        if not isinstance(uuid, str) or not uuid:
            return Outage("malformed", "an account without its uuid")
        if self.shape.deleted_at is not None:
            raw = self.shape.deleted_at.search(item)
            try:
                at = datetime.fromisoformat(raw)
            except (TypeError, ValueError):
                return Outage("malformed", "a deletion without its date")
            at = at.replace(tzinfo=at.tzinfo or UTC)
            if at > self.now() + OVERLAP:
                return Outage("malformed", "a deletion in the future")
            pages.latest = at if pages.latest is None else max(pages.latest, at)
        pages.listed.add(uuid)
        return None

    def _url(self, place: str | None, since: str | None) -> str | Outage:
        url = httpx.URL(self.base_url + self.shape.path).copy_merge_params(dict(self.shape.params))
        if place is not None and self.shape.next_param is None:
            following = urljoin(str(url), place)
            # The credentials go to the configured host alone.
            if urlsplit(following)[:2] != urlsplit(self.base_url)[:2]:
                return Outage("malformed", "the next page is elsewhere")
            return following
        if since is not None and self.shape.since_param is not None:
            begin = (datetime.fromisoformat(since) - OVERLAP).astimezone(UTC)
            stamp = begin.isoformat().replace("+00:00", "Z")
            url = url.copy_set_param(self.shape.since_param, stamp)
        if place is not None and self.shape.next_param is not None:
            url = url.copy_set_param(self.shape.next_param, place)
        return str(url)


def _mark(cursor: str | None) -> _Mark:
    """A cursor of ours; one that cannot be read means the beginning, which is always right."""
    try:
        told = json.loads(cursor or "{}")
        mark = _Mark(**{name: told.get(name) for name in _Mark.__slots__})
        for moment in (mark.since, mark.full_at):
            if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
                return _Mark()
    except (ValueError, TypeError, AttributeError):
        return _Mark()
    return mark


def _no_error(err: Any) -> bool:
    return isinstance(err, int) and not isinstance(err, bool) and err == 0


async def _call(
    client: httpx.AsyncClient, access: Access, method: str, url: str, body: Any
) -> dict[str, Any] | Outage:
    proven = await access.prove(url)
    if isinstance(proven, Outage):
        return proven
    where, headers = proven
    content = None if body is None else json.dumps(body).encode()
    kinds = {"Accept": "application/json"}
    if content is not None:
        kinds["Content-Type"] = "application/json"
    request = httpx.Request(method, where, headers={**kinds, **headers}, content=content)
    return await _send(client, request)


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> dict[str, Any] | Outage:
    """The JSON object that came with HTTP 200; nothing else counts."""
    for name, value in client.headers.items():
        request.headers.setdefault(name, value)
    # A request built by hand does not take the client's limits by itself.
    request.extensions["timeout"] = client.timeout.as_dict()
    try:
        response = await client.send(request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _outage(classify_error(error, safe=True))
    failed = classify_status(response, safe=True)
    if failed is not None:
        return _outage(failed)
    if response.status_code != 200:
        return Outage("malformed", f"HTTP {response.status_code}")
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return Outage("malformed", "the answer is not JSON")
    return answer if isinstance(answer, dict) else Outage("malformed", "not a JSON object")


def _outage(outcome: Outcome) -> Outage:
    return Outage(getattr(outcome, "reason", "refused"), getattr(outcome, "detail", ""))


__all__ = [
    "BasicAccess",
    "Deletions",
    "IdentitySource",
    "OAuth2Access",
    "Outage",
    "Shape",
    "SignedAccess",
    "Synchronization",
    "Told",
]
