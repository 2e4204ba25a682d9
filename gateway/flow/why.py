"""Why a request waits: the chain of causes, what happens next by itself, and who can act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.catalogue.catalogue import Catalogue
from gateway.core import reasons
from gateway.core.delivery import FINAL, State
from gateway.core.reasons import About, Who
from gateway.store.lanes import LaneMemory
from gateway.store.rows import Delivery, Trace, Untold


@dataclass(frozen=True, slots=True)
class Cause:
    """One link: what is so, since when; `next_at` is when the gateway acts by itself.

    `who` names who can act: `gateway` (nobody needs to), `gru`, `portal`, `operator`, `integrator`.
    `detail` is what the attempt itself said, in the language of whoever said it.
    """

    code: str
    text: str
    who: str
    delivery: str | None = None
    since: datetime | None = None
    next_at: datetime | None = None
    action: str = ""
    detail: str = ""


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
    waits = [_untold(one) for one in trace.untold]
    if not open_ones:
        return (
            (*waits,)
            if waits
            else (
                Cause("settled", "nothing waits: all that is owed has been delivered", "gateway"),
            )
        )
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
    return (*causes, *waits)


def _untold(one: Untold) -> Cause:
    """Something that the GRU told and the citizen was not."""
    reason = reasons.of(one.reason)
    return Cause(
        one.reason,
        reason.en,
        who_acts(one.reason, one.lane),
        since=one.received_at,
        action=reason.do.replace("outbox replay", f"outbox replay {one.id}").replace(
            "outbox discard", f"outbox discard {one.id}"
        ),
        detail=one.detail,
    )


def far_end(lane: str) -> Who:
    """Whose people can do something about a lane's far end."""
    return Who.PORTAL if lane.startswith("portal:") else Who.GRU


def who_acts(word: str, lane: str) -> str:
    """Who can act upon a reason that a call of this lane came to."""
    who = reasons.of(word).who
    return (far_end(lane) if who is Who.FAR_END else who).value


def _head(
    delivery: Delivery, lane: LaneMemory | None, now: datetime, configured: Standing
) -> list[Cause]:
    reason = reasons.of(delivery.reason)
    who = who_acts(delivery.reason, delivery.lane)
    # What waits for a person has one: where nobody else is to act, it is the operator.
    person = Who.OPERATOR.value if who == Who.NOBODY else who
    told: dict[str, Any] = {
        "delivery": delivery.id,
        "since": delivery.created_at,
        "detail": delivery.detail,
    }
    match delivery.state:
        case State.SENDING:
            text = f"{'asking the far end about it' if delivery.asking else 'being sent'} now"
            if delivery.reason:
                text += f"; before that: {reason.en}"
            until = delivery.lease_until
            return [Cause("sending", text, "gateway", delivery.id, next_at=until)]
        case State.QUESTION:
            action = f"look in the far end, then: outbox resolve {delivery.id} --yes or --no"
            text = f"sent, its answer lost, and {reason.en}"
            return [Cause("question", text, "operator", **told, action=action)]
        case State.PARKED:
            action = reason.do or f"mend it, then: outbox replay {delivery.id}"
            return [Cause("parked", reason.en, person, **told, action=action)]
        case State.DEAD:
            action = f"when the cause is gone: outbox replay {delivery.id}"
            text = f"given up after {delivery.attempts} attempts; last: {reason.en}"
            return [Cause("dead", text, person, **told, action=action)]
    causes, next_at = _lane(delivery, lane, now, configured)
    if delivery.state is State.UNSURE:
        text = f"{reason.en}; the far end will be asked before anything is sent again"
        causes.append(Cause("unsure", text, "gateway", **told, next_at=next_at))
    elif delivery.failures:
        causes.append(Cause("retry", reason.en, who, **told, next_at=next_at, action=reason.do))
    elif lane is not None and lane.breaker != "closed" and lane.reason:
        # It was never tried itself: what the lane's other calls came to is the end of the chain.
        reason = reasons.of(lane.reason, About.FAR_END)
        who = who_acts(lane.reason, lane.name)
        causes.append(Cause(lane.reason, reason.en, who, since=lane.opened_at, action=reason.do))
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
    held = lane.hold_until is not None and lane.hold_until > now
    if lane.breaker != "closed":
        if next_at is not None and lane.probe_at is not None:
            next_at = max(next_at, lane.probe_at)
        text = f"lane {lane.name}: the breaker is open ({lane.reason or 'most calls failed'})"
        who = far_end(lane.name).value
        causes.append(Cause("breaker", text, who, delivery.id, lane.opened_at, lane.probe_at))
    if lane.hold_until is not None and held:
        if next_at is not None:
            next_at = max(next_at, lane.hold_until)
        text = f"lane {lane.name}: the far end asked to be left alone until then (Retry-After)"
        action = f"{reasons.of('busy').do}; to try at once: commune resume"
        who = far_end(lane.name).value
        causes.append(Cause("held", text, who, delivery.id, next_at=lane.hold_until, action=action))
    return causes, next_at
