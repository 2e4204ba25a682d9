"""Looks for texts in the bytes of files: a program of its own, of the standard library alone.

It reads `{"files": [...], "markers": [...]}` on its standard input, and writes
`{"found": [...], "unread": null}`.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

#: Bytes read at once; others run in between.
PIECE = 256 * 1024


def file_holds(path: str, wanted: Sequence[bytes]) -> bool:
    """Does one of these stand in a file? One that goes meanwhile is passed over. Raises OSError."""
    overlap = max(map(len, wanted), default=1) - 1
    try:
        with Path(path).open("rb") as file:
            before = b""
            while piece := file.read(PIECE):
                piece = before + piece
                if any(one in piece for one in wanted):
                    return True
                before = piece[-overlap:] if overlap else b""
                time.sleep(0)
    except FileNotFoundError:
        pass
    return False


def main() -> None:
    asked = json.load(sys.stdin)
    wanted = [one.encode("utf-8", "surrogateescape") for one in asked["markers"]]
    unread = None
    found = []
    for path in asked["files"]:
        try:
            if file_holds(path, wanted):
                found.append(path)
        except OSError as error:
            unread = f"{path}: {type(error).__name__}"
    json.dump({"found": sorted(found), "unread": unread}, sys.stdout)


if __name__ == "__main__":
    main()
