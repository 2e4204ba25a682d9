"""An observer of what happens, to count it."""

from __future__ import annotations

from gateway.flow.attachments import Operation
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import Reception


class Observer:
    """Told of each thing once, as it happens. This one counts nothing."""

    def received(self, portal: str, teleservice: str, reception: Reception) -> None:
        """A pushed event was taken, or not, for this reason."""

    def passed_over(self, portal: str, teleservice: str | None, code: str) -> None:
        """A pushed request has nowhere to go; `teleservice` None: none that is configured."""

    def attempted(self, claimed: Claimed, outcome: str, seconds: float) -> None:
        """An attempt at a delivery is over; `outcome` is the word of what it came to."""

    def attachments_failed(self, operation: Operation) -> None:
        """A call of the attachments' object store failed: `put`, `read` or `delete`."""
