"""A lane whose commune fetches: it claims what it is owed, and tells what came of it.

The deliveries are those of any lane. Nobody runs this one: the commune claims and settles.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from gateway.catalogue.catalogue import Gru
from gateway.core.delivery import Kind, State
from gateway.core.error_place import error_place
from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater
from gateway.flow.claimed import NoRoute, UndecodableEvent
from gateway.flow.deliver import Deliverer
from gateway.flow.environment import Environment
from gateway.flow.erase import with_ground
from gateway.flow.far_ends import FarEnds
from gateway.flow.lanes.lanes import Lanes
from gateway.flow.lanes.state import Lane
from gateway.sdk import Amendment, Submission, TookTooLong, beside
from gateway.sdk.pivot import PivotClient, message_weight
from gateway.sdk.pivot_answer import erasure_answer
from gateway.sdk.pivot_models import (
    ClaimAnswer,
    ClaimedItem,
    ClaimResultTold,
    EventsPage,
    FedEvent,
    Heartbeat,
    PivotClaim,
    PivotErasure,
    PivotEvent,
    SettledClaim,
)
from gateway.store.engine import Store
from gateway.store.outbox import claiming, feed, mailbox
from gateway.store.outbox.claiming import Claimed, ClaimRequest
from gateway.store.outbox.leases import MAILBOX

log = structlog.get_logger()

#: A call that waits looks by itself this often, in seconds.
LOOK = 5.0
#: Calls of one commune that may wait at once; a further one is answered at once.
WAITING = 4
#: Bytes of messages after which no more are put into one answer.
MOST_BYTES = 5_000_000
#: The longest time for which `extend` keeps a fetched message.
LONGEST_CLAIM = timedelta(hours=12)
#: A commune that fetches nothing for so many days is told of, and again.
LATE = timedelta(days=3)
VERY_LATE = timedelta(days=9)


@dataclass(frozen=True, slots=True)
class SizedMessage:
    """A message, and the bytes that it has when it is written."""

    message: PivotEvent | PivotErasure
    size: int


@dataclass(frozen=True, slots=True)
class CommuneMailbox:
    """Serves the communes that fetch. One per process."""

    store: Store
    far_ends: FarEnds
    deliverer: Deliverer
    lanes: Lanes
    environment: Environment

    async def claim(self, gru: Gru, client: PivotClient, told: PivotClaim) -> ClaimAnswer:
        """Settle what the commune fetched before, and take what is next. Raises Unavailable."""
        settled = [await self._settle(gru, one, told.lease) for one in told.settled]
        items = await self._claim(gru, client, told)
        if not items and told.max and told.wait:
            items = await self._wait(gru, client, told)
        now = self.environment.now()
        waiting, oldest = await self.unfetched(gru)
        return ClaimAnswer(
            settled=tuple(settled),
            items=tuple(items),
            more=waiting > 0,
            heartbeat=Heartbeat(
                at=now, waiting=waiting, oldest_at=oldest, last_seq=await self._last(gru)
            ),
        )

    async def read_feed(self, gru: Gru, client: PivotClient, after: int, most: int) -> EventsPage:
        """Read again what the commune was owed, after a number. Nothing changes by that.

        Raises Unavailable.
        """
        now, last = self.environment.now(), await self._last(gru)
        items: list[FedEvent] = []
        size = 0
        for seq, owed in await self.store.read(feed.read_page, gru.lane_name, after, most):
            erased = owed.request.erased_at is not None
            made: SizedMessage | Outcome | None = None
            if not erased or owed.delivery.kind is Kind.ERASE:
                made = await self._message(owed, client, now)
            event = made.message if isinstance(made, SizedMessage) else None
            taken = owed.delivery.state is State.DONE
            item = FedEvent(
                seq=seq, reference=owed.request.id, taken=taken, erased=erased, event=event
            )
            items.append(item)
            size += made.size if isinstance(made, SizedMessage) else 0
            if size > MOST_BYTES:
                break
        read = items[-1].seq if items else after
        return EventsPage(items=tuple(items), more=read < last, last_seq=last)

    async def _last(self, gru: Gru) -> int:
        lane = gru.lane_name
        return (await self.store.read(feed.last_numbers, [lane])).get(lane, 0)

    async def late(self) -> dict[str, timedelta]:
        """Return, by lane, for how long what a commune does not fetch has waited: days at least. A
        commune that is paused may not fetch."""
        now = self.environment.now()
        found: dict[str, timedelta] = {}
        communes = self.far_ends.catalogue.communes.values()
        for gru in [gru for one in communes if not one.paused for gru in one.grus.values()]:
            if gru.capabilities.pulled:
                _, oldest = await self.unfetched(gru)
                if oldest is not None and now - oldest >= LATE:
                    found[gru.lane_name] = now - oldest
        return found

    async def unfetched(self, gru: Gru) -> tuple[int, datetime | None]:
        """Count what a commune may fetch, and tell since when the oldest of it waits."""
        now = self.environment.now()
        return await self.store.read(mailbox.unfetched, gru.lane_name, now)

    async def warn(self) -> None:
        """Log which communes have fetched nothing for days."""
        for lane, age in (await self.late()).items():
            say = log.error if age >= VERY_LATE else log.warning
            say("mailbox.not_fetched", lane=lane, days=age.days)

    # --- taking -------------------------------------------------------------------------------

    async def _wait(self, gru: Gru, client: PivotClient, told: PivotClaim) -> list[ClaimedItem]:
        """Wait until there is something, or the time that the commune gave is over."""
        bells = self.lanes.bells.setdefault(gru.lane_name, set())
        if len(bells) >= WAITING:
            return []
        bell = asyncio.Event()
        bells.add(bell)
        until = self.environment.monotonic() + told.wait
        try:
            while not self.lanes.registry.stopping:
                bell.clear()
                items = await self._claim(gru, client, told)
                left = until - self.environment.monotonic()
                if items or left <= 0:
                    return items
                try:
                    async with asyncio.timeout(min(left, LOOK)):
                        await bell.wait()
                except TimeoutError:
                    continue
            return []
        finally:
            bells.discard(bell)

    async def _claim(self, gru: Gru, client: PivotClient, told: PivotClaim) -> list[ClaimedItem]:
        lane = self._lane(gru)
        if not told.max or lane.paused or lane.policy.paused:
            return []
        now = self.environment.now()
        ask = ClaimRequest(gru.lane_name, told.max, MAILBOX, now, told.lease)
        taken = await self.store.write(claiming.claim, ask)
        self.environment.crash("mailbox.claimed")
        items: list[ClaimedItem] = []
        size = 0
        for claimed in taken.claims:
            if size > MOST_BYTES:
                await self.lanes.attempts.give_back(claimed, now)
                continue
            made = await self._message(claimed, client, now)
            if not isinstance(made, SizedMessage):
                await self.lanes.attempts.conclude_fetched(lane, claimed, made, now)
                continue
            item = ClaimedItem(
                token=f"{claimed.delivery.id}.{claimed.delivery.fence}",
                lease_until=now + timedelta(seconds=told.lease),
                attempt=claimed.delivery.attempts,
                event=made.message,
            )
            size += made.size
            items.append(item)
        if items:
            log.info("mailbox.fetched", lane=gru.lane_name, items=len(items))
        return items

    async def _message(
        self, claimed: Claimed, client: PivotClient, now: datetime
    ) -> SizedMessage | Outcome:
        """Return the message of a delivery, or what it comes to that none can be made."""
        if claimed.delivery.kind is Kind.ERASE:
            request = claimed.request
            return _sized(client.erasure(request.id, request.gru_reference))
        try:
            sent = await self.deliverer.compose(claimed)
            if not isinstance(sent, Submission | Amendment):
                return sent
            event = await client.event(sent, now)
            # One that cannot be written must not keep back the others.
            return await beside(message_weight(event), partial(_sized, event))
        except NoRoute as error:
            return Misconfigured("no_route", str(error))
        except UndecodableEvent:
            return Refused("undecodable", "what the database holds of it is damaged")
        except TookTooLong as error:
            return TryLater("took_too_long", error.text)
        except Exception as error:
            # The error's text can hold personal data; its class and place cannot.
            place = error_place(error)
            named = {"delivery": claimed.delivery.id, "lane": claimed.delivery.lane}
            log.error("mailbox.bug", **named, error=type(error).__name__, where=place)
            return Refused("bug", f"{type(error).__name__} at {place}")

    # --- settling -----------------------------------------------------------------------------

    async def _settle(self, gru: Gru, told: ClaimResultTold, lease: int) -> SettledClaim:
        """Write one result down. A late one counts as long as nobody else has fetched it since."""
        delivery_id, fence = _read(told.token)
        now = self.environment.now()
        if told.result == "extend":
            until = now + timedelta(seconds=lease)
            of = (gru.lane_name, delivery_id, fence)
            end = await self.store.write(mailbox.extend_claim, *of, until, LONGEST_CLAIM, now)
            outcome: Literal["recorded", "lost"] = "lost" if end is None else "recorded"
            return SettledClaim(token=told.token, outcome=outcome, lease_until=end)
        until = now + timedelta(seconds=60)
        held = await self.store.write(mailbox.lock_claim, gru.lane_name, delivery_id, fence, until)
        if held.claimed is None:
            same = held.done and told.result == "done" and told.reference in (None, held.number)
            return SettledClaim(token=told.token, outcome="known" if same else "lost")
        if told.result == "release":
            await self.lanes.attempts.give_back(held.claimed, now)
            return SettledClaim(token=told.token, outcome="recorded")
        came_to = await self.deliverer.cleaned(held.claimed, _outcome(told))
        at = min(now, max(held.at or now, now - timedelta(days=1)))
        ours = await self.lanes.attempts.conclude_fetched(
            self._lane(gru), held.claimed, came_to, at
        )
        self.environment.crash("mailbox.settled")
        return SettledClaim(token=told.token, outcome="recorded" if ours else "lost")

    def _lane(self, gru: Gru) -> Lane:
        registry = self.lanes.registry
        return registry.get(gru.lane_name) or registry.make(gru.lane_name)


def _sized(message: PivotEvent | PivotErasure) -> SizedMessage:
    return SizedMessage(message, len(message.model_dump_json()))


def _outcome(told: ClaimResultTold) -> Outcome:
    """Return what a result means, as if the commune had been called."""
    if told.result == "later":
        after = None if told.after is None else float(told.after)
        return TryLater("busy", "as the commune asks", after)
    if told.result == "refused":
        words = "\n".join(told.problems)
        return Refused("refused", "by the commune", answer=words or None)
    return with_ground(Accepted(told.reference, told.link, erasure=erasure_answer(told.erasure)))


def _read(token: str) -> tuple[str, int]:
    """Return delivery and fence of a token; of what is none, those of no delivery.

    Its holder may write any: it names a claim, and says nothing of it. Tokens of former releases
    end by a time, which is passed over.
    """
    delivery_id, _, rest = token.partition(".")
    fence = rest.partition(".")[0]
    well = fence.isascii() and fence.isdigit() and len(fence) < 10
    if not well or not (delivery_id.isascii() and delivery_id.isprintable()):
        return "", -1
    return delivery_id, int(fence)
