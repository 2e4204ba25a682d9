"""Identifiers and random numbers that nobody can guess, drawn cheaply."""

from __future__ import annotations

import os
import threading
import time

_pool = bytearray()
_drawing = threading.Lock()


def new_id() -> str:
    """Make an identifier that never repeats: the time in milliseconds, then chance.

    What is made one after the other lies together in an index. Otherwise each new row of a large
    table would touch, and log, a page of its own.
    """
    return ((time.time_ns() // 1_000_000).to_bytes(6) + _random(7)).hex()


def entropy() -> int:
    """Draw 32 unpredictable bits."""
    return int.from_bytes(_random(4))


def _random(n: int) -> bytes:
    """Draw `n` bytes. The system is asked for many at once: each time costs a switch."""
    with _drawing:
        if len(_pool) < n:
            _pool.extend(os.urandom(4096))
        drawn = bytes(_pool[-n:])
        del _pool[-n:]
    return drawn


def _forked() -> None:
    """Have a child not draw what its parent draws, nor wait for a thread that it has not."""
    global _drawing
    _drawing = threading.Lock()
    _pool.clear()


os.register_at_fork(after_in_child=_forked)
