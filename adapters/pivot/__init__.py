"""The pivot contract (`/pivot/v1`): we push to a commune's half-connector, or it fetches."""

from adapters.pivot.adapter import PivotAdapter
from adapters.pivot.options import PivotOptions

__all__ = ["PivotAdapter", "PivotOptions"]
