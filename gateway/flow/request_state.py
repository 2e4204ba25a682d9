"""The state of a request, as the portal's workflow reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.catalogue import Route
from gateway.core.delivery import FINAL, State
from gateway.core.status import PORTAL_WORDS, Status
from gateway.store.engine import Store
from gateway.store.outbox import backlog
from gateway.store.rows import StoredRequest

_OPEN = [state for state in State if state not in FINAL]


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request's state. `word` is the mapping's for its status; `link` and `gru_reference` are the
    GRU's, once known. `since` is when it got this status."""

    id: str
    commune: str
    teleservice: str
    status: Status
    word: str
    since: datetime
    gru_reference: str | None
    link: str | None


def state_of(request: StoredRequest, route: Route | None) -> RequestState:
    """Return the state of a request. `route` is None when it was removed since."""
    words = {} if route is None else route.mapping.portal.words
    return RequestState(
        id=request.id,
        commune=request.commune,
        teleservice=request.teleservice,
        status=request.status,
        word=words.get(request.status, PORTAL_WORDS[request.status]),
        since=request.status_at,
        gru_reference=request.gru_reference,
        link=request.gru_link,
    )


async def is_owed(store: Store, request_id: str) -> bool:
    """Is a delivery of a request pending, to the GRU or to the portal?"""
    found = await store.read(backlog.listing, states=_OPEN, request_id=request_id, limit=1)
    return bool(found)
