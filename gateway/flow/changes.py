"""Takes in the changes that a GRU tells by poll or webhook, once each, and queues the reports."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from gateway.catalogue.catalogue import Gru
from gateway.core import reasons
from gateway.core.error_place import error_place
from gateway.core.errors import Rejected, Unavailable
from gateway.core.outcome import Outcome, Refused
from gateway.core.reasons import About
from gateway.core.richtext import clean_text
from gateway.flow.antivirus import Antivirus
from gateway.flow.attachments import Attachments
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.keeping import as_body, from_body
from gateway.flow.polling import asked_numbers, choose_question, most_are_missing
from gateway.flow.reading import as_they_stand, news_of, with_contents
from gateway.flow.telling import ChangeJudge, rules_of
from gateway.sdk import (
    Change,
    Changes,
    Patience,
    TookTooLong,
    Tracked,
    TryLater,
    WebhookCall,
    beside,
)
from gateway.sdk.patience import LONGEST_POLL
from gateway.store import history, installation, pivot, untold
from gateway.store.asking import AskedNumbers
from gateway.store.engine import Store
from gateway.store.outbox import lanes as memory
from gateway.store.pivot import KeyedChange, KeyedReception
from gateway.store.rows import IncomingChange
from gateway.telemetry import sparingly

log = structlog.get_logger()

#: For this long after a restored backup, the portal is asked whether it knows a change already.
RESTORED_LATELY = timedelta(days=1)
#: Changes taken in by one transaction. More would block other writers.
_AT_ONCE = 200
#: Untold changes judged again by one transaction.
_AGAIN = 500
#: Bytes of documents fetched by one poll. The rest waits for the next.
_FETCHED = 100_000_000


@dataclass(frozen=True, slots=True)
class ChangeReceiver:
    """Polls GRUs and reads their webhooks. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    wake: Callable[..., None]
    attachments: Attachments
    antivirus: Antivirus
    #: Lanes for which this process keeps calls until a number is known.
    early: set[str] = field(default_factory=set)
    #: Is a lane's breaker open, as far as this process knows?
    waits: Callable[[str], bool] = lambda lane: False

    async def poll(self, gru: Gru) -> int:
        """Ask one GRU what changed. Return the number of reports that this queued."""
        told = await self.review(gru)
        begun, restored_at = self.environment.now(), await self._restored_lately()
        question = await choose_question(self.store, gru, begun, restored_at)
        if question is None:
            return told
        value, wanted = question.cursor, question.wanted
        changes = await self._statuses(gru, wanted, value)
        news, bad = await self._checked(changes.items, polled=True)
        judge = self._judge(gru, restored_at, begun)
        sifted = await self.store.read(
            history.sift, gru.commune, gru.name, news, judge, self.environment.now()
        )
        missing = await self._fetch(sifted, polled=True)
        outcome = changes.failure or missing
        failure = None if outcome is None else getattr(outcome, "reason", outcome_word(outcome))
        asked = asked_numbers(changes, [one.reference for one in wanted], gru.follow)
        if failure is None and most_are_missing(asked):
            failure = "rows_missing"
        if failure is not None:
            # A list that is wrong or unread says nothing about the single tickets.
            asked = dataclasses.replace(asked, seen=None)
        fault = _fault(news, bad)
        # Without characters that a database refuses.
        reached = value if sifted.unread else changes.cursor and clean_text(changes.cursor)
        read = history.PollProgress(question.name, reached, value, failure, fault)
        told += await self._apply(gru, sifted, judge, read=read, asked=asked)
        if failure is None and (wanted or changes.items) and self.waits(gru.lane_name):
            # The poll went well, so one call may test the open breaker at once.
            await self.store.write(memory.probe_now, gru.lane_name, self.environment.now())
        _log_failure(gru, outcome)
        if fault is not None:
            log.warning("poll.fault", lane=gru.lane_name, fault=fault)
        return told

    async def _statuses(self, gru: Gru, wanted: Sequence[Tracked], cursor: str | None) -> Changes:
        """Return what the GRU tells; a failure alone when its adapter raises or takes too long."""
        patience = asyncio.timeout(LONGEST_POLL)
        try:
            async with patience:
                return await self.far_ends.adapters[gru.lane_name].statuses(wanted, cursor)
        except TookTooLong as error:
            failure: Outcome = TryLater("took_too_long", error.text)
        except Exception as error:
            failure = TryLater("poll_too_long", "it did not come to its end")
            if not patience.expired():
                failure = Refused("bug", _bug("poll.bug", gru.lane_name, error))
        return Changes(cursor=cursor, failure=failure, asked=())

    def proven(self, gru: Gru, head: WebhookCall) -> bool:
        """Does a call prove its sender by its head, before its body is read? Raises Rejected 401
        when it does not and the body cannot either."""
        try:
            proven = self.far_ends.adapters[gru.lane_name].proven(head)
        except Exception as error:
            _bug("webhook.bug", gru.lane_name, error)
            return False
        if proven is False:
            _log_refusal(gru, Refused("unproven", ""))
            raise Rejected(401, "unproven", "the call was not taken")
        return proven is True

    async def webhook(self, gru: Gru, call: WebhookCall) -> int:
        """Take in one call of a GRU. Return the number of reports that this queued.

        Raises Rejected 401 when the call does not prove its sender, 400 when nothing of it can be
        read; Unavailable when the adapter fails or there is no room.
        """
        try:
            changes = await self.far_ends.adapters[gru.lane_name].webhook(call)
        except TookTooLong:
            raise
        except Exception as error:
            _bug("webhook.bug", gru.lane_name, error)
            raise Unavailable("the call cannot be read now") from None
        if changes.failure is not None:
            _log_refusal(gru, changes.failure)
            reason = getattr(changes.failure, "reason", "refused")
            unproven = reasons.of(reason).about is About.SENDER
            if unproven or not changes.items:
                raise Rejected(401 if unproven else 400, reason, "the call was not taken")
        news, bad = await self._checked(changes.items, polled=False)
        if bad and not news:
            raise Rejected(400, "unreadable", "the call was not taken")
        judge = self._judge(gru, await self._restored_lately())
        sifted = await self.store.read(
            history.sift, gru.commune, gru.name, news, judge, self.environment.now()
        )
        await self._fetch(sifted, polled=False)
        told = await self._apply(gru, sifted, judge, early=True)
        if sifted.unread and not judge.polled:
            raise Unavailable("a part of the call cannot be fetched now")
        return told

    async def take_keyed(
        self, gru: Gru, change: KeyedChange, items: Sequence[Change]
    ) -> KeyedReception:
        """Take in all that a commune tells under one key, or nothing of it.

        Raises Rejected 400 when a part of it cannot be read, and Unavailable.
        """
        news, bad = await self._checked(items, polled=False)
        if bad:
            raise Rejected(400, "invalid_body", "Une partie de ce changement est illisible.")
        contents = {c.sha256: c for item in news for _, c in item.documents}
        placed = await self.attachments.put(contents) if self.attachments.external else contents
        self.environment.crash("changes.before_commit")
        reception, lanes = await self.store.write(
            pivot.apply_keyed,
            change,
            gru.commune,
            gru.name,
            [with_contents(item, placed) for item in news],
            self._judge(gru, await self._restored_lately()),
            self.environment.now(),
            self.environment.new_id,
        )
        self.environment.crash("changes.after_commit")
        with contextlib.suppress(Unavailable):  # what is left goes by itself
            await self.attachments.drop(placed.values())
        self.wake(*set(lanes))
        log.info("changes.keyed", lane=gru.lane_name, reception=reception.value, told=len(lanes))
        return reception

    async def _fetch(self, sifted: history.NewChanges, *, polled: bool) -> Outcome | None:
        """Fetch the documents that a change only names. Return the first failure, or None. A
        document that cannot be had now is left out: the next poll begins where this one did."""
        if not sifted.unfetched:
            return None
        news: list[IncomingChange] = []
        failure: Outcome | None = None
        held, patience = 0, Patience()
        for n, item in enumerate(sifted.news):
            if item.more is None or n not in sifted.unfetched:
                news.append(item)
                continue
            whole: Change | Outcome | None = None
            if patience.over:
                whole = TryLater("poll_too_long", "not all that belongs to the items was fetched")
            elif held < _FETCHED:
                whole = await _whole(item.more)
            if isinstance(whole, Change):
                found, _ = await self._checked([whole], polled=polled)
                news += found
                files = {c.sha256: c for one in found for _, c in one.documents}
                sifted.contents |= files
                held += sum(content.size for content in files.values())
            else:
                failure, sifted.unread = failure or whole, True
        sifted.news[:] = news
        sifted.unfetched.clear()
        return failure

    async def numbered(self, lane: str) -> None:
        """Judge what came before a request had its number, now that its creation is answered."""
        if lane not in self.early:
            return
        for commune in self.far_ends.catalogue.communes.values():
            for gru in commune.grus.values():
                if gru.lane_name == lane:
                    await self.review(gru)

    async def review(self, gru: Gru) -> int:
        """Judge untold changes again whose mapping changed or whose number is known now. Return the
        number of reports that this queued."""
        rules = rules_of(self.far_ends.catalogue, gru.commune)
        waiting = await self.store.read(untold.ready, gru.commune, gru.name, rules, _AGAIN)
        early = gru.lane_name in await self.store.read(untold.early_lanes)
        if not waiting and not early:
            self.early.discard(gru.lane_name)
            return 0
        items: list[tuple[str, IncomingChange]] = []
        for one in waiting:
            kept = one.untold
            again = kept.request_id is not None
            try:
                item = from_body(one.body, kept.request_id, kept.gru_reference, again=again)
            except (KeyError, TypeError, ValueError) as error:
                log.error("untold.damaged", untold=kept.id, error=type(error).__name__)
                continue
            items.append((kept.id, item))
        contents = {c.sha256: c for _, item in items for _, c in item.documents}
        infected = await self.antivirus.infected(contents.values())
        contents = {sha256: c for sha256, c in contents.items() if sha256 not in infected}
        placed = await self.attachments.put(contents) if self.attachments.external else contents
        lanes = await self.store.write(
            history.apply_waiting,
            [(untold_id, with_contents(item, placed, infected)) for untold_id, item in items],
            gru.commune,
            gru.name,
            self._judge(gru, await self._restored_lately()),
            self.environment.now(),
            self.environment.new_id,
        )
        with contextlib.suppress(Unavailable):  # the sweep deletes it later
            await self.attachments.drop(placed.values())
        self.wake(*set(lanes))
        return len(lanes)

    async def _restored_lately(self) -> datetime | None:
        """Return the last restore of a backup, if less than `RESTORED_LATELY` old."""
        at = await self.store.read(installation.restored_at)
        return at if at is not None and self.environment.now() < at + RESTORED_LATELY else None

    def _judge(
        self, gru: Gru, restored_at: datetime | None, asked_at: datetime | None = None
    ) -> ChangeJudge:
        polled = gru.poll is not None and gru.capabilities.statuses
        asks = restored_at is not None
        return ChangeJudge(self.far_ends.catalogue, self.environment.new_id, polled, asked_at, asks)

    async def _apply(
        self,
        gru: Gru,
        sifted: history.NewChanges,
        judge: ChangeJudge,
        *,
        read: history.PollProgress | None = None,
        asked: AskedNumbers | None = None,
        early: bool = False,
    ) -> int:
        """Apply changes part by part. The last part moves the poll's cursor."""
        told, news = 0, sifted.news
        parts = [news[n : n + _AT_ONCE] for n in range(0, len(news), _AT_ONCE)] or [[]]
        for n, part in enumerate(parts, 1):
            last = n == len(parts)
            # A file of a stranger or an erased person must never reach the object store.
            mine = {
                c.sha256: c
                for item in part
                for _, c in item.documents
                if c.sha256 not in item.disguised
            }
            infected = await self.antivirus.infected(mine.values())
            clean = mine.keys() - infected
            contents = {sha256: c for sha256, c in sifted.contents.items() if sha256 in clean}
            placed = await self.attachments.put(contents) if self.attachments.external else contents
            self.environment.crash("changes.before_commit")
            lanes = await self.store.write(
                history.apply_changes,
                gru.commune,
                gru.name,
                [with_contents(item, placed, infected) for item in part],
                judge,
                self.environment.now(),
                self.environment.new_id,
                early=as_body if early else None,
                read=read if last else None,
                asked=asked if last else None,
            )
            self.environment.crash("changes.after_commit")
            with contextlib.suppress(Unavailable):  # the sweep deletes it later
                await self.attachments.drop(placed.values())
            if part:
                log.info("changes.taken", lane=gru.lane_name, read=len(part), told=len(lanes))
            told += len(lanes)
            self.wake(*set(lanes))
        if early and news and gru.lane_name in await self.store.read(untold.early_lanes):
            self.early.add(gru.lane_name)
        return told

    async def _checked(
        self, items: Sequence[Change], *, polled: bool
    ) -> tuple[list[IncomingChange], int]:
        """Return the valid items of a poll or call, and the number of invalid ones."""
        now = self.environment.now()
        news: list[IncomingChange] = []
        bad: Counter[str] = Counter()
        for n, item in enumerate(items, 1):
            if n % _AT_ONCE == 0:
                await asyncio.sleep(0)  # lets other tasks run during a long list
            try:
                size = sum(len(one.content) for one in item.documents)
                news.append(await beside(size, partial(news_of, item, now, polled=polled)))
            except (TypeError, ValueError, AttributeError) as error:
                bad[type(error).__name__] += 1
        if bad:
            log.warning("changes.bad", errors=dict(bad))
        return (as_they_stand(news) if polled else news), bad.total()


async def _whole(more: Callable[[], Awaitable[Change | Outcome]]) -> Change | Outcome:
    try:
        return await more()
    except TookTooLong as error:
        return TryLater("took_too_long", error.text)
    except Exception as error:
        return Refused("bug", _bug("fetch.bug", "", error))


def _bug(event: str, lane: str, error: Exception) -> str:
    """Log an adapter's error by its class and place: its text can hold personal data."""
    place = error_place(error)
    log.error(event, lane=lane, error=type(error).__name__, where=place)
    return f"{type(error).__name__} at {place}"


def _fault(news: Sequence[IncomingChange], bad: int) -> str | None:
    """Name the far end's fault, if any, in a word for its health."""
    if bad:
        return "bad_items"
    return "future_dates" if any(item.doubtful for item in news) else None


def _log_failure(gru: Gru, failure: Outcome | None) -> None:
    if failure is not None:
        log.warning("poll.failed", **_failure(gru, failure))


def _log_refusal(gru: Gru, failure: Outcome) -> None:
    # Strangers may call often: log little.
    sparingly(log.warning, "webhook.refused", **_failure(gru, failure))


def _failure(gru: Gru, failure: Outcome) -> dict[str, Any]:
    reason = getattr(failure, "reason", "")
    return {"lane": gru.lane_name, "outcome": outcome_word(failure), "reason": reason}
