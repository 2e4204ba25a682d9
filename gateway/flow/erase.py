"""Erases one person: stops deliveries, scrubs, flushes, tells the communes, closes.

The database records each step, and every step may run twice, so any process goes on where another
died. Ordinary deliveries tell the communes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from gateway.core.erasure import DEADLINE, Phase
from gateway.core.errors import GatewayError
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    ErasureAnswer,
    ErasureResult,
    Found,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.flow.attachments import Attachments
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.erasure_ledger import BadLedger, ErasureLedger, recognise
from gateway.flow.links import LinkRegister
from gateway.flow.texts import say
from gateway.sdk import Adapter
from gateway.store import (
    condemned,
    erasure_answers,
    erasure_marks,
    erasures,
    installation,
    object_gc,
    scrub,
    tombstones,
)
from gateway.store.engine import Store
from gateway.store.rows import StoredRequest

log = structlog.get_logger()

#: The days until which a commune may keep something.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)
#: Seconds between two advances of open erasures.
EVERY = 2.0
#: Seconds between two looks at what other replicas erased, for this machine's own ledger.
WRITE_DOWN = 600.0
#: Seconds. A commune is told to erase until it succeeds, whatever the lane's own limit.
PATIENCE = 10 * 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Eraser:
    """Advances erasures. One per process; several may share a database."""

    store: Store
    hasher: AccountHasher
    environment: Environment
    wake: Callable[..., None]
    attachments: Attachments
    ledger: ErasureLedger
    deadline: timedelta = DEADLINE
    #: None when accounts are not linked.
    links: LinkRegister | None = None
    #: Faults of the ledger now, at most one; health shows it, and erasures wait for its end.
    faults: list[BadLedger] = field(default_factory=list)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def begin(self) -> None:
        """Before anything is taken or sent: check the key, and erase again what the ledger knows
        and a restored database still holds. Raises GatewayError."""
        await self.check_key()
        if self.hasher.lost():
            return
        known = await self.store.read(erasure_marks.marks)
        told = await asyncio.to_thread(self.ledger.read)
        lacking = {mark: at for mark, at in told.items() if mark not in known}
        if lacking:
            found = await self.store.read(
                lambda connection: recognise(
                    lacking, erasure_marks.held_requests(connection), self.hasher
                )
            )
            run = f"RUN-{self.environment.new_name()}"
            opened = await self.store.write(
                erasure_marks.remember,
                found,
                run,
                self.deadline,
                lambda: f"ERA-{self.environment.new_name()}",
                self.environment.now(),
            )
            log.warning("erasure.remembered", run=run, marks=len(lacking), opened=opened)
            self.environment.crash("erase.remembered")
            await self.advance()
        await self._write_down()

    async def check_key(self) -> None:
        """Raises GatewayError when people were erased and the key that refuses them is lost, or is
        another one."""
        erased = await self.store.read(tombstones.any_erased)
        value = self.hasher.check_value()
        if value is None:
            told = {} if erased else await asyncio.to_thread(self.ledger.read)
            if erased or told:
                raise GatewayError(say("key_missing"))
            return
        noted = await self.store.read(installation.erasure_key)
        if noted == value:
            return
        if noted is not None and erased:
            raise GatewayError(say("key_changed"))
        await self.store.write(installation.note_erasure_key, value)

    async def write_down(self) -> bool:
        """Have this machine's ledger hold all marks, whoever erased. Does it?"""
        if self.hasher.lost():
            return True
        try:
            await self._write_down()
        except BadLedger as error:
            if not self.faults:
                log.error("erasure.ledger_fault", error=str(error))
            self.faults[:] = [error]
            return False
        self.faults.clear()
        return True

    async def _write_down(self) -> None:
        """Raises BadLedger."""
        marks = await self.store.read(erasure_marks.marks)
        await asyncio.to_thread(self.ledger.add, marks)

    async def advance(self) -> int:
        """Advance every erasure as far as possible; return how many moved. A failed step is tried
        again at the next call."""
        async with self._alone:
            moved = await self._scrub()
            if await condemned.destroy(self.store):
                self.environment.crash("erase.keys_destroyed")
            scrubbed = await self.store.read(erasures.in_phases, Phase.SCRUBBED)
            if scrubbed:
                await self.attachments.sweep()
                moved += await self._flush(scrubbed)
            for erasure in await self.store.read(erasures.in_phases, Phase.TELLING):
                moved += await self._acknowledge(erasure)
        return moved

    async def _scrub(self) -> int:
        moved = 0
        for erasure in await self.store.read(erasures.in_phases, Phase.OPEN):
            sending = await self.store.write(scrub.stop, erasure, self.environment.now())
            self.environment.crash("erase.stopped")
            if sending:
                log.info("erasure.waits", erasure=erasure, sending=sending)
                continue
            lanes = await self.store.write(
                scrub.scrub,
                erasure,
                self.environment.new_id,
                self.environment.now(),
                None if self.links is None else self.links.destroy,
            )
            self.environment.crash("erase.scrubbed")
            if lanes is None:
                continue
            moved += 1
            self.wake(*lanes)
        return moved

    async def _flush(self, scrubbed: list[str]) -> int:
        held = await self.store.read(object_gc.unfinished, scrubbed)
        if held:
            log.warning("erasure.objects_wait", erasures=len(held))
        scrubbed = [erasure for erasure in scrubbed if erasure not in held]
        if not scrubbed:
            return 0
        if not await self.write_down():
            return 0
        if not await self.store.clean():
            log.warning("erasure.files_wait", erasures=len(scrubbed))
            return 0
        self.environment.crash("erase.flushed")
        moved = 0
        for erasure in scrubbed:
            if await self.store.write(scrub.erased, erasure, self.environment.now()):
                moved += 1
                log.info("erasure.erased", erasure=erasure)
            self.environment.crash("erase.erased")
        return moved

    async def _acknowledge(self, erasure: str) -> int:
        closed = await self.store.write(
            erasure_answers.acknowledge, erasure, self.environment.now()
        )
        self.environment.crash("erase.acknowledged")
        if closed:
            log.info("erasure.closed", erasure=erasure)
        return int(closed)


async def erase_at(adapter: Adapter, request: StoredRequest) -> Outcome:
    """Have a GRU erase a request. Never unsure: erasing twice is erasing once. A GRU whose answer
    to the creation was lost is first asked for its number. Where people are asked for it, one of
    them has to say what they did."""
    if adapter.capabilities.asks_to_erase:
        match await adapter.ask_to_erase(request.id, request.gru_reference):
            case Accepted():
                return Refused("erase_by_hand", "the commune is asked where it works: it must say")
            case Unsure(reason, detail):
                return TryLater(reason, detail)
            case failure:
                return failure
    if not adapter.capabilities.erase:
        return Refused("erase_by_hand", "this GRU cannot erase by itself: the commune must")
    number = request.gru_reference
    if number is None and adapter.capabilities.find:
        match await adapter.find(request.id):
            case Found(reference):
                number = reference
            case Absent():
                absent = ErasureAnswer(ErasureResult.ABSENT)
                return Accepted(proof={"find": "absent"}, erasure=absent)
            case CannotTell(reason, detail, forever, after, answer):
                if forever:
                    return Refused("erase_by_hand", f"its number there is not known ({reason})")
                return TryLater(reason, detail, after, answer)
    return with_ground(await adapter.erase(request.id, number))


def with_ground(outcome: Outcome) -> Outcome:
    """Return the outcome of an erasure. What is kept without a ground is refused: a person asks the
    commune for it. An end that is no date of ours (the year 9999) is no end."""
    if not isinstance(outcome, Accepted) or outcome.erasure is None:
        return outcome
    answer = outcome.erasure
    if answer.result is ErasureResult.KEPT and not answer.ground:
        return Refused("kept_by_law", "the commune keeps what it holds, and gives no ground")
    end = answer.until
    if end is None or (end.tzinfo is not None and EARLIEST <= end <= LATEST):
        return outcome
    return replace(outcome, erasure=replace(answer, until=None))
