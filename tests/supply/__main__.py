"""`make dist` and `make audit`: what a wheel is made of, and what is known against it.

python -m tests.supply sbom
python -m tests.supply audit all.zip
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.life import ROOT
from tests.supply import audit, sbom
from tests.supply.lock import pins

LOCK = ROOT / "requirements.lock"


def main() -> int:
    given = argparse.ArgumentParser(prog="python -m tests.supply")
    does = given.add_subparsers(dest="does", required=True)
    does.add_parser("sbom", help="print the bill of materials (CycloneDX 1.6)")
    does.add_parser("audit").add_argument("advisories", type=Path)
    asked = given.parse_args()
    if asked.does == "sbom":
        sys.stdout.write(sbom.text(LOCK))
        return 0
    found = pins(LOCK)
    try:
        open_ = audit.holes(found, audit.advisories(asked.advisories))
    except (OSError, ValueError) as error:
        print(f"{asked.advisories} cannot be read: {error}", file=sys.stderr)
        return 3
    for one in open_:
        ends = ", ".join(one.fixed) or "no version yet"
        print(f"{one.pin.name} {one.pin.version}: {one.advisory}: {one.summary} (mended in {ends})")
    print(f"{len(found)} packages, {len(open_)} known holes")
    return int(bool(open_))


if __name__ == "__main__":
    sys.exit(main())
