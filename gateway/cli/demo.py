"""`demo`: the whole pass on this machine."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import emit, print_text, table
from gateway.cli.texts import say


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Play, print a summary, end: 0 only if all came back.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="No story; the last line is the summary as JSON.")
    ] = False,
    scenario: Annotated[str, typer.Option(help="What to play; see --list.")] = "pass",
    list_them: Annotated[bool, typer.Option("--list", help="Name the scenarios.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed plays the same.")] = 1,
    requests: Annotated[
        int | None,
        typer.Option(min=1, help="How many: of missed-pushes, else 5000; of hostile, else 24."),
    ] = None,
    communes: Annotated[
        int | None,
        typer.Option(
            min=3, max=58, help="Instead: so many of the Métropole's, their releases, under load."
        ),
    ] = None,
    console: Annotated[
        bool, typer.Option("--console", help="With a console: links to two accounts are printed.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The daemon's; 0: any.")] = 0,
) -> None:
    """Play the whole pass with a simulated portal and GRUs, on loopback sockets."""
    from gateway import telemetry
    from gateway.demo.metropole import play
    from gateway.demo.run import run_demo
    from gateway.demo.scenarios import SCENARIOS
    from gateway.demo.story import Story

    if list_them:
        rows = [(one.name, one.text) for one in SCENARIOS.values()]
        if as_json:
            emit([{"name": name, "text": text.told()} for name, text in rows])
        else:
            table(("name", "shows"), rows, say("no_scenario"))
        return
    telemetry.configure("console", "error")
    story = Story(silent=as_json, language=language())
    playing = (
        run_demo(
            scenario, seed=seed, port=port, once=once, story=story, size=requests, console=console
        )
        if communes is None
        else play.run_town(communes, seed=seed, port=port, once=once, story=story)
    )
    summary = asyncio.run(playing)
    if as_json:
        print_text(json.dumps(summary, ensure_ascii=False))
    if not summary["ok"]:
        raise typer.Exit(Exit.NO)
