"""*Demande*: all that happened to one on one line of time, why it waits, what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.console.acting import ACTS
from gateway.console.sight import Sight
from gateway.console.sight_requests import ActOnRequest, RequestOrigins, acts_on, origins
from gateway.console.views.view import View
from gateway.console.words import ACTIONS, EVENTS, KINDS, ORIGINS, OUTCOMES, STATES, STATUSES, WHO
from gateway.core import reasons
from gateway.core.delivery import NEEDS_A_PERSON
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Attempt, EventSummary, StoredRequest, Trace, Untold


@dataclass(frozen=True, slots=True)
class WhyLine:
    """A link of the chain: the fact, what to do, who can; `next_at` is when the gateway acts by
    itself."""

    code: str
    what: str
    do: str
    who: str
    since: datetime | None
    next_at: datetime | None
    delivery: str


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A thing that happened. `kind` is a constant word: event, delivery, attempt, change, act."""

    at: datetime
    kind: str
    what: str
    detail: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery, or a GRU's change, that wants a person. `acts` are the names of those that fit
    its state."""

    id: str
    label: str
    state: str
    reason: str
    acts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequestPage:
    """The page: without a citizen's data."""

    title: str
    request: StoredRequest
    commune: str
    why: tuple[WhyLine, ...]
    next_at: datetime | None
    wanted: tuple[OpenDelivery, ...]
    timeline: tuple[TimeLine, ...]
    origins: RequestOrigins


async def load_request(sight: Sight, query: Mapping[str, str]) -> RequestPage:
    """Return a request of the reader's. Raises NotFound."""
    trace = await sight.trace(query.get("id", ""))
    why = tuple(
        WhyLine(
            code=one.code,
            what=one.said.what("fr"),
            do=one.said.remedy("fr"),
            who=WHO.get(one.who, one.who),
            since=one.since,
            next_at=one.next_at,
            delivery=one.delivery or "",
        )
        for one in await sight.causes(trace.request.id)
    )
    lines = [
        *map(_event, trace.events),
        *_deliveries(trace),
        *map(_change, trace.untold),
        *map(_act, await acts_on(sight, trace)),
    ]
    return RequestPage(
        title=f"Demande {trace.request.id}",
        request=trace.request,
        commune=sight.name_of(trace.request.commune),
        why=why,
        next_at=min((one.next_at for one in why if one.next_at is not None), default=None),
        wanted=tuple(_wanted(trace)),
        timeline=tuple(sorted(lines, key=lambda one: one.at)),
        origins=await origins(sight, trace),
    )


def _event(one: EventSummary) -> TimeLine:
    what = EVENTS.get(one.kind, str(one.kind))
    origin = ORIGINS.get(one.origin, str(one.origin))
    detail = STATUSES.get(one.status or "", one.status or "")
    return TimeLine(one.received_at, "event", f"{what}, {origin}", detail)


def _deliveries(trace: Trace) -> Iterator[TimeLine]:
    for one in trace.deliveries:
        kind = KINDS[one.kind.value]
        tried = trace.attempts.get(one.id, ())
        # A replay begins a new clock: it was owed before.
        owed = min([one.created_at, *(attempt.started_at for attempt in tried)])
        yield TimeLine(owed, "delivery", f"{kind} : à faire", f"{one.id}, {one.lane}")
        for attempt in tried:
            yield _attempt(one, attempt)
        if one.settled_at is not None:
            what = f"{kind} : {STATES[one.state.value]}"
            yield TimeLine(one.settled_at, "delivery", what, one.id)


def _attempt(delivery: Delivery, one: Attempt) -> TimeLine:
    action = ACTIONS.get(one.action, one.action)
    outcome = OUTCOMES.get(one.outcome, one.outcome)
    what = f"{KINDS[delivery.kind.value]} : essai {one.n} ({action}), {outcome}"
    why = reasons.of(one.reason).said.what("fr") if one.reason else ""
    # The adapter's own words are not French where they only repeat the reason.
    told = "" if one.detail == reasons.of(one.reason).en else one.detail
    made = f"fait avec {one.mapping}" if one.mapping else ""
    detail = " ; ".join(part for part in (why, told, f"{one.ms} ms", made) if part)
    failed = one.state not in ("done", "waiting") or bool(one.reason)
    return TimeLine(one.started_at, "attempt", what, detail, failed)


def _change(one: Untold) -> TimeLine:
    why = reasons.of(one.reason).said.what("fr")
    what = "Nouvelle de la GRU, pas encore transmise au citoyen"
    return TimeLine(one.received_at, "change", what, f"{why} {one.detail}".strip(), True)


def _act(one: ActOnRequest) -> TimeLine:
    because = f" Motif : {one.because}" if one.because else ""
    act = ACTS.get(one.kind)
    title = one.kind if act is None else act.title
    return TimeLine(one.at, "act", f"{one.by} : {title}", f"{one.target}.{because}")


def _wanted(trace: Trace) -> Iterator[OpenDelivery]:
    for one in trace.deliveries:
        if one.state in NEEDS_A_PERSON:
            said = reasons.of(one.reason).said.what("fr")
            label = KINDS[one.kind.value]
            yield OpenDelivery(one.id, label, one.state.value, said, acts_for(one.state.value))
    for change in trace.untold:
        said = reasons.of(change.reason).said.what("fr")
        label = "Nouvelle de la GRU"
        yield OpenDelivery(change.id, label, "untold", said, acts_for("untold"))


def acts_for(state: str) -> tuple[str, ...]:
    """Name the acts that fit the state of a delivery (`untold`: of a GRU's change)."""
    if state == "question":
        return ("delivery.yes", "delivery.no", "delivery.discard")
    return ("delivery.replay", "delivery.discard")


REQUEST: Final = View(
    name="request",
    title="Demande",
    path="/demandes/{id}",
    api="/requests/{id}",
    load=load_request,
    live=10,
)
