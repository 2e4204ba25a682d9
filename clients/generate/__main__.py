"""`python -m clients.generate .`: writes the clients from the contract's document."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from clients.generate.document import read_contract
from clients.generate.php_client import php_files
from clients.generate.python_client import python_files

DOCUMENT = "docs/pivot/openapi.json"
PYTHON = "clients/python/toodego_pivot"
PHP = "clients/php/src"


def generated(root: Path) -> dict[str, str]:
    """Return the generated files of the project in `root`, by their names in it."""
    contract = read_contract(json.loads((root / DOCUMENT).read_text("utf-8")))
    return {
        **{f"{PYTHON}/{name}": text for name, text in python_files(contract).items()},
        **{f"{PHP}/{name}": text for name, text in php_files(contract).items()},
    }


def main(root: Path) -> None:
    """Write them."""
    for name, text in generated(root).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
