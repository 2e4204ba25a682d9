"""Helpers of tests for files, and the files that a process has open."""

from __future__ import annotations

from pathlib import Path


def edit(path: Path, old: str, new: str) -> None:
    """Replace `old`, which must be there, with `new`."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def names(folder: Path) -> list[str]:
    """The names in a folder, in order."""
    return sorted(one.name for one in folder.iterdir())


def open_below(folder: Path) -> list[str]:
    """The files below `folder` that this process has open; one without a name ends in
    "(deleted)"."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:
            continue
    return [one for one in found if one.startswith(f"{folder}/")]
