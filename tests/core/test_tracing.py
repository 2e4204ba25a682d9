"""Ids of traces: derived, and what a caller says of its own."""

from __future__ import annotations

import pytest

from gateway.core.tracing import (
    TraceContext,
    is_sampled,
    read_stored_context,
    read_traceparent,
    root_of,
    span_id,
)

#: The example of the W3C's recommendation.
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "value", [GOOD, f" {GOOD} ", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-what"]
)
def test_a_header_that_is_well_made_is_read(value: str) -> None:
    assert read_traceparent(value) == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 300}",
        f"{GOOD}\r\nx-evil: 1",
        f"{GOOD},{GOOD}",
    ],
)
def test_any_other_is_none(value: str | None) -> None:
    assert read_traceparent(value) is None


def test_a_request_has_one_trace_for_ever() -> None:
    one, other = root_of("TDG-1", None), root_of("TDG-2", None)
    assert one == root_of("TDG-1", None)
    assert one.trace_id != other.trace_id
    assert "TDG" not in one.header
    assert read_traceparent(one.header) == one
    assert read_stored_context(one.stored) == one


def test_a_callers_trace_is_gone_on_with() -> None:
    caller = TraceContext(TRACE, SPAN)
    root = root_of("TDG-1", caller)
    assert (root.trace_id, root.span_id) == (TRACE, root_of("TDG-1", None).span_id)


def test_names_that_run_together_are_other_spans() -> None:
    assert span_id("a", "bc") != span_id("ab", "c")


def test_a_share_of_traces_is_kept_and_always_the_same() -> None:
    ids = [root_of(f"TDG-{n}", None).trace_id for n in range(1000)]
    kept = {one for one in ids if is_sampled(one, 0.25)}
    assert 200 < len(kept) < 300
    assert all(is_sampled(one, 1.0) for one in ids)
    assert kept <= {one for one in ids if is_sampled(one, 0.5)}
