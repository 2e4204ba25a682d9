"""`DemoAdapter`: accepts, refuses, stalls, breaks or loses its reply, as asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from adapters.demo.ledger import Ledger
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    Capabilities,
    Change,
    Changes,
    Context,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    Files,
    Finding,
    Found,
    Messages,
    Misconfigured,
    Note,
    Options,
    Outcome,
    Refused,
    Submission,
    Text,
    Tracked,
    TryLater,
    Unsure,
)

# fmt: off
say = Messages(
    Text("demonstration", "GRU of the demonstration: no network", "",
         "GRU de démonstration : aucun réseau", ""),
    Text("tells_nobody", "the GRU of the demonstration passes nothing on to anybody",
         "choose the adapter of the real GRU",
         "la GRU de démonstration ne transmet rien à personne",
         "choisir l'adaptateur de la vraie GRU"),
    Text("bad_ledger", "the ledger cannot be used ({error})", "mend `ledger`, or delete the file",
         "le registre est inutilisable ({error})", "corriger `ledger`, ou effacer le fichier"),
)
# fmt: on


class Behaviour(StrEnum):
    """The behaviour for a request. `lost_reply` accepts it and does not answer; `explode` is a
    bug."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    LATER = "later"
    MISCONFIGURED = "misconfigured"
    STALL = "stall"
    EXPLODE = "explode"
    LOST_REPLY = "lost_reply"


class DemoOptions(Options):
    """`times`: the number of tries with this behaviour for each request, before it is accepted
    (None: always).

    `stall_seconds` is the length of a stall; `polls_to_done` is the number of polls until a request
    is done. A payload's own key `behaviour` has priority.
    """

    behaviour: Behaviour = Behaviour.ACCEPT
    times: int | None = Field(default=None, ge=1)
    stall_seconds: float = Field(default=30, ge=0, le=600)
    polls_to_done: int = Field(default=2, ge=1, le=1000)
    ledger: Path | None = None


class DemoAdapter(Adapter):
    """A GRU without a network. It stores references and numbers, never a citizen's words."""

    kind = "demo"
    version = "1"
    Options = DemoOptions

    def __init__(self, options: DemoOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        #: Open to tests and to the demonstration's summary.
        self.ledger = Ledger(options.ledger)

    @property
    def capabilities(self) -> Capabilities:
        events = frozenset(EventKind) - {EventKind.CREATION}
        return Capabilities(
            find=True,
            find_amend=events,
            files=Files.WITHIN,
            amends=events,
            statuses=True,
            erase=True,
        )

    async def check(self) -> Sequence[Note]:
        notes = [Note("ok", say("demonstration"))]
        if self.context.production:
            notes.append(Note("warning", say("tells_nobody")))
        try:
            async with self.ledger:
                pass
        except (OSError, ValueError) as error:
            said = say("bad_ledger", error=type(error).__name__)
            notes.append(Note("fault", said))
        return notes

    async def submit(self, submission: Submission) -> Outcome:
        return await self._behave(submission.reference, None, submission.payload)

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        async with self.ledger as ledger:
            entry = ledger.known(reference)
        return Absent() if entry is None else Found(entry.numbers[0])

    async def amend(self, amendment: Amendment) -> Outcome:
        return await self._behave(amendment.reference, amendment, amendment.payload)

    async def find_amend(self, amendment: Amendment) -> Finding:
        async with self.ledger as ledger:
            entry = ledger.known(amendment.reference)
        held = entry is not None and amendment.key in entry.amendments
        return Found(amendment.gru_reference) if held else Absent()

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        """Move every request one step on: accepted, then done."""
        items: list[Change] = []
        async with self.ledger as ledger:
            for one in tracked:
                entry = ledger.entry(one.reference)
                entry.polls += 1
                done = entry.polls >= self._options.polls_to_done
                items.append(
                    Change(
                        key="done" if done else "accepted",
                        reference=one.reference,
                        gru_reference=one.gru_reference,
                        status="done" if done else "accepted",
                        message="Votre demande a été traitée." if done else None,
                        public=done,
                        at=self.context.now(),
                    )
                )
        return Changes(items, cursor)

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        async with self.ledger as ledger:
            known = ledger.drop(reference)
        result = ErasureResult.ERASED if known else ErasureResult.ABSENT
        proof = {"ledger": "dropped"}
        return Accepted(gru_reference, proof=proof, erasure=ErasureAnswer(result))

    async def _behave(
        self, reference: str, amendment: Amendment | None, payload: Mapping[str, Any]
    ) -> Outcome:
        told = payload.get("behaviour", self._options.behaviour)
        if not isinstance(told, str) or told not in set(Behaviour):
            return Refused("unmappable", "payload.behaviour is none that the demo adapter knows")
        behaviour = Behaviour(told)
        async with self.ledger as ledger:
            entry = ledger.entry(reference)
            entry.tries += 1
            if self._options.times is not None and entry.tries > self._options.times:
                behaviour = Behaviour.ACCEPT
            number = entry.numbers[0] if entry.numbers else None
            if behaviour in (Behaviour.ACCEPT, Behaviour.LOST_REPLY):
                if amendment is None:
                    number = ledger.create(reference)
                else:
                    entry.amendments.append(amendment.key)
        match behaviour:
            case Behaviour.ACCEPT:
                return Accepted(amendment.gru_reference if amendment else number)
            case Behaviour.LOST_REPLY:
                return Unsure("no_answer", "taken, and the reply lost, as asked")
            case Behaviour.REFUSE:
                return Refused("refused", "as asked")
            case Behaviour.LATER:
                return TryLater("busy", "as asked")
            case Behaviour.MISCONFIGURED:
                return Misconfigured("access_denied", "as asked")
            case Behaviour.STALL:
                await asyncio.sleep(self._options.stall_seconds)
                return Unsure("no_answer", "stalled, as asked")
            case Behaviour.EXPLODE:
                raise RuntimeError("the demo adapter explodes, as asked")
