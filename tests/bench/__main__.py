"""`make bench`: measure, print, and keep: bench.json and the table in docs/performance.md.

    python -m tests.bench [--quick] [--only NAME ...] [--table PAGE]

A quick run, or one of a part, writes neither file unless told where by --json and --table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import deliveries, erasing, intake, latency, million, rendering, replicas, sealing
from tests.bench.bundle import ROOT
from tests.bench.figure import Figure

MEASURES: dict[str, Callable[[bool], list[Figure]]] = {
    "accepts": intake.accepts,
    "mapping": rendering.rendering,
    "sealing": sealing.sealing,
    "deliveries": deliveries.deliveries,
    "replicas": replicas.replicas,
    "idle": latency.idle,
    "isolation": latency.isolation,
    "million-sqlite": million.throughput_sqlite,
    "million-postgres": million.throughput_postgres,
    "start": million.start_and_memory,
    "file": million.large_file,
    "erasure": erasing.erasing,
}
PAGE = ROOT / "docs" / "performance.md"
_TABLE = re.compile(r"<!-- table -->.*<!-- /table -->", re.DOTALL)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}",
        f"{figure.reference_name}: {_number(figure.reference)} {figure.unit}",
        f"{figure.ratio:.2f}",
        figure.aim_text,
        "yes" if figure.met else "**no**",
    )


HEAD = ("figure", "measured", "reference of the same run", "ratio", "aim", "met")


def _show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(*HEAD)
    for figure in figures:
        *cells, _ = _cells(figure)
        table.add_row(*cells, "[green]yes[/]" if figure.met else "[red]no[/]")
    console.print(table)


def _keep(figures: Sequence[Figure], page: Path) -> None:
    load = os.getloadavg()[0]
    where = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores"
        f" ({platform.machine()}), Python {platform.python_version()},"
        f" load average {load:.1f} at the end."
    )
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(_cells(figure)) + " |" for figure in figures]
    table = "\n".join(["<!-- table -->", where, "", *lines, "<!-- /table -->"])
    page.write_text(_TABLE.sub(lambda _: table, page.read_text("utf-8")), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure.")
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASURES,
        metavar="NAME",
        help="one of: " + ", ".join(MEASURES),
    )
    parser.add_argument("--quick", action="store_true", help="one short round, smaller tables")
    parser.add_argument("--json", type=Path, help="where to write (default: bench.json)")
    parser.add_argument("--table", type=Path, help="the page whose table is replaced")
    told = parser.parse_args()
    console = Console(width=180 if not sys.stdout.isatty() else None)
    whole = not told.only and not told.quick
    figures: list[Figure] = []
    failed = False
    for name in told.only or MEASURES:
        clock = time.perf_counter()
        try:
            found = MEASURES[name](told.quick)
        except Exception as error:  # one part that fails must not cost the others
            console.print(f"{name}: {type(error).__name__}: {error}", style="red", markup=False)
            failed = True
            continue
        figures += found
        console.print(f"{name}: {time.perf_counter() - clock:.0f} s")
    _show(figures, console)
    path = told.json or (ROOT / "bench.json" if whole else None)
    if path is not None and not failed:
        rows = [figure.row() for figure in figures]
        path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", "utf-8")
    page = told.table or (PAGE if whole else None)
    if page is not None and not failed:
        _keep(figures, page)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
