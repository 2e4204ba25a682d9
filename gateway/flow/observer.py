from __future__ import annotations

from gateway.flow.attachments import Operation
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import Reception


class Observer:
    """Is told of each thing once, as it happens. This one counts nothing."""

    def received(self, portal: str, teleservice: str, reception: Reception) -> None:
        """A pushed event was accepted or refused, as `reception` says."""

    def passed_over(self, portal: str, teleservice: str | None, code: str) -> None:
        """A pushed request has no route; `teleservice` is None when it is not configured."""

    def attempted(self, claimed: Claimed, outcome: str, seconds: float) -> None:
        """An attempt is over; `outcome` is its word."""

    def link_moved(self, step: str) -> None:
        """A step of linking accounts was taken; `step` is its word."""

    def link_refused(self, word: str) -> None:
        """A step of linking accounts was refused; `word` says why."""

    def departed(self, kind: str) -> None:
        """A call for a commune that has left was refused: push, event, state, webhook or link."""

    def attachments_failed(self, operation: Operation) -> None:
        """A call of the object store failed."""
