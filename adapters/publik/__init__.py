"""A commune whose own GRU is a w.c.s.: creation, hooks, history by polls and by calls of w.c.s."""

from adapters.publik.adapter import PublikAdapter
from adapters.publik.options import PublikOptions

__all__ = ["PublikAdapter", "PublikOptions"]
