"""Runs a scenario from beginning to end, with and without `--once`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import gateway.demo.outages  # noqa: F401  (its scenarios)
from gateway.core.console import ConsoleRole
from gateway.core.errors import NotFound
from gateway.demo import (  # noqa: F401 - register their scenarios
    availability,
    forgetting,
    hostile,
    incidents,
    leaving,
    lying,
    missed,
)
from gateway.demo.scenarios import SCENARIOS
from gateway.demo.stage import BRON, Stage, open_stage
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.flow.console import accounts
from gateway.store.console import PersonalAct
from gateway.store.engine import Database
from gateway.store.recording import RecordingStore


async def run_demo(
    name: str,
    *,
    seed: int,
    port: int,
    once: bool,
    story: Story,
    size: int | None = None,
    console: bool = False,
) -> dict[str, Any]:
    """Run a scenario, and return its summary. Unless `once`, stay up until Ctrl-C. `ok`: all
    requests came back. `console`: the daemon has one, and accounts are made for it.

    Raises NotFound for an unknown scenario, GatewayError when the stage cannot start.
    """
    chosen = SCENARIOS.get(name)
    if chosen is None:
        raise NotFound(say("no_scenario", name=name, known=tuple(SCENARIOS)))
    async with open_stage(seed, port, size, apart=chosen.apart, console=console) as stage:
        story.title(say("playing", name=chosen.name, text=chosen.text))
        summary = await chosen.play(stage, story)
        if "ok" not in summary:  # such a scenario does not judge itself
            summary["ok"] = bool(
                summary["requests"]
                and summary["reported"] == summary["delivered"] == summary["requests"]
                and not (summary["duplicates"] or summary["lost"] or summary.get("leaked"))
            )
        _print_summary(story, summary)
        if not once and not stage.stop.is_set():
            _invite(story, stage)
            if console:
                await _open_accounts(story, stage)
            await stage.stop.wait()
            story.title(say("stopping"))
    return summary


async def _open_accounts(story: Story, stage: Stage) -> None:
    """Make an account of an operator and one of Bron's agent, and tell their links."""
    now = datetime.now(UTC)
    database = Database(stage.catalogue.settings.database.get_secret_value())
    try:
        story.title(say("console_links"))
        for name, role, communes in (
            ("exploitation", ConsoleRole.OPERATOR, ()),
            ("agent-de-bron", ConsoleRole.AGENT, (BRON,)),
        ):
            act = PersonalAct("console.user_added", "demo", "cli", "", told={"account": name})
            store = RecordingStore(database, act, lambda: now)
            _, link = await accounts.add_user(store, name, role, communes, now)
            story.plain(f"  {name:>14}  {stage.url}/console/ouverture?lien={link}")
    finally:
        database.close()


def _print_summary(story: Story, summary: dict[str, Any]) -> None:
    story.title(say("counted"))
    for key, value in summary.items():
        story.plain(f"{key:>14}  {value}")


def _invite(story: Story, stage: Stage) -> None:
    here = f"--config {stage.config} --mappings {stage.mappings}"
    story.title(say("stays_up"))
    for name, address in (
        ("gateway", f"{stage.url}/ops/ready"),
        ("health", f"{stage.url}/ops/health"),
        ("portal", f"{stage.addresses.portal}/_sim/state"),
        ("Bron", f"{stage.addresses.bron}/_sim/state"),
        ("Villeurbanne", f"{stage.addresses.villeurbanne}/_sim/state"),
    ):
        story.plain(f"{name:>14}  {address}")
    ticket = stage.villeurbanne.tickets[0].id if stage.villeurbanne.tickets else "1"
    command = f"{sys.executable} -m gateway"
    story.title(say("try_it"))
    story.plain(f"  curl -s {stage.url}/ops/health")
    story.plain(f"  {command} request list {here}")
    story.plain(f"  {command} check {here}")
    story.plain(
        f"  curl -s -X POST {stage.addresses.villeurbanne}/_sim/advance -d "
        f'\'{{"ticket_id": "{ticket}", "note": "Bonjour"}}\''
    )
