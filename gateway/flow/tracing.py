"""Makes the spans of requests: the push, what is owed and waits, each attempt.

    request                      the portal's push (its parent: the caller's own span)
      push                       a later event of the portal
      submit, amend, report ...  a delivery, from the moment that it is owed until it is over
        wait                     before its first attempt
        attempt                  each call of a far end

A span holds our reference, names of the configuration and constant words: nothing of a person.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import httpx

from gateway import __version__
from gateway.catalogue.catalogue import TraceSettings
from gateway.core.canary import is_canary
from gateway.core.delivery import State
from gateway.core.tracing import TraceContext, is_sampled, read_stored_context, root_of, span_id
from gateway.flow.environment import Environment
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import SettlementWrite
from gateway.wire.clients import open_client
from gateway.wire.otlp import Span, SpanExporter, encoded

#: The collector, where others are lanes.
TRACES: Final = "traces"
#: Seconds for what is left at a stop.
_FLUSH: Final = 2.0

#: A delivery's span ends here. What a person sends again after that has it once more, longer.
_OVER = frozenset({State.DONE, State.DISCARDED, State.PARKED, State.DEAD, State.QUESTION})
_GOOD = frozenset({State.DONE, State.DISCARDED})


@dataclass(frozen=True, slots=True)
class TracedPush:
    """A push, for its span. `kind`: of the event; `made`: its request is new;
    `stored`: the caller's place in a trace, as it lies with the request."""

    request: str
    kind: str
    made: bool
    stored: str | None
    caller: TraceContext | None


@dataclass(frozen=True, slots=True)
class Traces:
    """Makes spans, and gives them to `offer`. One per process."""

    settings: TraceSettings
    environment: Environment
    offer: Callable[[Sequence[Span]], None]
    #: Spans since the start, by what became of them.
    counts: Mapping[str, int] = field(default_factory=Counter)

    def pushed(self, push: TracedPush, route: str, status: int, seconds: float) -> None:
        """Take note of a push that was answered."""
        root, parent = self._root(push.request, push.stored)
        if not is_sampled(root.trace_id, self.settings.share):
            return
        ended = self.environment.now()
        attributes: dict[str, str | int | bool] = {
            "http.route": route,
            "http.response.status_code": status,
            "gateway.request": push.request,
            "gateway.event": push.kind,
        }
        link = None
        mine, name, above = root.span_id, "request", parent
        if not push.made:
            mine = span_id("push", push.request, ended.isoformat(), str(seconds))
            name, above = "push", root.span_id
            if push.caller is not None and push.caller.trace_id != root.trace_id:
                link = (push.caller.trace_id, push.caller.span_id)
        began = ended - timedelta(seconds=seconds)
        self.offer(
            [
                Span(
                    name,
                    "SERVER",
                    root.trace_id,
                    mine,
                    above,
                    _nanoseconds(began),
                    _nanoseconds(ended),
                    attributes,
                    None if status < 500 else str(status),
                    link,
                )
            ]
        )

    def passed_on(self, claimed: Claimed) -> str | None:
        """Return the `traceparent` for the far end of an attempt; None where it is to have none."""
        kind = "gru" if claimed.delivery.lane == claimed.request.gru_lane else "portal"
        if kind not in self.settings.pass_on:
            return None
        root = self._traced(claimed)
        if root is None:
            return None
        return TraceContext(root.trace_id, _attempt_id(claimed)).header

    def attempted(self, claimed: Claimed, write: SettlementWrite) -> None:
        """Take note of an attempt, and of its delivery if that is over."""
        root = self._traced(claimed)
        if root is not None:
            self.offer(_spans_of(claimed, write, root))

    def _traced(self, claimed: Claimed) -> TraceContext | None:
        """Return the first span of a delivery's trace; None where it has none: what is synthetic
        has not."""
        request = claimed.request
        root, _ = self._root(request.id, request.traceparent)
        kept = is_sampled(root.trace_id, self.settings.share) and not is_canary(request.commune)
        return root if kept else None

    def _root(self, request: str, stored: str | None) -> tuple[TraceContext, str | None]:
        """Return a request's first span, and the caller's span above it."""
        caller = read_stored_context(stored)
        return root_of(request, caller), None if caller is None else caller.span_id


def _spans_of(claimed: Claimed, write: SettlementWrite, root: TraceContext) -> list[Span]:
    """Return the spans that end with an attempt: the wait before a first one, its own, and its
    delivery's if that is over."""
    delivery, state = claimed.delivery, write.settlement.state
    whole = span_id("delivery", delivery.id)
    began = write.tried.started_at
    ended = began + timedelta(milliseconds=write.tried.ms)
    error = None if state in _GOOD else write.settlement.reason or write.tried.outcome
    common: dict[str, str | int | bool] = {
        "gateway.request": claimed.request.id,
        "gateway.commune": claimed.request.commune,
        "gateway.teleservice": claimed.request.teleservice,
        "gateway.event": claimed.event_kind,
        "gateway.delivery": delivery.id,
        "gateway.lane": delivery.lane,
        "gateway.state": state.value,
    }
    tried = common | {
        "gateway.attempt": delivery.attempts,
        "gateway.action": write.tried.action,
        "gateway.outcome": write.tried.outcome,
        "gateway.reason": write.settlement.reason,
    }
    made = partial(_made, root.trace_id)
    kind, owed = delivery.kind.value, delivery.created_at
    spans = [made(f"attempt {kind}", _attempt_id(claimed), whole, (began, ended), tried, error)]
    if delivery.attempts <= 1:
        spans.append(made("wait", span_id("wait", delivery.id), whole, (owed, began), common, None))
    if state in _OVER:
        more = common | {"gateway.attempts": delivery.attempts}
        spans.append(made(kind, whole, root.span_id, (owed, ended), more, error))
    return spans


def _made(
    trace: str,
    name: str,
    mine: str,
    above: str,
    during: tuple[datetime, datetime],
    attributes: Mapping[str, str | int | bool],
    error: str | None,
) -> Span:
    kind = "CLIENT" if name.startswith("attempt") else "INTERNAL"
    began = _nanoseconds(during[0])
    ended = max(began, _nanoseconds(during[1]))
    return Span(name, kind, trace, mine, above, began, ended, attributes, error)


@asynccontextmanager
async def open_traces(
    settings: TraceSettings | None,
    environment: Environment,
    transport: Callable[[str], httpx.AsyncBaseTransport | None],
) -> AsyncIterator[Traces | None]:
    """Open the way to the collector. It is not called before there is a span, and at the end it has
    two seconds for what is left."""
    if settings is None:
        yield None
        return
    client = open_client(
        timeout=settings.timeout,
        connections=1,
        transport=transport(TRACES),
        network=settings.network,
    )
    headers = {name: one.get_secret_value() for name, one in settings.headers.items()}
    resource = {"service.name": settings.service, "service.version": __version__}
    exporter = SpanExporter(client, settings.endpoint, headers, resource)
    await asyncio.to_thread(encoded, (), resource)  # imports what is needed
    sending = asyncio.create_task(exporter.run(), name="traces")
    try:
        yield Traces(settings, environment, exporter.offer, exporter.counts)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        await exporter.flush(_FLUSH)
        await client.aclose()


def _attempt_id(claimed: Claimed) -> str:
    return span_id("attempt", claimed.delivery.id, str(claimed.delivery.attempts))


def _nanoseconds(at: datetime) -> int:
    # Whole microseconds: a float would lose some.
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

__all__ = ["TRACES", "TracedPush", "Traces", "open_traces"]
