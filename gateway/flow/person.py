"""Gives a person all that is held about them: rows of each request, one at a time, and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.account import normal_account
from gateway.core.errors import Conflict, NotFound
from gateway.core.request import Attachment
from gateway.flow.environment import Environment
from gateway.flow.files import FileOpener
from gateway.flow.links import LinkRegister
from gateway.flow.texts import say
from gateway.store import person, requests
from gateway.store.engine import Store
from gateway.store.person import HeldRequest
from gateway.store.reading import request_by_id
from gateway.store.rows import StoredRequest

#: Requests of one person that are exported at once; nobody had so many.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class HeldPerson:
    """A person: the account, if they have one, and the ids of their requests."""

    account: str | None
    requests: tuple[str, ...]


async def find_person(
    store: Store, links: LinkRegister | None, *, account: str | None, request: str | None
) -> HeldPerson:
    """Find a person by the account, or by any number of one request: ours, the portal's, the GRU's.

    A request of an account stands for all of the account's. Raises NotFound; Conflict for a number
    that several requests have, and for more than `MOST` requests.
    """
    if request is not None:
        found = await store.read(requests.search, request)
        if not found:
            raise NotFound(say("no_request", id=request))
        if len(found) > 1:
            ids = tuple(one.id for one in found)
            raise Conflict(say("several_requests", id=request, ids=ids))
        account = await store.read(person.account_of, found[0].id)
        if account is None:
            return HeldPerson(None, (found[0].id,))
    if account is None:
        raise NotFound(say("no_account"))
    theirs = await store.read(person.requests_of, account)
    if len(theirs) > MOST:
        raise Conflict(say("too_many_requests", count=len(theirs), most=MOST))
    linked = links is not None and await links.of_account(normal_account(account))
    if not theirs and not linked:
        raise NotFound(say("no_account"))
    return HeldPerson(account, tuple(theirs))


async def stored_requests(store: Store, found: HeldPerson) -> list[StoredRequest]:
    """Return a person's requests."""
    known = [await store.read(request_by_id, one) for one in found.requests]
    return [one for one in known if one is not None]


async def held_requests(store: Store, found: HeldPerson) -> AsyncIterator[HeldRequest]:
    """Yield what the tables have, request by request; one at a time is in memory."""
    for request_id in found.requests:
        one = await store.read(person.held, request_id)
        if one is not None:
            yield one


async def rows_of_account(
    store: Store, links: LinkRegister | None, found: HeldPerson
) -> dict[str, Any]:
    """Return the rows that name the account apart from its requests: links with accounts at
    communes' portals, and what is under way to its deletion."""
    if found.account is None:
        return {}
    linked = [] if links is None else await links.of_account(normal_account(found.account))
    return {"links": linked, **await store.read(person.rows_of_account, found.account)}


def file_pieces(opener: FileOpener, row: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yield the bytes of a stored file."""
    names = ("field", "filename", "content_type", "size", "sha256", "address")
    return opener.of(Attachment(**{name: row[name] for name in names})).pieces()


async def record_export(
    store: Store, found: HeldPerson, by: str, why: str, environment: Environment
) -> None:
    """Record who is about to be given it, and why. Raises Unavailable."""
    ids = list(found.requests)
    await store.write(person.record_export, ids, by, why, environment.now())
