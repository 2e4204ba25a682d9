"""Why a request waits: the chain of causes, what happens next by itself, and who can act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.catalogue import Catalogue
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
    "attachments_unavailable": (
        "the object store of the attachments does not answer",
        "operator",
        "bring it back; it is tried again by itself",
    ),
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
    "undecodable": (
        "what the database holds of it is damaged",
        "operator",
        "restore it from a backup, then: replay; or discard it",
    ),
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
    "absent": ("the far end was asked and has not got it", "gru", "find out why it loses requests"),
    "unreadable_answer": (
        "the far end answered what cannot be read",
        "integrator",
        "compare its answer with the adapter's options",
    ),
    "too_large": ("it is larger than the far end takes", "integrator", "mend it, then: replay"),
    "replayed": ("a person had it sent again", "gateway", ""),
    "person_said_no": ("a person said that the far end has not got it", "gateway", ""),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the configuration says of a lane: paused in its commune's file, or not run at all."""

    paused: bool = False
    released: bool = True


def standing(catalogue: Catalogue) -> Callable[[str], Standing]:
    """Looks lanes up in what is run."""

    def look(lane: str) -> Standing:
        kind, _, rest = lane.partition(":")
        first, _, second = rest.partition(":")
        commune = catalogue.communes.get(first if kind == "gru" else second)
        if commune is None:
            return Standing(released=False)
        # The way back to the portal is not the GRU's.
        return Standing(commune.paused and kind == "gru")

    return look


def _as_configured(lane: str) -> Standing:
    return Standing()


def explain(
    trace: Trace,
    lanes: Mapping[str, LaneMemory],
    now: datetime,
    configured: Callable[[str], Standing] = _as_configured,
) -> tuple[Cause, ...]:
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
        causes.extend(_head(head, lanes.get(lane), now, configured(lane)))
    return tuple(causes)


def _head(
    delivery: Delivery, lane: LaneMemory | None, now: datetime, configured: Standing
) -> list[Cause]:
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
    causes, next_at = _lane(delivery, lane, now, configured)
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
    elif lane is not None and lane.breaker != "closed" and lane.reason:
        # It was never tried itself: what the lane's other calls came to is the end of the chain.
        what, who, action = _REASONS.get(lane.reason, (lane.reason.replace("_", " "), "gru", ""))
        causes.append(Cause(lane.reason, what, who, since=lane.opened_at, action=action))
    elif not causes:
        late = delivery.next_at > now
        text = "not due yet" if late else "waiting for a free place on its lane"
        code = "not_due" if late else "queued"
        causes.append(Cause(code, text, "gateway", delivery.id, delivery.created_at, next_at))
    return causes


def _lane(
    delivery: Delivery, lane: LaneMemory | None, now: datetime, configured: Standing
) -> tuple[list[Cause], datetime | None]:
    """What keeps the whole lane from sending, and when this delivery is tried (None: not known)."""
    causes: list[Cause] = []
    next_at: datetime | None = delivery.next_at
    if not configured.released:
        text = f"lane {delivery.lane}: no release of its commune is active"
        action = "release plan, then: release apply"
        causes.append(Cause("no_release", text, "operator", delivery.id, action=action))
    if configured.paused:
        text = f"lane {delivery.lane} is paused in its commune's file"
        action = "take `paused` out of the commune's file"
        causes.append(Cause("paused_in_file", text, "operator", delivery.id, action=action))
        next_at = None
    if lane is None:
        return causes, next_at
    if lane.paused:
        text = f"lane {lane.name} is paused by a person"
        causes.append(Cause("paused", text, "operator", delivery.id, action="commune resume"))
        next_at = None
    if lane.breaker != "closed":
        if next_at is not None and lane.probe_at is not None:
            next_at = max(next_at, lane.probe_at)
        text = f"lane {lane.name}: the breaker is open ({lane.reason or 'most calls failed'})"
        causes.append(Cause("breaker", text, "gru", delivery.id, lane.opened_at, lane.probe_at))
    elif lane.hold_until is not None and lane.hold_until > now:
        if next_at is not None:
            next_at = max(next_at, lane.hold_until)
        text = f"lane {lane.name}: the far end asked to be left alone until then (Retry-After)"
        action = "raise its capacity, or lower the rate"
        causes.append(
            Cause("held", text, "gru", delivery.id, next_at=lane.hold_until, action=action)
        )
    return causes, next_at
