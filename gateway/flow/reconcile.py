"""Taking in what no push brought: w.c.s. does not retry, so every push may be lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway.catalogue.catalogue import Teleservice
from gateway.core.errors import Rejected, Unavailable
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.receive import Receiver
from gateway.flow.world import World
from gateway.store import lanes as memory
from gateway.store import requests
from gateway.store.engine import Store
from gateway.store.rows import Acceptance, Reception
from gateway.wire.event import CREATION
from gateway.wire.formdata import Formdata, Limits, parse_formdata
from gateway.wire.localtime import parse_local
from gateway.wire.portal import Page
from gateway.wire.spool import LARGE, Body, Inflow

log = structlog.get_logger()

PAGE = 100
#: Windows overlap by this much: clocks differ, and a list's bound is in whole seconds.
OVERLAP = timedelta(minutes=10)
#: How far back the first run looks.
FIRST = timedelta(days=2)
#: A push that is only slow must not be overtaken by its own reconciliation.
SETTLE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Lists a teleservice at the portal and receives what is not here. One per process."""

    store: Store
    far_ends: FarEnds
    receiver: Receiver
    world: World
    limits: Limits
    settle: timedelta = SETTLE

    async def reconcile(self, portal: str, teleservice: Teleservice) -> int:
        """One run over a form; how many requests it took in.

        The cursor moves to what was surely seen, and stays put when the portal cannot be read or a
        formdata cannot be kept for a passing reason, so that the next run sees it again.
        """
        name = f"reconcile:{portal}:{teleservice.slug}"
        now = self.world.now()
        cursor = await self.store.read(memory.cursor, name)
        begun = now - FIRST
        if cursor is not None and cursor.value is not None:
            # One that is ahead is of a clock that has been set back: it tells nothing.
            read = datetime.fromisoformat(cursor.value)
            begun = read if read <= now else begun
        taken, offset, failure = 0, 0, None
        while failure is None:
            page = await self.far_ends.portals[portal].listing(
                teleservice.slug, begun - OVERLAP, offset, PAGE
            )
            if not isinstance(page, Page):
                failure = outcome_word(page)
                break
            more, failure = await self._page(portal, teleservice, page, now)
            taken += more
            if not page.more or not page.rows:
                break
            offset += len(page.rows)
        reached = begun if failure else now - self.settle
        await self.store.write(memory.move_cursor, name, reached.isoformat(), now, failure)
        if taken or failure:
            log.warning(
                "reconcile.found",
                portal=portal,
                teleservice=teleservice.slug,
                taken=taken,
                failure=failure,
            )
        return taken

    async def _page(
        self, portal: str, teleservice: Teleservice, page: Page, now: datetime
    ) -> tuple[int, str | None]:
        refs = [str(row.get("id")) for row in page.rows if row.get("id") is not None]
        known = await self.store.read(requests.known_refs, portal, teleservice.slug, refs)
        taken = 0
        failure = None
        for row in page.rows:
            ref = str(row.get("id"))
            changed = parse_local(row.get("last_update_time"))
            fresh = changed is not None and now - changed < self.settle
            if ref in known or row.get("id") is None or fresh:
                continue
            try:
                taken += await self._one(portal, teleservice, ref)
            except Unavailable:
                failure = "unavailable"
        return taken, failure

    async def _one(self, portal: str, teleservice: Teleservice, ref: str) -> int:
        client = self.far_ends.portals[portal]
        with Inflow(self.far_ends.catalogue.settings.data_dir) as inflow:
            body = await client.formdata(client.api_url(teleservice.slug, ref), inflow)
            if not isinstance(body, Body):
                if outcome_word(body) == "refused":
                    return 0  # gone since the list was made
                raise Unavailable("a listed formdata cannot be read now")
            try:
                acceptance = await self._receive(portal, teleservice, body)
            except Rejected as error:
                # Not ours (a commune that is not connected), or beyond mending by trying again.
                log.info(
                    "reconcile.passed_over",
                    portal=portal,
                    teleservice=teleservice.slug,
                    code=error.code,
                )
                return 0
            return int(acceptance.reception is Reception.NEW)

    async def _receive(self, portal: str, teleservice: Teleservice, body: Body) -> Acceptance:
        def parsed() -> Formdata:
            return parse_formdata(
                body.text, "application/json", limits=self.limits, texts=body.texts
            )

        formdata = await asyncio.to_thread(parsed) if body.size > LARGE else parsed()
        commune = self.far_ends.catalogue.insee(teleservice.code_in(json.loads(body.text)))
        return await self.receiver.receive(
            portal,
            commune,
            teleservice.slug,
            formdata,
            event=CREATION,
        )
