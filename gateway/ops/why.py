"""Explains why a request waits: the chain of causes, the gateway's next act, and who can act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

from gateway.catalogue.catalogue import Catalogue
from gateway.core import reasons
from gateway.core.delivery import FINAL, State
from gateway.core.errors import NotFound
from gateway.core.lane_name import GruLane, PortalLane, parse_lane
from gateway.core.messages import Language, Message, Text
from gateway.core.reasons import About, Reason, Who
from gateway.flow.heartbeat import heartbeat_name
from gateway.flow.mailbox import LATE
from gateway.ops.texts import say
from gateway.store import cursors, requests
from gateway.store.cursors import CursorValue
from gateway.store.engine import Store
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.lanes import LaneMemory
from gateway.store.outbox.leases import MAILBOX
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Trace, Untold


@dataclass(frozen=True, slots=True)
class Cause:
    """One link of the chain: a fact, and since when; `next_at` is when the gateway acts by itself.

    `who` can act: `gateway` (nobody needs to), `gru`, `portal`, `operator`, `integrator`. `detail`
    is the attempt's own text, in its speaker's language.
    """

    code: str
    said: Message
    who: str
    delivery: str | None = None
    since: datetime | None = None
    next_at: datetime | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        """The fact, in English."""
        return self.said.what()

    @property
    def action(self) -> str:
        """The thing to do, in English."""
        return self.said.remedy()

    def told(self, language: Language = "en") -> dict[str, Any]:
        """Return all of it as plain values, with sentences in this language."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "said"}
        return plain | {"text": self.said.what(language), "action": self.said.remedy(language)}


@dataclass(frozen=True, slots=True)
class LaneSetting:
    """A lane in the configuration: paused in its commune's file, or not configured at all."""

    paused: bool = False
    released: bool = True
    #: Its commune fetches.
    pulled: bool = False


def lane_settings(catalogue: Catalogue) -> Callable[[str], LaneSetting]:
    """Return the look-up of lanes in what runs."""

    def look_up(lane: str) -> LaneSetting:
        name = parse_lane(lane)
        commune = catalogue.communes.get(name.commune)
        if commune is None:
            return LaneSetting(released=False)
        if not isinstance(name, GruLane):  # the way back to the portal is not the GRU's
            return LaneSetting()
        gru = commune.grus.get(name.gru)
        return LaneSetting(commune.paused, pulled=gru is not None and gru.capabilities.pulled)

    return look_up


def _as_configured(lane: str) -> LaneSetting:
    return LaneSetting()


async def causes_of(
    store: Store, catalogue: Catalogue, request_id: str, now: datetime
) -> tuple[Cause, ...]:
    """Return the causes of a request's waiting, nearest first. Raises NotFound and Unavailable."""
    trace = await store.read(requests.trace, request_id)
    if trace is None:
        raise NotFound("no such request")
    lanes = await store.read(memory.recall)
    silent = {
        lane: last
        for lane in {one.lane for one in trace.deliveries}
        if (last := await store.read(cursors.get, heartbeat_name(lane))) is not None
        and last.failure is not None
    }
    return explain(trace, lanes, now, lane_settings(catalogue), silent)


def explain(
    trace: Trace,
    lanes: Mapping[str, LaneMemory],
    now: datetime,
    configured: Callable[[str], LaneSetting] = _as_configured,
    silent: Mapping[str, CursorValue] = MappingProxyType({}),
) -> tuple[Cause, ...]:
    """Return the chain of causes, nearest first; one `settled` cause when nothing waits. `silent`:
    the lanes whose far end gave no sign of life when it was last asked."""
    if trace.request.erased_at is not None:
        return (Cause("erased", say("erased"), "gateway", since=trace.request.erased_at),)
    open_ones = [d for d in trace.deliveries if d.state not in FINAL]
    waits = [_untold(one) for one in trace.untold]
    if not open_ones:
        return (*waits,) if waits else (Cause("settled", say("settled"), "gateway"),)
    causes: list[Cause] = []
    for lane in dict.fromkeys(d.lane for d in open_ones):
        mine = sorted((d for d in open_ones if d.lane == lane), key=lambda d: d.seq)
        head, rest = mine[0], mine[1:]
        for held in rest:
            first = {"other": head.kind.value, "first": head.id}
            said = say("order", kind=held.kind.value, id=held.id, **first)
            causes.append(Cause("order", said, "gateway", held.id, held.created_at))
        causes.extend(_head(head, lanes.get(lane), now, configured(lane)))
        if lane in silent and head.state in (State.WAITING, State.UNSURE):
            causes.append(_no_heartbeat(silent[lane], lane))
    return (*causes, *waits)


def _untold(one: Untold) -> Cause:
    """Explain a GRU's change that the citizen was not told."""
    why = reasons.of(one.reason).said
    do = _for(why.cure, one.id)
    who = who_acts(one.reason, one.lane)
    said = say("untold", why=why, do=do)
    return Cause(one.reason, said, who, since=one.received_at, detail=one.detail)


def _for(cure: Message, id: str) -> Message:
    """Put an id into the commands of a remedy."""

    def named(text: str) -> str:
        for command in ("outbox replay", "outbox discard"):
            text = text.replace(command, f"{command} {id}")
        return text

    text = cure.text
    return Message(Text(text.word, named(text.en), "", named(text.fr), ""), cure.given)


def far_end(lane: str) -> Who:
    """Name who can act at a lane's far end."""
    return Who.PORTAL if isinstance(parse_lane(lane), PortalLane) else Who.GRU


def who_acts(word: str, lane: str) -> str:
    """Name who can act on a reason that a call of this lane had."""
    who = reasons.of(word).who
    return (far_end(lane) if who is Who.FAR_END else who).value


def _head(
    delivery: Delivery, lane: LaneMemory | None, now: datetime, configured: LaneSetting
) -> list[Cause]:
    reason = reasons.of(delivery.reason)
    who = who_acts(delivery.reason, delivery.lane)
    # A request that waits for a person has one: if nobody else, the operator.
    person = Who.OPERATOR.value if who == Who.NOBODY else who
    told: dict[str, Any] = {
        "delivery": delivery.id,
        "since": delivery.created_at,
        "detail": delivery.detail,
    }
    match delivery.state:
        case State.SENDING if delivery.lease_owner == MAILBOX:
            until = delivery.lease_until
            said = say("fetched_now", until=f"{until:%Y-%m-%d %H:%M:%S} UTC" if until else "")
            return [Cause("fetched", said, Who.GRU.value, delivery.id, next_at=until)]
        case State.SENDING:
            word = "asking" if delivery.asking else "sending"
            said = say(f"{word}_now")
            if delivery.reason:
                said = say(f"{word}_again", why=reason.said)
            until = delivery.lease_until
            return [Cause("sending", said, "gateway", delivery.id, next_at=until)]
        case State.QUESTION:
            said = say("question", why=reason.said, id=delivery.id)
            return [Cause("question", said, "operator", **told)]
        case State.PARKED:
            do = reason.said.cure if reason.do else say("mend_and_replay", id=delivery.id)
            return [Cause("parked", say("parked", why=reason.said, do=do), person, **told)]
        case State.DEAD:
            said = say("dead", why=reason.said, attempts=delivery.attempts, id=delivery.id)
            return [Cause("dead", said, person, **told)]
    causes, next_at = _lane(delivery, lane, now, configured)
    if delivery.state is State.UNSURE:
        said = say("unsure", why=reason.said)
        causes.append(Cause("unsure", said, "gateway", **told, next_at=next_at))
    elif delivery.failures:
        causes.append(Cause("retry", _plainly(reason), who, **told, next_at=next_at))
    elif lane is not None and lane.breaker != "closed" and lane.reason:
        # It was never tried itself: the reason of the lane's other calls ends the chain.
        reason = reasons.of(lane.reason, About.FAR_END)
        who = who_acts(lane.reason, lane.name)
        causes.append(Cause(lane.reason, _plainly(reason), who, since=lane.opened_at))
    elif configured.pulled:
        causes.append(_to_fetch(delivery, now))
    elif not causes:
        late = delivery.next_at > now
        code = "not_due" if late else "queued"
        causes.append(Cause(code, say(code), "gateway", delivery.id, delivery.created_at, next_at))
    return causes


def _to_fetch(delivery: Delivery, now: datetime) -> Cause:
    """Explain what a commune has not fetched yet, and for days, where that is so."""
    gru = Who.GRU.value
    if now - delivery.created_at >= LATE:
        said = _plainly(reasons.of("not_fetched"))
        return Cause("not_fetched", said, gru, delivery.id, delivery.created_at)
    return Cause("to_fetch", say("to_fetch"), gru, delivery.id, delivery.created_at)


def _no_heartbeat(last: CursorValue, lane: str) -> Cause:
    """Explain that a far end gave no sign of life when it was last asked."""
    reason = reasons.of(last.failure or "", About.FAR_END)
    said = say("no_heartbeat", why=reason.said, do=reason.said.cure if reason.do else "")
    return Cause("no_heartbeat", said, who_acts(reason.word, lane), since=last.updated_at)


def _plainly(reason: Reason) -> Message:
    """Return a reason without its remedy, which would send people elsewhere."""
    return say("retry", why=reason.said, do=reason.said.cure if reason.do else "")


def _lane(
    delivery: Delivery, lane: LaneMemory | None, now: datetime, configured: LaneSetting
) -> tuple[list[Cause], datetime | None]:
    """Find what stops the whole lane, and when this delivery is tried (None: unknown)."""
    causes: list[Cause] = []
    next_at: datetime | None = delivery.next_at
    if not configured.released:
        said = say("no_release", lane=delivery.lane)
        causes.append(Cause("no_release", said, "operator", delivery.id))
    if configured.paused:
        said = say("paused_in_file", lane=delivery.lane)
        causes.append(Cause("paused_in_file", said, "operator", delivery.id))
        next_at = None
    if lane is None:
        return causes, next_at
    if lane.paused:
        causes.append(Cause("paused", say("paused", lane=lane.name), "operator", delivery.id))
        next_at = None
    held = lane.hold_until is not None and lane.hold_until > now
    if lane.breaker != "closed":
        if next_at is not None and lane.probe_at is not None:
            next_at = max(next_at, lane.probe_at)
        said = say("breaker", lane=lane.name, why=lane.reason or say("most_failed"))
        who = far_end(lane.name).value
        causes.append(Cause("breaker", said, who, delivery.id, lane.opened_at, lane.probe_at))
    if lane.hold_until is not None and held:
        if next_at is not None:
            next_at = max(next_at, lane.hold_until)
        said = say("held", lane=lane.name, do=reasons.of("busy").said.cure)
        who = far_end(lane.name).value
        causes.append(Cause("held", said, who, delivery.id, next_at=lane.hold_until))
    return causes, next_at
