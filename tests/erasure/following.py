"""A gateway that follows GLC, with the usual acts of the tests of erasure."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.flow.identity import PollResult
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.glc import SimulatedGlc
from gateway.store import erasures
from gateway.store.erasures import Erasure, Target
from gateway.store.rows import Acceptance
from tests.flow.rig import BRON, SAMPLE, Rig

CANARY = "c0ffee00000000000000000000000000"
#: Nothing else contains it: found anywhere after an erasure, it escaped.
MARKER = "MARQUEUR-ZOE-FICTIVE-7f3a"


def uuid(n: int) -> str:
    return f"b1a7c0de{n:024x}"


@dataclass
class Following:
    rig: Rig
    provider: SimulatedGlc
    folder: Path

    def form(
        self, account: str | None, commune: str = BRON, *, marker: str = "", photo: bool = False
    ) -> SimulatedFormdata:
        """Submit a formdata of this account, with `marker` in its fields, file name and content."""
        sample = copy.deepcopy(SAMPLE)
        sample["user"]["NameID"] = [account] if account else []
        sample["fields"] |= {"commune_raw": commune, "description": f"Un canapé {marker}"}
        sample["user"]["name"] = f"Zoé {marker}"
        if photo:
            content = sample["fields"]["photo"]
            content["filename"] = f"photo-{marker}.txt"
            content["content_type"] = "text/plain"
            content["content"] = base64.b64encode(f"le fichier {marker}".encode()).decode()
        else:
            sample["fields"]["photo"] = None
        return self.rig.portal.submit_sample(sample)

    async def send(self, account: str | None, commune: str = BRON, **kind: Any) -> str:
        """Push one request of this account, and return our id."""
        if account and account not in self.provider.accounts:
            self.provider.create(account)
        accepted = await self.push(self.form(account, commune, **kind))
        assert accepted.request is not None
        return accepted.request.id

    async def push(self, item: SimulatedFormdata, **extra: Any) -> Acceptance:
        return await self.rig.push(item, **extra)

    async def people(self, n: int) -> list[str]:
        """Make `n` people with one delivered request each."""
        accounts = [uuid(i + 1) for i in range(n)]
        requests = [await self.send(account) for account in accounts]
        for one in requests:
            await self.rig.state(one, State.DONE)
        return accounts

    async def people_kept(self, n: int) -> list[str]:
        """Make `n` people with one request each that is not yet sent."""
        accounts = [uuid(i + 1) for i in range(n)]
        for account in accounts:
            await self.send(account)
        return accounts

    async def poll(self) -> PollResult:
        assert self.rig.engine.identity is not None
        return await self.rig.engine.identity.poll()

    async def found_gone(self) -> PollResult:
        """Poll twice, far enough apart to confirm."""
        await self.poll()
        self.rig.advance(7 * 3600)
        return await self.poll()

    async def erased(self, *, step: float = 0) -> None:
        """Wait until no erasure has anything left to do; move the clock by `step` at each look."""

        async def over() -> bool:
            if step:
                self.rig.advance(step)
            await self.rig.engine.eraser.advance()
            return await self.live() == []

        await self.rig.until(over, "the erasure never closed")

    async def live(self) -> list[Erasure]:
        return await self.rig.database.read(erasures.listing, limit=10_000)

    async def every(self) -> list[Erasure]:
        return await self.rig.database.read(erasures.listing, everything=True, limit=10_000)

    async def the(self) -> Erasure:
        (one,) = await self.every()
        return one

    async def held(self) -> int:
        return sum(one.state is Phase.HELD for one in await self.live())

    async def targets(self, erasure: str) -> list[Target]:
        return await self.rig.database.read(erasures.targets, erasure)

    async def count(self) -> int:
        """Return the number of people who were or are being erased."""
        return sum(one.opened_at is not None for one in await self.every())

    async def erase_deliveries(self, *requests: str) -> list[str]:
        return [
            one.state.value
            for request in requests
            for one in await self.rig.deliveries(request, Kind.ERASE)
        ]

    def places(self) -> list[str]:
        """Return the places of the marker: the gateway's files, and the GRUs' data."""
        found = [
            str(path.relative_to(self.folder))
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and MARKER.encode() in path.read_bytes()
        ]
        for lane, sim in self.rig.grus.items():
            for ticket in sim.tickets:
                text = json.dumps(ticket.as_json(), ensure_ascii=False)
                contents = b"".join(d.content for d in ticket.documents)
                if MARKER in text or MARKER.encode() in contents:
                    found.append(f"{lane} ticket {ticket.id}")
        return found


def hours(n: float) -> timedelta:
    return timedelta(hours=n)
