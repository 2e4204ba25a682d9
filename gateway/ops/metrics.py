"""Counters for Prometheus, in a registry of their own. Labels hold configured names only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.core.breaker import Breaking
from gateway.core.canary import is_canary
from gateway.core.incident import IncidentKind, Severity
from gateway.core.lane_name import parse_lane
from gateway.flow.attachments import Operation
from gateway.flow.certificates import certificates
from gateway.flow.engine import Engine
from gateway.flow.observer import Observer
from gateway.ops.shapes import Health, Overall, parts
from gateway.ops.stalls import StallMeter
from gateway.sdk import work
from gateway.store import object_gc
from gateway.store.outbox import backlog
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import Reception

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
_BADNESS = {state: number for number, state in enumerate(Overall)}
_STATES = {Breaking.CLOSED: 0, Breaking.HALF_OPEN: 1, Breaking.OPEN: 2}


class Metrics(Observer):
    """Counters that move as things happen, and gauges that are read at each scrape."""

    def __init__(
        self, stalls: StallMeter | None = None, refused: Mapping[str, int] | None = None
    ) -> None:
        """`refused`: connections refused, by the bound."""
        registry = CollectorRegistry()
        self.registry = registry
        self._received = Counter(
            "gru_gateway_events_received",
            "Events pushed by a portal, by how they were taken.",
            ("portal", "teleservice", "reception"),
            registry=registry,
        )
        self._passed_over = Counter(
            "gru_gateway_requests_passed_over",
            "Requests of a portal that have nowhere to go, by the code of the refusal.",
            ("portal", "teleservice", "code"),
            registry=registry,
        )
        self._attempts = Counter(
            "gru_gateway_attempts",
            "Attempts at deliveries, by what they came to.",
            ("lane", "kind", "outcome"),
            registry=registry,
        )
        self._attempt_seconds = Histogram(
            "gru_gateway_attempt_seconds",
            "How long an attempt took.",
            ("kind",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._answered = Counter(
            "gru_gateway_http_answers",
            "HTTP calls answered, by route template.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._answer_seconds = Histogram(
            "gru_gateway_http_seconds",
            "How long an HTTP call took to answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._attachment_failures = Counter(
            "gru_gateway_attachment_failures",
            "Calls of the attachments' object store that failed, by operation.",
            ("operation",),
            registry=registry,
        )
        self._link_steps = Counter(
            "gru_gateway_link_steps",
            "Steps of linking accounts that were taken.",
            ("step",),
            registry=registry,
        )
        self._links_refused = Counter(
            "gru_gateway_links_refused",
            "Steps of linking accounts that were refused, by the reason.",
            ("reason",),
            registry=registry,
        )
        self._departed = Counter(
            "gru_gateway_departed_refused",
            "Calls for a commune that has left, which were refused, by their kind.",
            ("kind",),
            registry=registry,
        )
        self._incidents = Gauge(
            "gru_gateway_incidents",
            "Open incidents by severity; attacks are `securite`.",
            ("severity",),
            registry=registry,
        )
        self._overdue = Gauge(
            "gru_gateway_incidents_overdue",
            "Open incidents past their deadline.",
            registry=registry,
        )
        self._doomed = Gauge(
            "gru_gateway_attachments_doomed",
            "Objects that wait to be deleted from the attachments' object store.",
            registry=registry,
        )
        self._under_way = Gauge(
            "gru_gateway_calls_under_way",
            "Calls to far ends that have their turn.",
            registry=registry,
        )
        self._turns_waited_for = Gauge(
            "gru_gateway_turns_waited_for",
            "Lanes and polls that wait for their turn to call.",
            registry=registry,
        )
        self._stalls = stalls or StallMeter()
        self._stall = Gauge(
            "gru_gateway_loop_stall_seconds",
            "The longest that one thing kept the process from serving anybody, since the start.",
            registry=registry,
        )
        self._wait = Gauge(
            "gru_gateway_loop_wait_seconds",
            "The same by the clock: more than the stall where the machine was busy elsewhere.",
            registry=registry,
        )
        self._refused = {} if refused is None else refused
        self._connections_refused = Gauge(
            "gru_gateway_connections_refused",
            "Connections that were refused or closed, by the bound, since the start.",
            ("bound",),
            registry=registry,
        )
        self._spans = Gauge(
            "gru_gateway_trace_spans",
            "Spans of traces since the start: sent, dropped (too many at once), or lost.",
            ("result",),
            registry=registry,
        )
        self._given_up = Gauge(
            "gru_gateway_work_given_up",
            "Pieces of work on what others wrote that took too long, since the start.",
            registry=registry,
        )
        self._lingering = Gauge(
            "gru_gateway_work_lingering",
            "Of them, those whose thread has not come to its end.",
            registry=registry,
        )
        self._days_left = Gauge(
            "gru_gateway_certificate_days_left",
            "Days until a certificate ends: ours, an authority's, or the far end's own.",
            ("far_end", "which"),
            registry=registry,
        )
        self._ready = Gauge("gru_gateway_ready", "1 when requests are taken.", registry=registry)
        self._part = Gauge(
            "gru_gateway_part",
            "Each part of /ops/health: 0 well, 1 somebody should look, 2 down.",
            ("part", "name"),
            registry=registry,
        )
        self._waiting = self._gauge("waiting", "Deliveries that go by themselves.")
        self._person = self._gauge("needs_person", "Deliveries that wait for a person.")
        self._oldest = self._gauge(
            "oldest_waiting_seconds", "Age of the oldest delivery that is not over."
        )
        self._running = self._gauge("lane_running", "Calls under way.")
        self._paused = self._gauge(
            "lane_paused", "1 when a person or the commune's file has paused it."
        )
        self._breaker = self._gauge("lane_breaker", "0 closed, 1 half open, 2 open.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"gru_gateway_{name}", text, ("lane",), registry=self.registry)

    def received(self, portal: str, teleservice: str, reception: Reception) -> None:
        self._received.labels(portal, teleservice, reception.value).inc()

    def passed_over(self, portal: str, teleservice: str | None, code: str) -> None:
        self._passed_over.labels(portal, teleservice or "", code).inc()

    def attempted(self, claimed: Claimed, outcome: str, seconds: float) -> None:
        if is_canary(claimed.request.commune):
            return
        kind = claimed.delivery.kind.value
        self._attempts.labels(claimed.delivery.lane, kind, outcome).inc()
        self._attempt_seconds.labels(kind).observe(seconds)

    def link_moved(self, step: str) -> None:
        self._link_steps.labels(step).inc()

    def link_refused(self, word: str) -> None:
        self._links_refused.labels(word).inc()

    def departed(self, kind: str) -> None:
        self._departed.labels(kind).inc()

    def attachments_failed(self, operation: Operation) -> None:
        self._attachment_failures.labels(operation).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP answer. `route` is a template, never a path."""
        self._answered.labels(method, route, str(status)).inc()
        self._answer_seconds.labels(route).observe(seconds)

    async def scrape(self, engine: Engine, health: Health) -> bytes:
        """Return the text for Prometheus. Raises Unavailable when the database does not answer."""
        self._ready.set(health.ready)
        self._part.clear()
        for part, name, state in parts(health):
            self._part.labels(part, name).set(_BADNESS[state])
        if health.incidents is not None:
            for word in (*Severity, IncidentKind.SECURITY):
                self._incidents.labels(word.value).set(health.incidents.open.get(word.value, 0))
            self._overdue.set(health.incidents.overdue)
        waiting = await engine.store.read(backlog.waiting_by_lane, engine.environment.now())
        now = engine.environment.now()
        if engine.attachments.objects is not None:
            self._doomed.set(await engine.store.read(object_gc.waiting, now))
        turns = engine.far_ends.shared.turns
        self._under_way.set(turns.under_way)
        self._turns_waited_for.set(turns.waiting)
        self._stall.set(self._stalls.longest)
        self._wait.set(self._stalls.longest_wait)
        for bound, count in self._refused.items():
            self._connections_refused.labels(bound).set(count)
        if engine.traces is not None:
            for result in ("sent", "dropped", "lost"):
                self._spans.labels(result).set(engine.traces.counts.get(result, 0))
        self._given_up.set(work.threads.given_up)
        self._lingering.set(work.threads.lingering)
        self._days_left.clear()
        for one in certificates(engine.far_ends):
            self._days_left.labels(one.far_end, one.which).set(round(one.days_left(now), 2))
        self._set_gauges(engine, waiting, now)
        return generate_latest(self.registry)

    def _set_gauges(
        self, engine: Engine, waiting: dict[str, tuple[int, int, datetime]], now: datetime
    ) -> None:
        for gauge in (
            self._waiting,
            self._person,
            self._oldest,
            self._running,
            self._paused,
            self._breaker,
        ):
            gauge.clear()
        for lane in {*engine.lane_names(), *waiting}:
            if is_canary(parse_lane(lane).commune):
                continue
            count, person, oldest = waiting.get(lane, (0, 0, now))
            self._waiting.labels(lane).set(count - person)
            self._person.labels(lane).set(person)
            self._oldest.labels(lane).set(max(0.0, (now - oldest).total_seconds()))
        for view in engine.lanes.views():
            if is_canary(parse_lane(view.name).commune):
                continue
            self._running.labels(view.name).set(view.running)
            self._paused.labels(view.name).set(int(view.paused or view.policy.paused))
            self._breaker.labels(view.name).set(_STATES[view.breaker.state])
