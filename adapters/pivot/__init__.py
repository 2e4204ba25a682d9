"""The pivot contract: a commune's own half-connector is pushed to, or fetches (`/pivot/v1`)."""

from adapters.pivot.adapter import PivotAdapter
from adapters.pivot.options import PivotOptions

__all__ = ["PivotAdapter", "PivotOptions"]
