"""Follows what the portal anonymised: our copy of it, and the commune's, are erased too.

w.c.s. says of no formdata that it was anonymised. Its list leaves such a one out, unless asked with
`include-anonymised`: what only the longer list has is anonymised. An answer that is short by
mistake looks the same, so the shorter list is asked twice, and the row itself must be wiped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from gateway.catalogue.catalogue import Teleservice
from gateway.core.erasure import BRAKED, DEADLINE, Brake, over
from gateway.core.ids import is_ours
from gateway.core.outcome import Outcome
from gateway.flow.due import names_at_once
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds
from gateway.store import cursors, erasure_level, erasure_orders
from gateway.store.engine import Store
from gateway.store.erasure_orders import ListedRequest, OpenOrder, SingleRequest

log = structlog.get_logger()

NAME: Final = "anonymised:"
SOURCE: Final = "portal"
#: Requests that one look at a form is about; the next one goes on behind them.
AT_ONCE = 500
#: Anonymised requests of a form within a day, above which two people must agree.
BRAKE = Brake(ratio=1.0, count=100)


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
        wiped = await self._wiped(portal, slug, [one.ref for one in asked])
        if not isinstance(wiped, frozenset):
            failure = getattr(wiped, "reason", "unreadable_answer")
            await self.store.write(cursors.move, name, after, now, failure)
            log.warning("anonymised.failed", portal=portal, teleservice=slug, reason=failure)
            return 0
        found = [one for one in asked if one.ref in wiped]
        opened = await self._open(portal, slug, found) if found else 0
        reached = held[-1].ref if len(held) == AT_ONCE else None
        await self.store.write(cursors.move, name, reached, now, None)
        return opened

    async def _wiped(self, portal: str, slug: str, refs: Sequence[str]) -> frozenset[str] | Outcome:
        client = self.far_ends.portals[portal]
        wiped: set[str] = set()
        for some in names_at_once(refs):
            shown = await client.listed(slug, some)
            if not isinstance(shown, frozenset):
                return shown
            left_out = [ref for ref in some if ref not in shown]
            if not left_out:
                continue
            blank = await client.wiped(slug, left_out)
            if not isinstance(blank, frozenset):
                return blank
            if not blank:
                continue
            again = await client.listed(slug, sorted(blank))
            if not isinstance(again, frozenset):
                return again
            wiped |= blank - again
        return frozenset(wiped)

    async def _open(self, portal: str, slug: str, found: Sequence[ListedRequest]) -> int:
        now = self.environment.now()
        recent = await self.store.read(erasure_level.single_requests, SOURCE, now)
        held = BRAKED if over(BRAKE, len(found) + recent, len(found) + recent) else ""
        run = f"RUN-{self.environment.new_name()}"
        wanted = [
            SingleRequest(one.id, self.hasher.hash_of_request(portal, slug, one.ref))
            for one in found
        ]
        order = OpenOrder(run, SOURCE, self.deadline, held)
        made = await self.store.write(
            erasure_orders.open_requests,
            wanted,
            order,
            lambda: f"ERA-{self.environment.new_name()}",
            now,
            skip=True,
        )
        say = log.warning if held else log.info
        if made:
            say("anonymised.found", portal=portal, teleservice=slug, run=run, erasures=len(made))
        return len(made)


__all__ = ["NAME", "AnonymisationWatch"]
