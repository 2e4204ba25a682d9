"""Spans to a collector: OpenTelemetry's protocol (OTLP) over HTTP.

A request never waits for it: a span is put into a bounded queue, or dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
import structlog

from gateway.core.outcome import Outcome, TryLater
from gateway.sdk.exchange import Answer, failure_of, send
from gateway.telemetry import sparingly

log = structlog.get_logger()

#: Spans that wait, and those of one call.
QUEUE: Final = 4096
BATCH: Final = 256
#: Seconds for which spans are gathered, and between tries of a collector that is away.
GATHER: Final = 1.0
_DELAYS: Final = (1.0, 5.0, 15.0, 60.0)
#: The longest Retry-After that is believed.
_LATEST: Final = 60.0
#: Tries of one batch, in some four minutes.
_TRIES: Final = 6
#: Bytes of an answer that are read.
_ANSWER: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A span that is over; times are nanoseconds. `link`: another trace that it came from, as two
    ids. `error`: the word of a failure; its text might hold anything."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    began: int
    ended: int
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    error: str | None = None
    link: tuple[str, str] | None = None


@dataclass(eq=False, slots=True)
class SpanExporter:
    """Sends spans to a collector, one batch after the other. One per process."""

    client: httpx.AsyncClient
    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    resource: Mapping[str, str]
    #: Spans since the start: sent, dropped (the queue was full), lost (the collector was away too
    #: long, or did not want them).
    counts: Counter[str] = field(default_factory=Counter)
    gather: float = GATHER
    _queue: deque[Span] = field(default_factory=deque, init=False)
    _more: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def offer(self, spans: Sequence[Span]) -> None:
        """Queue spans, or drop them. Costs no time."""
        for span in spans:
            if len(self._queue) >= QUEUE:
                self.counts["dropped"] += 1
                sparingly(log.warning, "traces.dropped")
            else:
                self._queue.append(span)
        self._more.set()

    async def run(self) -> None:
        """Send what is offered, until cancelled."""
        while True:
            await self._more.wait()
            if len(self._queue) < BATCH:
                await asyncio.sleep(self.gather)
            await self._send_batch()

    async def flush(self, seconds: float) -> None:
        """Send what is left, in so many seconds at most."""
        try:
            async with asyncio.timeout(seconds):
                while self._queue:
                    await self._send_batch(tries=1)
        except TimeoutError:
            pass
        self.counts["lost"] += len(self._queue)
        self._queue.clear()

    async def _send_batch(self, tries: int = _TRIES) -> None:
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if not self._queue:
            self._more.clear()
        if not batch:
            return
        try:
            taken = await self._sent(batch, tries)
        except asyncio.CancelledError:
            self._queue.extendleft(reversed(batch))
            raise
        except Exception as error:  # a fault of ours, or of a library: traces alone suffer
            log.error("traces.failed", error=type(error).__name__)
            taken = 0
        self.counts["sent"] += taken
        self.counts["lost"] += len(batch) - taken

    async def _sent(self, batch: Sequence[Span], tries: int) -> int:
        """Send a batch; return how many were taken."""
        # In a thread: encoding some hundred spans takes milliseconds.
        body = await asyncio.to_thread(encoded, batch, self.resource)
        failed: Outcome | None = None
        for n in range(tries):
            if n:
                await asyncio.sleep(_delay(n - 1, failed))
            answer = await send(
                self.client, lambda: self._call(body), safe=True, limit=_ANSWER, read=None
            )
            failed = failure_of(answer, safe=True) if isinstance(answer, Answer) else answer
            if failed is None and isinstance(answer, Answer):
                return max(0, len(batch) - _rejected(answer.content))
            sparingly(log.warning, "traces.not_taken", reason=getattr(failed, "reason", ""))
            if not isinstance(failed, TryLater):
                return 0
        return 0

    def _call(self, body: bytes) -> httpx.Request:
        headers = {"Content-Type": "application/x-protobuf", **self.headers}
        return self.client.build_request("POST", self.endpoint, content=body, headers=headers)


def _delay(n: int, failed: Outcome | None) -> float:
    told: float | None = getattr(failed, "retry_after", None)
    return _DELAYS[min(n, len(_DELAYS) - 1)] if told is None else min(max(told, 1.0), _LATEST)


def _rejected(content: bytes) -> int:
    """Return how many spans a collector says that it did not take; 0 where it says nothing that can
    be read."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    told = ExportTraceServiceResponse()
    try:
        told.ParseFromString(content)
    except Exception:  # protobuf has several
        return 0
    return max(0, int(told.partial_success.rejected_spans))


def encoded(spans: Sequence[Span], resource: Mapping[str, str]) -> bytes:
    """Encode spans as a collector reads them."""
    # Few have traces: these take a tenth of a second to import.
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def at(trace_id: str, span_id: str) -> SpanContext:
        sampled = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=sampled
        )

    ours = Resource(dict(resource))
    made = [
        ReadableSpan(
            name=one.name,
            context=at(one.trace_id, one.span_id),
            parent=None if one.parent_id is None else at(one.trace_id, one.parent_id),
            resource=ours,
            attributes=dict(one.attributes),
            links=() if one.link is None else (Link(at(*one.link)),),
            kind=SpanKind[one.kind],
            status=Status(StatusCode.OK)
            if one.error is None
            else Status(StatusCode.ERROR, one.error),
            start_time=one.began,
            end_time=one.ended,
        )
        for one in spans
    ]
    return bytes(encode_spans(made).SerializeToString())


__all__ = ["Span", "SpanExporter", "encoded"]
