"""Checks that our files on disk are private: folder 0700, files 0600."""

from __future__ import annotations

import stat
from pathlib import Path

from gateway.catalogue.catalogue import Settings
from gateway.catalogue.texts import say
from gateway.core.errors import Fault


def open_to_others(settings: Settings) -> list[Fault]:
    """Return a warning for the data folder, and each of our files in it or beside the database,
    that others may read."""
    places = [settings.data_dir, settings.data_dir / "gateway.lock"]
    places += [settings.data_dir / name for name in ("erasure.key", "sealing.key")]
    places += [settings.data_dir / f"keys.db{end}" for end in ("", "-wal", "-shm")]
    database = settings.database.get_secret_value()
    if database.startswith("sqlite:///"):
        name = database.removeprefix("sqlite:///")
        places += [Path(name + end) for end in ("", "-wal", "-shm")]
    found = []
    for place in places:
        try:
            mode = place.stat().st_mode
        except OSError:
            continue
        right = 0o700 if stat.S_ISDIR(mode) else 0o600
        if stat.S_IMODE(mode) & 0o077:
            shown = f"{stat.S_IMODE(mode):04o}"
            said = say("open_to_others", mode=shown, right=f"{right:o}", place=str(place))
            found.append(Fault(str(place), 0, said))
    return found
