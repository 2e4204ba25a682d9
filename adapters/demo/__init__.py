"""A GRU without a network, for demonstrations, rehearsals and the gateway's own tests."""

from adapters.demo.adapter import Behaviour, DemoAdapter, DemoOptions

__all__ = ["Behaviour", "DemoAdapter", "DemoOptions"]
