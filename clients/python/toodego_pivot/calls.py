"""The calls of the pivot contract 1.2.0.

Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited.
"""

from __future__ import annotations

from toodego_pivot.models import ChangeReceipt, ClaimAnswer, EventsPage, PivotChange, PivotClaim
from toodego_pivot.transport import Transport, segment


class PivotClient(Transport):
    """The calls of a half-connector. Each raises Problem, Unreachable or Unreadable."""

    def events(self, after: int = 0, limit: int = 50) -> EventsPage:
        """Read again what you were sent or could fetch: to catch up after a loss of your own.

        It consumes nothing, and goes back to the beginning. Erased requests keep their numbers.
        """
        raw = self.call("GET", "/pivot/v1/events", query={"after": after, "limit": limit})
        return EventsPage.read(raw)

    def claim(self, body: PivotClaim) -> ClaimAnswer:
        """Settle what was fetched before and fetch what is next, where `mode: mailbox`.

        Of each request one message at a time is given, so their order is kept; other requests do
        not wait. An answer that was lost loses nothing: the lease ends, and it is given again.
        """
        raw = self.call("POST", "/pivot/v1/mailbox/claim", body.written())
        return ClaimAnswer.read(raw)

    def tell_change(self, reference: str, body: PivotChange) -> ChangeReceipt:
        """Tell a change of a request: status, text, documents and number, all at once or nothing.

        Send it again, with the same key, until it is answered.
        """
        raw = self.call("POST", f"/pivot/v1/requests/{segment(reference)}/changes", body.written())
        return ChangeReceipt.read(raw)
