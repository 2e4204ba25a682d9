"""Acts of citizens that come later: once the commune has taken the request, and as soon as the
portal lets them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import structlog

from gateway.core.delivery import State
from gateway.core.lane_name import GruLane
from gateway.core.messages import Message
from gateway.flow.engine import Engine
from gateway.sandbox.citizens import INSEE
from gateway.sandbox.files import GRU
from gateway.sandbox.former import half_connector
from gateway.sandbox.texts import say
from gateway.sdk.pivot_models import PivotChange, PivotStatus
from gateway.sim.glc import SimulatedGlc
from gateway.sim.portal import SimulatedPortal
from gateway.store.outbox import backlog

log = structlog.get_logger()

LANE: Final = str(GruLane(INSEE, GRU))
#: The citizen's act after the commune has taken the request, by case.
LATER: Final = {
    "message": "message",
    "change": "change",
    "cancellation": "cancellation",
    "out_of_order": "message",
    "erasure": "erasure",
    "erasure_unknown": "erasure",
    "history": "history",
}
#: Acts for which a request has to be open.
_WHILE_OPEN: Final = frozenset({"message", "change", "cancellation"})
#: Real seconds for which the end of a request waits for an act that must come before it.
_PATIENCE: Final = 2.0
#: Acts that will never come and are still told of.
_TOLD_OF: Final = 20
_HISTORY: Final = (
    (PivotStatus.ACCEPTED, "Votre demande est enregistrée."),
    (PivotStatus.IN_PROGRESS, "Une équipe est passée ce matin."),
    (PivotStatus.DONE, "C'est fait."),
)


@dataclass(frozen=True, slots=True)
class FiledRequest:
    """A request that a citizen filed: ours, and what it is for."""

    reference: str
    teleservice: str
    id: str
    account: str
    case: str


@dataclass(slots=True)
class LaterAct:
    """An act that a citizen does later. `why`: for what it waits, or why it will never come."""

    filed: FiledRequest
    kind: str
    why: Message = field(default_factory=lambda: say("act_untaken"))


@dataclass(slots=True)
class CitizenActs:
    """The acts that wait, and the last ones that will never come."""

    engine: Engine
    portal: SimulatedPortal
    glc: SimulatedGlc
    waiting: list[LaterAct] = field(default_factory=list)
    never: deque[LaterAct] = field(default_factory=lambda: deque(maxlen=_TOLD_OF))

    async def bring_about(self) -> None:
        """Do what can be done now, once."""
        acts, self.waiting = deque(self.waiting), []
        try:
            while acts:
                if not await self._is_over(acts[0]):
                    self.waiting.append(acts[0])
                acts.popleft()
        finally:
            self.waiting += acts

    async def before_the_end(self, reference: str) -> None:
        """Do what a citizen can do only while the request is open: its end is on the way."""
        until = time.monotonic() + _PATIENCE
        while any(
            one.filed.reference == reference and one.kind in _WHILE_OPEN for one in self.waiting
        ):
            await self.bring_about()
            if time.monotonic() >= until:
                return
            await asyncio.sleep(0.02)

    def status_at_portal(self, one: FiledRequest) -> str:
        """Return where the citizen sees the request, in the portal's words."""
        item = self.portal.get(one.teleservice, one.id)
        return item.form.status(item.status).name

    async def _is_over(self, act: LaterAct) -> bool:
        """Do an act if it can be done: was it, or will it never be?"""
        one = act.filed
        item = self.portal.get(one.teleservice, one.id)
        if not await self._taken(one.reference):
            return False
        act.why = say("act_busy")
        if item.processing is not None:
            return False
        if act.kind == "erasure":
            self.glc.delete(one.account)
            if self.engine.identity is not None:
                await self.engine.identity.poll()
            return True
        if act.kind == "history":
            await self._tell_history(one)
            return True
        try:
            await self._citizen(act.kind, one)
            return True
        except KeyError:
            ended = item.form.status(item.status).endpoint
            word, status = "act_never" if ended else "act_not_now", self.status_at_portal(one)
            act.why = say(word, status=status)
        if ended:
            self.never.appendleft(act)
            log.warning("sandbox.act_never_comes", reference=one.reference, kind=act.kind)
        return ended

    async def _taken(self, reference: str) -> bool:
        """Has the commune taken the request?"""
        done = await self.engine.store.read(
            backlog.listing, states=[State.DONE], request_id=reference
        )
        return any(one.lane == LANE for one in done)

    async def _tell_history(self, one: FiledRequest) -> None:
        gru, _ = half_connector(self.engine)
        for n, (status, text) in enumerate(_HISTORY):
            change = PivotChange.model_validate(
                {"key": f"{one.reference}-{n}", "status": status, "public": text}
            )
            await self.engine.pivot.record_change(gru, one.reference, change)

    async def _citizen(self, kind: str, one: FiledRequest) -> None:
        """Raises KeyError where the portal does not let the citizen do it now."""
        if kind == "message":
            await self.portal.write(one.teleservice, one.id, "Le tas a encore grossi. 🙁")
        elif kind == "change":
            changed = {"adresse_voie": "Rue du Rêve"}
            await self.portal.amend(one.teleservice, one.id, changed)
        else:
            await self.portal.cancel(one.teleservice, one.id)


__all__ = ["LANE", "LATER", "CitizenActs", "FiledRequest", "LaterAct"]
