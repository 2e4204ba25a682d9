"""`adapter`: which kinds of GRU this gateway can speak to."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from gateway.catalogue.registry import GROUP, installed
from gateway.cli.output import AsJson, emit, table

app = typer.Typer(help="Adapters, the plugins that speak to GRUs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Adapters, the plugins that speak to GRUs."""


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """The installed adapters. Exit code 3 when one of them cannot be used."""
    found = installed()
    packages = {p.name: p.dist.name for p in entry_points(group=GROUP) if p.dist is not None}
    rows = [
        {
            "kind": kind,
            "class": f"{adapter.__module__}.{adapter.__qualname__}",
            "package": packages.get(kind),
            "sdk": adapter.sdk,
            "options": sorted(adapter.Options.model_fields),
        }
        for kind, adapter in sorted(found.items())
    ]
    if as_json:
        emit(rows)
        return
    table(
        ("kind", "sdk", "package", "class"),
        [(row["kind"], row["sdk"], row["package"], row["class"]) for row in rows],
        "no adapter is installed",
    )
