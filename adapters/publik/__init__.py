"""A commune whose GRU is a w.c.s. of its own: we create requests, call hooks and read histories."""

from adapters.publik.adapter import PublikAdapter
from adapters.publik.options import PublikOptions

__all__ = ["PublikAdapter", "PublikOptions"]
