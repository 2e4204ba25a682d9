"""Follows what the portal anonymised or deleted: our copy of it, and the commune's, are erased too.

w.c.s. says of no formdata that it was anonymised. Its list leaves such a one out, unless asked with
`include-anonymised`: what only the longer list has is anonymised. An answer that is short by
mistake looks the same, so the shorter list is asked twice, and the row itself must be wiped. What
neither list has is deleted if the portal says of it by itself that there is none (a 404 of w.c.s.,
where a missing right is a 403). That may also be a portal that was put back from a backup, before
the citizen's request: so two people always decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from gateway.catalogue.catalogue import Teleservice
from gateway.core.erasure import BRAKED, DEADLINE, DELETED, Brake, over
from gateway.core.ids import is_ours
from gateway.core.outcome import Outcome
from gateway.flow.due import names_at_once
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds
from gateway.store import cursors, erasure_level, erasure_orders
from gateway.store.engine import Store
from gateway.store.erasure_orders import ListedRequest, OpenOrder, SingleRequest
from gateway.wire.portal import WholeList

log = structlog.get_logger()

NAME: Final = "anonymised:"
SOURCE: Final = "portal"
#: Requests that one look at a form is about; the next one goes on behind them.
AT_ONCE = 500
#: Of these, those that are asked about one by one.
ONE_BY_ONE = 50
#: Anonymised requests of a form within a day, above which two people must agree.
BRAKE = Brake(ratio=1.0, count=100)


@dataclass(slots=True)
class _Seen:
    wiped: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    asked: int = 0


@dataclass(frozen=True, slots=True)
class AnonymisationWatch:
    """Looks at what is held of each form. One per process."""

    store: Store
    far_ends: FarEnds
    hasher: AccountHasher
    environment: Environment
    deadline: timedelta = DEADLINE

    async def follow(self, portal: str, teleservice: Teleservice) -> int:
        """Look at some of a form's requests; return how many erasures were opened or held. Raises
        Unavailable, BadKey and OSError."""
        slug, now = teleservice.slug, self.environment.now()
        name = f"{NAME}{portal}:{slug}"
        cursor = await self.store.read(cursors.get, name)
        after = None if cursor is None else cursor.value
        held = await self.store.read(erasure_orders.listed, portal, slug, after or "", AT_ONCE)
        asked = [one for one in held if not is_ours(one.ref)]
        seen = await self._seen(portal, slug, asked)
        if not isinstance(seen, _Seen):
            failure = getattr(seen, "reason", "unreadable_answer")
            await self.store.write(cursors.move, name, after, now, failure)
            log.warning("anonymised.failed", portal=portal, teleservice=slug, reason=failure)
            return 0
        opened = 0
        wiped = [one for one in asked if one.ref in seen.wiped]
        if wiped:
            recent = await self.store.read(erasure_level.single_requests, SOURCE, now)
            many = over(BRAKE, len(wiped) + recent, len(wiped) + recent)
            opened += await self._open(portal, slug, wiped, BRAKED if many else "")
        deleted = [one for one in asked if one.ref in seen.deleted]
        if deleted:
            opened += await self._open(portal, slug, deleted, DELETED)
        reached = held[-1].ref if len(held) == AT_ONCE else None
        await self.store.write(cursors.move, name, reached, now, None)
        return opened

    async def _seen(
        self, portal: str, slug: str, asked: Sequence[ListedRequest]
    ) -> _Seen | Outcome:
        client, seen = self.far_ends.portals[portal], _Seen()
        followed = {one.ref for one in asked if one.followed}
        for some in names_at_once([one.ref for one in asked]):
            shown = await client.listed(slug, some)
            if not isinstance(shown, frozenset):
                return shown
            left_out = [ref for ref in some if ref not in shown]
            if not left_out:
                continue
            whole = await client.with_anonymised(slug, left_out)
            if not isinstance(whole, WholeList):
                return whole
            if whole.wiped:
                again = await client.listed(slug, sorted(whole.wiped))
                if not isinstance(again, frozenset):
                    return again
                seen.wiped |= whole.wiped - again
            for ref in left_out:
                if ref in whole.there or ref not in followed or seen.asked == ONE_BY_ONE:
                    continue
                seen.asked += 1
                gone = await client.is_deleted(slug, ref)
                if not isinstance(gone, bool):
                    return gone
                if gone:
                    seen.deleted.add(ref)
        return seen

    async def _open(self, portal: str, slug: str, found: Sequence[ListedRequest], held: str) -> int:
        run = f"RUN-{self.environment.new_name()}"
        wanted = [
            SingleRequest(one.id, self.hasher.hash_of_request(portal, slug, one.ref))
            for one in found
        ]
        made = await self.store.write(
            erasure_orders.open_requests,
            wanted,
            OpenOrder(run, SOURCE, self.deadline, held),
            lambda: f"ERA-{self.environment.new_name()}",
            self.environment.now(),
            skip=True,
        )
        say = log.warning if held else log.info
        if made:
            say(
                "anonymised.found",
                portal=portal,
                teleservice=slug,
                run=run,
                erasures=len(made),
                held=held,
            )
        return len(made)


__all__ = ["NAME", "AnonymisationWatch"]
