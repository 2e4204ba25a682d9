"""The state of the HTTP side."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.types import Scope

from gateway.flow.engine import Engine
from gateway.flow.tracing import TracedPush
from gateway.ops.metrics import Metrics
from gateway.ops.stalls import StallMeter
from gateway.web.room import BodyBudget, BodyTurns


@dataclass(slots=True)
class DaemonCondition:
    """`ready`: the daemon takes requests. Set after the start, reset when it begins to stop."""

    ready: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    stalls: StallMeter = field(default_factory=StallMeter)


@dataclass(frozen=True, slots=True)
class Web:
    """Everything a handler needs."""

    engine: Engine
    condition: DaemonCondition
    metrics: Metrics
    #: Bytes of webhooks whose senders are not proven, and are.
    unproven: BodyBudget
    proven: BodyBudget
    #: Turns for large bodies of proven senders.
    room: BodyTurns = field(default_factory=BodyTurns)
    #: Turns to work on large webhooks, which costs several times their size.
    webhooks: BodyTurns = field(default_factory=lambda: BodyTurns(2, 1))


@dataclass(slots=True)
class CallInProgress:
    """One call under way, for its log line and counters."""

    correlation: str
    code: str = ""
    #: The sender is proven.
    proven: bool = False
    #: It is none of a portal's or a GRU's: no metric counts it.
    synthetic: bool = False
    #: The push that it is, where there are traces.
    push: TracedPush | None = None


def exchange_of(scope: Scope) -> CallInProgress:
    """Return the call that is under way."""
    exchange: CallInProgress = scope["gateway.exchange"]
    return exchange
