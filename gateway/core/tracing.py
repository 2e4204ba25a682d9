"""Traces: one for each request, with ids that are derived from its reference. So every process
finds the same ones, after a restart too, and nothing has to be handed along.

A caller's own trace (W3C Trace Context) is gone on with where a request came with one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

#: Characters of a header that are looked at.
_MOST: Final = 256
_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)
_STORED = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: 32 and 16 hexadecimal digits, none of them all zeros."""

    trace_id: str
    span_id: str

    @property
    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    @property
    def stored(self) -> str:
        return f"{self.trace_id}-{self.span_id}"


def read_traceparent(value: str | None) -> TraceContext | None:
    """Return what a `traceparent` says; None for none, and for one that is not well made."""
    found = None if value is None or len(value) > _MOST else _HEADER.fullmatch(value.strip())
    if found is None:
        return None
    version, trace_id, span_id, more = found.groups()
    # A later version may have more behind; 00 has not, and ff is none.
    if version == "ff" or (version == "00" and more is not None):
        return None
    return _context(trace_id, span_id)


def read_stored_context(value: str | None) -> TraceContext | None:
    """Return the caller's place that was stored with a request."""
    found = None if value is None else _STORED.fullmatch(value)
    return None if found is None else _context(*found.groups())


def root_of(reference: str, caller: TraceContext | None) -> TraceContext:
    """Return the first span of a request's trace, which is the caller's where it has one."""
    trace_id = _derived("trace", reference)[:32] if caller is None else caller.trace_id
    return TraceContext(trace_id, span_id("request", reference))


def span_id(*names: str) -> str:
    """Return the id of the span that these names name."""
    return _derived(*names)[:16]


def is_sampled(trace_id: str, share: float) -> bool:
    """Is this one of the share of traces that are kept? Every process says the same."""
    return int(trace_id[-14:], 16) < share * 2**56


def _context(trace_id: str, span_id: str) -> TraceContext | None:
    empty = not trace_id.strip("0") or not span_id.strip("0")
    return None if empty else TraceContext(trace_id, span_id)


def _derived(*names: str) -> str:
    return hashlib.sha256("\0".join(("gru-gateway", *names)).encode()).hexdigest()
