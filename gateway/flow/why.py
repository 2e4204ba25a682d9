"""Why a request waits: the chain of causes, what happens next by itself, and who can act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.core.delivery import FINAL, State
from gateway.store.lanes import LaneMemory
from gateway.store.rows import Delivery, Trace


@dataclass(frozen=True, slots=True)
class Cause:
    """One link: what is so, since when; `next_at` is when the gateway acts by itself.

    `who` names who can act: `gateway` (nobody needs to), `gru`, `portal`, `operator`, `integrator`.
    """

    code: str
    text: str
    who: str
    delivery: str | None = None
    since: datetime | None = None
    next_at: datetime | None = None
    action: str = ""


#: reason -> (what it means, who can act, what to do). Reasons are the outcomes' constant words.
_REASONS: dict[str, tuple[str, str, str]] = {
    "unmappable": (
        "the mapping cannot render this request",
        "integrator",
        "mend the mapping or its table, then: outbox replay",
    ),
    "unreachable": ("the far end does not answer the call", "gru", "restore the service"),
    "no_answer": ("the call was sent and its answer was lost", "gateway", ""),
    "timeout": ("the call was sent and not answered in time", "gateway", ""),
    "stopped": ("the gateway was stopped during the call", "gateway", ""),
    "owner_died": ("the process that was sending it died", "gateway", ""),
    "busy": (
        "the far end asked to come back later",
        "gru",
        "raise its capacity, or lower the rate",
    ),
    "far_end_error": ("the far end failed while it handled the call", "gru", "read its logs"),
    "access_denied": (
        "the far end refuses our credentials",
        "operator",
        "check the key or rights in the commune's file",
    ),
    "redirected": ("the far end has moved", "operator", "correct the address in the configuration"),
    "bad_address": ("the far end's address is wrong", "operator", "correct the configuration"),
    "no_route": ("no route leads to a GRU", "operator", "add the route to the commune's file"),
    "not_supported": (
        "this GRU cannot take such an event",
        "operator",
        "tell the commune by hand, then: outbox discard",
    ),
    "erase_by_hand": (
        "this GRU cannot erase by itself",
        "operator",
        "have the commune erase it, then: erasure done",
    ),
    "refused": ("the far end refused it", "integrator", "mend it, then: outbox replay"),
    "bug": ("the adapter failed with an error of its own", "integrator", "mend it, then: replay"),
    "processing": ("the portal is still at work on the formdata", "gateway", ""),
    "not_in_status": (
        "the formdata is in a status without this trigger",
        "portal",
        "check the workflow: docs/fr/workflow-publik.md",
    ),
    "unknown_hook": (
        "the workflow lacks this global action",
        "portal",
        "add it: docs/fr/workflow-publik.md",
    ),
    "no_find": ("the far end cannot be asked whether it has it", "operator", ""),
}


def explain(trace: Trace, lanes: Mapping[str, LaneMemory], now: datetime) -> tuple[Cause, ...]:
    """The chain of causes, nearest first; a single `settled` cause when nothing waits."""
    if trace.request.erased_at is not None:
        return (
            Cause(
                "erased", "the person's data were erased", "gateway", since=trace.request.erased_at
            ),
        )
    open_ones = [d for d in trace.deliveries if d.state not in FINAL]
    if not open_ones:
        return (Cause("settled", "nothing waits: all that is owed has been delivered", "gateway"),)
    causes: list[Cause] = []
    for lane in dict.fromkeys(d.lane for d in open_ones):
        mine = sorted((d for d in open_ones if d.lane == lane), key=lambda d: d.seq)
        head, rest = mine[0], mine[1:]
        for held in rest:
            causes.append(
                Cause(
                    "order",
                    f"{held.kind.value} {held.id} goes after {head.kind.value} {head.id}",
                    "gateway",
                    held.id,
                    held.created_at,
                )
            )
        causes.extend(_head(head, lanes.get(lane), now))
    return tuple(causes)


def _head(delivery: Delivery, lane: LaneMemory | None, now: datetime) -> list[Cause]:
    what, who, action = _REASONS.get(
        delivery.reason, (delivery.reason.replace("_", " "), "operator", "")
    )
    reason = f"{what}" + (f": {delivery.detail}" if delivery.detail else "")
    match delivery.state:
        case State.SENDING:
            verb = "asking the far end about it" if delivery.asking else "being sent"
            return [
                Cause(
                    "sending", f"{verb} now", "gateway", delivery.id, next_at=delivery.lease_until
                )
            ]
        case State.QUESTION:
            return [
                Cause(
                    "question",
                    f"sent, its answer lost, and {reason}",
                    "operator",
                    delivery.id,
                    delivery.created_at,
                    action=f"look in the far end, then: outbox resolve {delivery.id} --yes or --no",
                )
            ]
        case State.PARKED:
            fallback = f"mend it, then: outbox replay {delivery.id}"
            return [
                Cause(
                    "parked",
                    reason,
                    who if who != "gateway" else "operator",
                    delivery.id,
                    delivery.created_at,
                    action=action or fallback,
                )
            ]
        case State.DEAD:
            return [
                Cause(
                    "dead",
                    f"given up after {delivery.attempts} attempts; last: {reason}",
                    who if who != "gateway" else "operator",
                    delivery.id,
                    delivery.created_at,
                    action=f"when the cause is gone: outbox replay {delivery.id}",
                )
            ]
    causes: list[Cause] = []
    next_at = delivery.next_at
    if lane is not None and lane.paused:
        causes.append(
            Cause(
                "paused",
                f"lane {lane.name} is paused by a person",
                "operator",
                delivery.id,
                action="commune resume",
            )
        )
    if lane is not None and lane.breaker == "open":
        if lane.probe_at is not None:
            next_at = max(next_at, lane.probe_at)
        causes.append(
            Cause(
                "breaker",
                f"lane {lane.name}: the breaker is open ({lane.reason or 'most calls failed'})",
                "gru",
                delivery.id,
                lane.opened_at,
                lane.probe_at,
            )
        )
    if delivery.state is State.UNSURE:
        causes.append(
            Cause(
                "unsure",
                f"{reason}; the far end will be asked before anything is sent again",
                "gateway",
                delivery.id,
                delivery.created_at,
                next_at,
            )
        )
    elif delivery.failures:
        causes.append(
            Cause("retry", reason, who, delivery.id, delivery.created_at, next_at, action)
        )
    elif not causes:
        late = delivery.next_at > now
        text = "not due yet" if late else "waiting for a free place on its lane"
        causes.append(Cause("queued", text, "gateway", delivery.id, delivery.created_at, next_at))
    return causes
