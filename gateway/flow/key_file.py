"""Key files of the data directory: made whole or not at all, and once among all processes."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def make_key_file(path: Path) -> None:
    """Make a file of 32 random bytes in hexadecimal, durable, for its owner alone. One that is
    there stays. Raises OSError."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
