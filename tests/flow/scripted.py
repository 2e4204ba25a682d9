"""An adapter with a scripted far end, for answers that no simulated GRU gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.core.request import EventKind
from gateway.sdk import (
    Accepted,
    Adapter,
    Amendment,
    Capabilities,
    Change,
    Changes,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Submission,
    Tracked,
    WebhookCall,
)


class Script:
    """The answers to the next calls; an empty list gives the plain answer."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.findings: list[Finding] = []
        self.polls: list[Changes] = []
        self.asked: list[tuple[list[Tracked], str | None]] = []
        self.submitted: list[Submission] = []
        self.amended: list[Amendment] = []
        self.amends: frozenset[EventKind] = frozenset()
        self.polled = True
        self.repeatable = False
        #: Called in the middle of a creation, with the number that its answer will bring, and in
        #: the middle of an amendment.
        self.meanwhile: Callable[[str], Awaitable[None]] | None = None

    def tell(self, *changes: Change, cursor: str | None = None) -> None:
        self.polls.append(Changes(changes, cursor))

    def adapter(self) -> type[Adapter]:
        """Return a class of its own for each test, so that tests share nothing."""
        script = self

        class ScriptedAdapter(Adapter):
            kind = "essai"
            Options = Options

            @property
            def capabilities(self) -> Capabilities:
                return Capabilities(
                    find=True,
                    statuses=script.polled,
                    webhook=True,
                    amends=script.amends,
                    repeatable=script.repeatable,
                )

            async def check(self) -> Sequence[Note]:
                return []

            async def submit(self, submission: Submission) -> Outcome:
                script.submitted.append(submission)
                number = str(len(script.submitted))
                if script.meanwhile is not None:
                    await script.meanwhile(number)
                return script.outcomes.pop(0) if script.outcomes else Accepted(number)

            async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
                return script.findings.pop(0) if script.findings else Found("1")

            async def amend(self, amendment: Amendment) -> Outcome:
                script.amended.append(amendment)
                if script.meanwhile is not None:
                    await script.meanwhile(amendment.gru_reference)
                return Accepted()

            async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
                script.asked.append((list(tracked), cursor))
                return script.polls.pop(0) if script.polls else Changes(cursor=cursor)

            async def webhook(self, hook: WebhookCall) -> Changes:
                return script.polls.pop(0)

        return ScriptedAdapter
