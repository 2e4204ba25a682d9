"""Files for their owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO


@contextmanager
def private_file(place: Path) -> Iterator[TextIO]:
    """Open a new text file that its owner alone can read. Raises OSError."""
    with os.fdopen(_handle(place), "w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def private_bytes(place: Path) -> Iterator[BinaryIO]:
    """Open a new file of bytes that its owner alone can read. Raises OSError."""
    with os.fdopen(_handle(place), "wb") as file:
        yield file


def _handle(place: Path) -> int:
    return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
