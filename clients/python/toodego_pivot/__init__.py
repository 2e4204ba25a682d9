"""Client of the pivot contract: for the half-connector that a commune, or its vendor, writes.

`PivotClient` makes the calls, `toodego_pivot.webhooks` proves what is pushed. The standard library
is all that it needs.
"""

from toodego_pivot.calls import PivotClient
from toodego_pivot.models import read_pivot_event_or_pivot_erasure as read_message
from toodego_pivot.reading import Unknown, Unreadable
from toodego_pivot.transport import Broken, PivotError, Problem, Unreachable

__all__ = [
    "Broken",
    "PivotClient",
    "PivotError",
    "Problem",
    "Unknown",
    "Unreachable",
    "Unreadable",
    "read_message",
]
