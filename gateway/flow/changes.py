"""What a GRU tells (by poll or webhook), kept once and turned into reports to the portal."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.catalogue.catalogue import Gru
from gateway.core import reasons
from gateway.core.content import Content, InMemory
from gateway.core.errors import Rejected, Unavailable
from gateway.core.mapping import canonical, note_is_public
from gateway.core.outcome import Outcome, Refused
from gateway.core.progress import judge
from gateway.core.reasons import About
from gateway.core.request import Attachment
from gateway.flow.attachments import Attachments
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.world import World
from gateway.sdk import Change, Changes, Document, Hook, Tracked
from gateway.store import history
from gateway.store import lanes as memory
from gateway.store.engine import Store
from gateway.store.rows import Kept, News, Report

log = structlog.get_logger()

#: How many open requests one poll asks about at most; the longest unasked come first.
TRACKED = 2000
#: So many bytes of documents are fetched by one poll; those left over wait for the next.
_AT_ONCE = 100_000_000


@dataclass(frozen=True, slots=True)
class ChangeTaker:
    """Polls GRUs and reads their webhooks. One per process."""

    store: Store
    far_ends: FarEnds
    world: World
    wake: Callable[..., None]
    attachments: Attachments

    async def poll(self, gru: Gru) -> int:
        """Ask one GRU what changed; how many changes were news."""
        name = f"poll:{gru.lane_name}"
        tracked = await self.store.read(history.tracked, gru.commune, gru.name, TRACKED)
        cursor = await self.store.read(memory.cursor, name)
        value = None if cursor is None else cursor.value
        oldest = None
        if value is None:
            # The first poll tells where all later ones begin: before anything can have been told.
            # A request may be at the GRU long before its number is here.
            oldest = await self.store.read(history.oldest_open, gru.commune, gru.name)
            if oldest is not None and not tracked:
                return 0  # there is nobody to ask about, and a poll would begin at its own time
        asked = [
            Tracked(r.id, r.gru_reference or "", min(oldest or r.status_at, r.status_at))
            for r in tracked
        ]
        try:
            changes = await self.far_ends.adapters[gru.lane_name].statuses(asked, value)
        except Exception as error:
            log.error("poll.bug", lane=gru.lane_name, error=type(error).__name__)
            changes = Changes(cursor=value, failure=Refused("bug", type(error).__name__))
        news = await self._take(gru, await self._completed(gru, changes, value), name)
        _log_failure("poll.failed", gru, changes.failure)
        return news

    async def webhook(self, gru: Gru, hook: Hook) -> int:
        """Take one call of a GRU in; how many changes were news.

        Raises Rejected 401 when the call does not prove its sender, 400 when it cannot be read,
        Unavailable when the adapter fails at it.
        """
        try:
            changes = await self.far_ends.adapters[gru.lane_name].webhook(hook)
        except Exception as error:
            log.error("webhook.bug", lane=gru.lane_name, error=type(error).__name__)
            raise Unavailable("the call cannot be read now") from None
        if changes.failure is not None:
            _log_failure("webhook.refused", gru, changes.failure)
            reason = getattr(changes.failure, "reason", "refused")
            unproven = reasons.of(reason).about is About.SENDER
            if unproven or not changes.items:
                raise Rejected(401 if unproven else 400, reason, "the call was not taken")
        return await self._take(gru, await self._completed(gru, changes, None), None)

    async def _completed(self, gru: Gru, changes: Changes, cursor: str | None) -> Changes:
        """The changes with what has to be fetched for those that are new, once for each.

        What cannot be had now is left out, and so is what the citizen may not read: it is read
        again at the next poll, which begins where this one did.
        """
        now = self.world.now()
        wanting = [change for change in changes.items if change.more is not None]
        if not wanting:
            return changes
        public = [self._news(change, now) for change in wanting if change.public]
        fresh = await self.store.read(history.fresh, gru.commune, gru.name, public)
        new = {(item.reference, item.gru_reference, item.key) for item in fresh}
        items: list[Change] = []
        failure, reached, held = changes.failure, changes.cursor, 0
        for change in changes.items:
            if change.more is None:
                items.append(change)
            elif (change.reference, change.gru_reference, change.key) in new and held < _AT_ONCE:
                whole = await change.more()
                if isinstance(whole, Change):
                    items.append(whole)
                    held += sum(len(document.content) for document in whole.documents)
                else:
                    failure, reached = failure or whole, cursor
            elif held >= _AT_ONCE:
                reached = cursor
        return dataclasses.replace(changes, items=items, failure=failure, cursor=reached)

    async def _take(self, gru: Gru, changes: Changes, cursor: str | None) -> int:
        now = self.world.now()
        news = tuple(self._news(change, now) for change in changes.items)
        contents = await self._contents(gru, news)
        kept = await self.attachments.put(contents)
        if kept is not contents:
            news = tuple(_with(item, kept) for item in news)
        self.world.crash("changes.before_commit")
        failure = None if changes.failure is None else outcome_word(changes.failure)
        lanes = await self.store.write(
            history.take,
            gru.commune,
            gru.name,
            news,
            self._judge,
            now,
            cursor=None if cursor is None else (cursor, changes.cursor, failure),
        )
        self.world.crash("changes.after_commit")
        with contextlib.suppress(Unavailable):  # what is left goes by itself
            await self.attachments.give_up(kept.values())
        if news or lanes:
            log.info("changes.taken", lane=gru.lane_name, read=len(news), told=len(lanes))
        self.wake(*set(lanes))
        return len(lanes)

    async def _contents(self, gru: Gru, news: tuple[News, ...]) -> Mapping[str, Content]:
        """The documents to be put into the object store before they are kept, by SHA-256.

        GRUs repeat themselves at each poll, and tell of requests that are not ours, or erased:
        nothing of these is to lie there, not even for as long as it takes to pass over them.
        """
        bringing = [item for item in news if item.documents]
        if not bringing or not self.attachments.apart:
            return {}
        fresh = await self.store.read(history.fresh, gru.commune, gru.name, bringing)
        return {content.sha256: content for item in fresh for _, content in item.documents}

    def _news(self, change: Change, now: datetime) -> News:
        documents = tuple(_kept(document) for document in change.documents)
        return News(
            key=change.key or _state_key(change),
            gru_reference=change.gru_reference,
            reference=change.reference,
            status=change.status,
            message=change.message,
            public=change.public,
            at=change.at or now,
            documents=documents,
            # One report carries one document, so that a workflow finds it under one name.
            ids=tuple(
                (self.world.new_id(), self.world.new_id()) for _ in range(max(1, len(documents)))
            ),
            dated=change.at is not None,
        )

    def _judge(self, request: Kept, news: News) -> tuple[Report, ...]:
        """The reports that a change makes us owe; none when it is no news. Pure."""
        try:
            runs = self.far_ends.catalogue
            route = runs.route(request.portal, request.commune, request.teleservice)
        except Rejected:
            return ()
        rule = None if news.status is None else canonical(route.mapping, news.status)
        if news.status is not None and rule is None:
            log.warning("changes.unknown_status", request=request.id, mapping=route.mapping.key)
        status = None if rule is None else rule.status
        message = news.message if note_is_public(route.mapping, news.public) else None
        has_news = message is not None or bool(news.documents)
        changed_at = request.changed_at if news.dated else None  # ours may have been set since
        verdict = judge(request.status, changed_at, status, news.at, has_news=has_news)
        if not verdict.tell:
            return ()
        told = status if verdict.move else None
        if message is None and told is not None and rule is not None:
            message = rule.message
        reports = []
        for n, (event_id, delivery_id) in enumerate(news.ids):
            first = n == 0
            reports.append(
                Report(
                    event_id=event_id,
                    delivery_id=delivery_id,
                    request_id=request.id,
                    lane=f"portal:{request.portal}:{request.commune}",
                    origin="gru",
                    key=news.key if first else f"{news.key}#{n + 1}",
                    at=news.at,
                    body={
                        # A note travels under the status that held when it came: by the time it
                        # leaves, the request may have moved on.
                        "status": (told or request.status).value,
                        "message": message if first else None,
                    },
                    status=told if first else None,
                    documents=news.documents[n : n + 1],
                )
            )
        return tuple(reports)


def _with(news: News, contents: Mapping[str, Content]) -> News:
    documents = tuple((file, contents.get(file.sha256, c)) for file, c in news.documents)
    return dataclasses.replace(news, documents=documents)


def _kept(document: Document) -> tuple[Attachment, Content]:
    content = InMemory(document.content)
    name, kind = document.filename, document.content_type
    return Attachment("document", name, kind, content.size, content.sha256), content


def _state_key(change: Change) -> str:
    told = f"{change.status}|{change.message}"
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _log_failure(event: str, gru: Gru, failure: Outcome | None) -> None:
    if failure is not None:
        log.warning(
            event,
            lane=gru.lane_name,
            outcome=outcome_word(failure),
            reason=getattr(failure, "reason", ""),
        )
