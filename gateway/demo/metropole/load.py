"""Sends requests at a steady rate, whatever else happens, and records the answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.ids import REFERENCE
from gateway.demo.metropole.files import BackOffice, Member
from gateway.demo.metropole.stage import Town
from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.stage import intake

#: Pushes per second.
RATE = 5.0
#: Of a commune that takes both, every n-th form is a family's.
FAMILY = 4
_FILES = ("livret_famille", "justificatif_domicile", "jugement_garde")


@dataclass(frozen=True, slots=True)
class TimedPush:
    """One push: the time at which it left, on our clock, and its answer (None: none)."""

    insee: str
    slug: str
    id: str
    at: float
    seconds: float
    status: int | None
    reference: str | None

    @property
    def refused(self) -> bool:
        """Was the push refused?"""
        return self.status not in (200, 201)


@dataclass(slots=True)
class Load:
    """The load. `serving` are the communes that citizens send to, in turn."""

    town: Town
    serving: list[Member] = field(default_factory=list)
    sent: list[TimedPush] = field(default_factory=list)
    _next: int = 0

    async def run(self) -> None:
        """Send until cancelled, then wait for the pushes under way."""
        under_way: set[asyncio.Task[None]] = set()
        begun, n = time.monotonic(), 0
        try:
            while True:
                await asyncio.sleep(max(0.0, begun + n / RATE - time.monotonic()))
                n += 1
                if self.serving:
                    member = self.serving[self._next % len(self.serving)]
                    self._next += 1
                    task = asyncio.create_task(self._push(member))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
        finally:
            await asyncio.gather(*under_way)

    async def _push(self, member: Member) -> None:
        town = self.town
        item = town.portal.submit_sample(_form(town, member))
        slug = item.form.slug
        begun = time.monotonic()
        verdict = await town.portal.push(
            item.id, intake(town.url, member.insee, slug), town.keys[member.insee], slug=slug
        )
        found = REFERENCE.search(str(verdict.body))
        self.sent.append(
            TimedPush(
                insee=member.insee,
                slug=slug,
                id=item.id,
                at=begun,
                seconds=next(
                    one.seconds
                    for one in reversed(town.portal.pushes)
                    if (one.slug, one.id) == (slug, item.id)
                ),
                status=verdict.status,
                reference=None if found is None else found.group(),
            )
        )

    def between(self, begin: float, end: float) -> list[TimedPush]:
        """Return the pushes that left between these times."""
        return [one for one in self.sent if begin <= one.at < end]


def _form(town: Town, member: Member) -> dict[str, Any]:
    if member.kind is not BackOffice.DEMO and town.dice.randrange(FAMILY) == 0:
        made = registration(sample(SCHOOL), town.dice)
        made["fields"] |= dict.fromkeys(_FILES)
        for child in made["fields"]["enfants_raw"]:
            child |= {"carnet_vaccination": None, "certificat_radiation": None}
    else:
        made = anomaly(sample(ANOMALY), town.dice, photo=False)
    made["fields"] |= {"commune": member.name, "commune_raw": member.insee}
    return made


def percentiles(sent: Iterable[TimedPush]) -> dict[str, float | None]:
    """Return percentiles of the pushes' times in milliseconds; None without a push."""
    times = sorted(one.seconds * 1000 for one in sent)
    return {f"p{share}": _at(times, share / 100) for share in (50, 95, 99)}


def _at(times: Sequence[float], share: float) -> float | None:
    return round(times[max(0, math.ceil(len(times) * share) - 1)], 1) if times else None
