"""The line of an error, in words that hold no value."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType

#: The rooms of the gateway that call adapters. Any other module that they call is an adapter's.
_CALLERS = (
    "gateway.catalogue.",
    "gateway.flow.",
    "gateway.contracts.",
    "gateway.cli.",
    "gateway.sdk.matrix.",
    "gateway.timers",
)


def error_place(error: BaseException) -> str:
    """Return the last place of a traceback in an adapter, as module:line; without one, the last in
    the gateway, else where it was raised."""
    adapter = own = project = last = before = ""
    for name, line in _places(error.__traceback__):
        package = name.partition(".")[0]
        foreign = package != "gateway" and package not in sys.stdlib_module_names
        if not adapter and foreign and before.startswith(_CALLERS):
            adapter = package
        last = f"{name}:{line}"
        if package == adapter:
            own = last
        if package == "gateway":
            project = last
        if package not in sys.stdlib_module_names:
            before = name
    return own or project or last


def _places(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_lineno
        trace = trace.tb_next
