"""Any HTTP API with JSON, XML or forms, described in the commune's file alone, without Python
code."""

from adapters.rest.adapter import RestAdapter

__all__ = ["RestAdapter"]
