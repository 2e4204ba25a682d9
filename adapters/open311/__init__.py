"""GeoReport v2 (Open311), with mySociety's updates: creation, and statuses and comments in both
directions.

Sources: open311/open311.github.io `GeoReport/v2/index.md` and `Extensions.md`;
mysociety/open311-adapter `Open311/Endpoint/Role/mySociety.pm`.
"""

from adapters.open311.adapter import Open311Adapter
from adapters.open311.options import Open311Options

__all__ = ["Open311Adapter", "Open311Options"]
