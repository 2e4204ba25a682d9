"""Unguessable identifiers and random numbers, drawn cheaply."""

from __future__ import annotations

import os
import threading
import time

_pool = bytearray()
_drawing = threading.Lock()


def new_id() -> str:
    """Make an identifier that never repeats: the time in milliseconds, then random bits.

    Identifiers made together lie together in an index; otherwise each row of a large table would
    touch a page of its own.
    """
    return ((time.time_ns() // 1_000_000).to_bytes(6) + _random(7)).hex()


def entropy() -> int:
    """Draw 32 unpredictable bits."""
    return int.from_bytes(_random(4))


def _random(n: int) -> bytes:
    """Draw `n` bytes, from a pool: each call of the system is a costly switch."""
    with _drawing:
        if len(_pool) < n:
            _pool.extend(os.urandom(4096))
        drawn = bytes(_pool[-n:])
        del _pool[-n:]
    return drawn


def _forked() -> None:
    """Give a forked child its own pool and lock."""
    global _drawing
    _drawing = threading.Lock()
    _pool.clear()


os.register_at_fork(after_in_child=_forked)
