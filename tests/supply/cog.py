"""Writes the list of France's communes anew: `python -m tests.supply.cog communes.json`.

`communes.json` is that of the package @etalab/decoupage-administratif (data: Licence Ouverte), made
from Insee's code officiel géographique of the year.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from gateway.catalogue.insee import DATA


def main(source: Path) -> None:
    listed = [
        # A delegated commune may have the code of the one that it is part of.
        (row["code"], row["nom"], row.get("commune") or row.get("chefLieu") or "")
        for row in json.loads(source.read_text("utf-8"))
        if row["code"] != row.get("chefLieu")
    ]
    text = "".join("\t".join(row).rstrip() + "\n" for row in sorted(listed))
    # Without a time of its own, the same list makes the same file.
    DATA.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
