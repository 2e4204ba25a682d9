"""A GRU that is not there: for demonstrations, rehearsals and tests of the gateway itself."""

from adapters.demo.adapter import Behaviour, DemoAdapter, DemoOptions

__all__ = ["Behaviour", "DemoAdapter", "DemoOptions"]
