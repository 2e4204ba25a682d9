"""The sandbox: a whole gateway over an invented commune, with a simulated portal, in one process.

Nothing of the gateway is simulated: a half-connector meets the real intake, outbox, adapter and
`/pivot/v1`. The citizens, the portal, GLC and the speed of the clock are invented.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog
from fastapi import FastAPI

from gateway.core.errors import Conflict, GatewayError, NotFound
from gateway.core.ids import REFERENCE
from gateway.demo.stage import intake
from gateway.flow.engine import Engine
from gateway.sandbox.acts import LANE, LATER, CitizenActs, FiledRequest, LaterAct
from gateway.sandbox.cases import SandboxCase, all_cases
from gateway.sandbox.citizens import INSEE, TEXTS, CitizenFiling, fill_in, sample_of
from gateway.sandbox.clock import FastClock
from gateway.sandbox.exchanges import ExchangeLog
from gateway.sandbox.files import SandboxSecrets
from gateway.sandbox.former import half_connector, settle_as_former
from gateway.sandbox.gate import PivotGate
from gateway.sandbox.memory import FiledRow, SandboxMemory
from gateway.sandbox.pushing import FORMER_NUMBER, PushLine
from gateway.sandbox.texts import say
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.glc import SimulatedGlc
from gateway.sim.portal import SimulatedPortal
from gateway.store.outbox import backlog

log = structlog.get_logger()

#: Requests filed in one run, and acts that wait, at most.
MOST_REQUESTS = 500
#: Real seconds between two wake-ups of the lanes, which do not know how fast the clock runs.
BEAT = 0.25
#: Beats between two rounds of erasures and citizens' acts.
_SLOW_BEATS = 4
#: Cases that alter, double or forge a request on its way.
_ON_THE_WAY = frozenset(
    {
        "unknown_event", "unknown_field", "other_recipient", "duplicate", "answer_lost",
        "out_of_order", "wrong_signature", "old_timestamp", "first_secret", "second_secret",
    }
)  # fmt: skip
#: Those that a mailbox can meet, too.
_PLANTED = frozenset({"unknown_event", "unknown_field", "other_recipient"})
#: Cases of a request that an earlier half-connector has taken.
_FORMER = frozenset({"history", "erasure_unknown"})


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`push` is the half-connector's address, None: it fetches. `speed` is the clock's."""

    public_url: str
    push: str | None = None
    speed: float = 1.0
    seed: int = 1
    keep: Path | None = None
    #: File the first requests at the start.
    seeded: bool = True


@dataclass(slots=True)
class Sandbox:
    """A sandbox. `app` is the gateway's application, and `gate` stands before it."""

    options: SandboxOptions
    folder: Path
    mappings: Path
    teleservices: Sequence[str]
    secrets: SandboxSecrets
    clock: FastClock
    engine: Engine
    app: FastAPI
    portal: SimulatedPortal
    glc: SimulatedGlc
    line: PushLine
    gate: PivotGate
    ledger: ExchangeLog
    memory: SandboxMemory
    acts: CitizenActs
    dice: random.Random
    requests: list[FiledRequest] = field(default_factory=list)
    _leases: dict[str, str] = field(default_factory=dict)
    _acting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def mode(self) -> str:
        return "mailbox" if self.options.push is None else "push"

    # --- what a vendor asks for -------------------------------------------------------------------

    async def perform(
        self, word: str, teleservice: str | None = None, text: str | None = None
    ) -> FiledRequest | None:
        """Provoke a case. Return its request; None for a case of calls or time.

        Raises NotFound for an unknown case or teleservice, Conflict for a case of the other mode or
        one too many.
        """
        case = all_cases().get(word)
        if case is None:
            raise NotFound(say("no_case", word=word[:60], known=tuple(all_cases())))
        if not case.fits(self.mode):
            raise Conflict(say("other_mode", word=word, mode=case.mode or ""))
        if teleservice is not None and teleservice not in self.teleservices:
            raise NotFound(
                say("no_teleservice", name=teleservice[:60], known=tuple(self.teleservices))
            )
        if case.sort == "call":
            if not self.gate.arm(case):
                raise Conflict(say("too_many"))
            return None
        if case.sort == "time":
            self.move(timedelta(days=3 if word == "three_days" else 9).total_seconds())
            return None
        if word == "ping":
            await self.engine.adapters[LANE].check()
            return None
        return await self._file(case, teleservice, text)

    def move(self, seconds: float) -> None:
        """Move the clock on. Raises ValueError."""
        self.clock.advance(seconds)
        self.memory.save_time(self.clock.now())
        self._look_again()

    async def act(self, reference: str, kind: str) -> None:
        """Have the citizen of a request do something: see `LATER`. Raises NotFound, Conflict."""
        found = next((one for one in self.requests if one.reference == reference), None)
        if found is None or kind not in LATER.values():
            raise NotFound(say("no_request", reference=reference[:60]))
        if len(self.acts.waiting) >= MOST_REQUESTS:
            raise Conflict(say("too_many"))
        self.acts.waiting.append(LaterAct(found, kind))
        await self.work()

    async def waiting(self) -> tuple[int, int]:
        """Return the number of waiting messages, and the days since the last fetch if that is late,
        else 0."""
        late = (await self.engine.mailbox.late()).get(LANE)
        lanes = await self.engine.store.read(backlog.waiting_by_lane)
        owed = lanes[LANE][0] if LANE in lanes else 0
        return owed, 0 if late is None else late.days

    # --- filing -----------------------------------------------------------------------------------

    async def _file(
        self, case: SandboxCase, teleservice: str | None, text: str | None
    ) -> FiledRequest:
        if len(self.requests) >= MOST_REQUESTS:
            raise Conflict(say("too_many"))
        slug = teleservice or self.dice.choice(list(self.teleservices))
        said = text or TEXTS.get(case.word, TEXTS["plain"])
        sample = sample_of(self.mappings, slug)
        filing = fill_in(sample, slug, self.dice, text=said, large=case.word == "large_file")
        item = self._submit(filing)
        key = (slug, str(item.display_id))
        if case.word in _ON_THE_WAY and self.mode == "push":
            self.line.cases[key] = case.word
        if case.word in _FORMER:
            self.line.answered_here.add(key)
        async with self._acting:
            filed = await self._push(item, filing, case.word)
            if self.mode == "mailbox":
                if case.word in _PLANTED:
                    self.gate.planted[filed.reference] = case.word
                if case.word in ("lease_ends", "taken_by_another"):
                    self._leases[filed.reference] = case.word
                if case.word in _FORMER:
                    await settle_as_former(self.engine, filed.reference, FORMER_NUMBER)
        self.requests.append(filed)
        self.memory.append(FiledRow(filed.reference, case.word, item.id, filing))
        if case.word in LATER:
            self.acts.waiting.append(LaterAct(filed, LATER[case.word]))
        return filed

    def _submit(self, filing: CitizenFiling, id: str | None = None) -> SimulatedFormdata:
        self.glc.create(filing.account)
        return self.portal.submit(
            filing.teleservice,
            filing.fields,
            filing.user,
            geolocations=filing.geolocations,
            id=id,
        )

    async def _push(
        self, item: SimulatedFormdata, filing: CitizenFiling, case: str
    ) -> FiledRequest:
        slug = filing.teleservice
        verdict = await self.portal.push(
            item.id,
            intake(self.options.public_url, INSEE, slug),
            self.secrets.caller_key,
            slug=slug,
            orig="toodego",
        )
        found = REFERENCE.search(json.dumps(verdict.body))
        if found is None:
            raise GatewayError(say("not_filed", status=verdict.status or 0))
        return FiledRequest(found.group(), slug, item.id, filing.account, case)

    # --- as another half-connector ----------------------------------------------------------------

    async def followed(self, references: list[str], lease: int) -> None:
        """End the lease of the claimed requests whose case wants that."""
        wanted = {one: self._leases.pop(one) for one in references if one in self._leases}
        if not wanted:
            return
        self.move(lease + 1.0)
        for reference, case in wanted.items():
            if case == "taken_by_another":
                await settle_as_former(self.engine, reference, "AUTRE-1")

    async def before_the_end(self, reference: str) -> None:
        """Bring about what a citizen can do only while this request is open."""
        async with self._acting:
            await self.acts.before_the_end(reference)

    # --- by the clock -----------------------------------------------------------------------------

    async def run_clock(self) -> None:
        """Wake lanes and do citizens' acts by the clock, until cancelled."""
        beats = 0
        while True:
            await asyncio.sleep(BEAT)
            beats += 1
            self._look_again()
            if beats % _SLOW_BEATS == 0:
                try:
                    await self.work()
                except Exception as error:
                    log.error("sandbox.failed", error=type(error).__name__)

    async def work(self) -> None:
        """Do the citizens' waiting acts and advance erasures, once."""
        async with self._acting:
            await self.acts.bring_about()
            await self.engine.eraser.advance()
            gru, _ = half_connector(self.engine)
            await self.engine.changes.review(gru)
        self.memory.save_time(self.clock.now())

    def _look_again(self) -> None:
        """Wake lanes and waiting calls, so that they read the clock again."""
        self.engine.lanes.wake_all()
        for bells in self.engine.lanes.bells.values():
            for bell in bells:
                bell.set()

    # --- what is kept -----------------------------------------------------------------------------

    def recall(self) -> None:
        """Give the simulated portal the requests of former runs."""
        for row in self.memory.filed():
            filing = row.filing
            item = self._submit(filing, row.id)
            # The commune has it: its next change brings the status up to date.
            self.portal.move(filing.teleservice, item.id, _status_once_taken(item))
            filed = FiledRequest(
                row.reference, filing.teleservice, item.id, filing.account, row.case
            )
            self.requests.append(filed)


def _status_once_taken(item: SimulatedFormdata) -> str:
    """Return the status of a request after the commune has taken it."""
    names = [status.id for status in item.form.statuses]
    return "transmise" if "transmise" in names else names[0]
