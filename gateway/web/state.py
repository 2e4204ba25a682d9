"""The state of the HTTP side."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.types import Scope

from gateway.flow.engine import Engine
from gateway.ops.metrics import Metrics
from gateway.ops.stalls import StallMeter
from gateway.web.room import BodyBudget, Room


@dataclass(slots=True)
class Condition:
    """`ready`: the daemon takes requests. Set after the start, reset when it begins to stop."""

    ready: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    stalls: StallMeter = field(default_factory=StallMeter)


@dataclass(frozen=True, slots=True)
class Web:
    """Everything a handler needs."""

    engine: Engine
    condition: Condition
    metrics: Metrics
    #: Bytes of webhooks whose senders are not proven, and are.
    unproven: BodyBudget
    proven: BodyBudget
    #: Turns for large bodies of proven senders.
    room: Room = field(default_factory=Room)
    #: Turns to work on large webhooks, which costs several times their size.
    webhooks: Room = field(default_factory=lambda: Room(2, 1))


@dataclass(slots=True)
class Exchange:
    """One call under way, for its log line and counters."""

    correlation: str
    code: str = ""
    #: The sender is proven.
    proven: bool = False


def exchange_of(scope: Scope) -> Exchange:
    """Return the call that is under way."""
    exchange: Exchange = scope["gateway.exchange"]
    return exchange
