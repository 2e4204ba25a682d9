"""Any JSON or form HTTP API, described in the commune's file alone: no Python to write."""

from adapters.rest.adapter import RestAdapter

__all__ = ["RestAdapter"]
