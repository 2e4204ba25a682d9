"""Tells what happens while it happens, as the simulators see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from gateway.sim.faults import FaultKind, Faults

if TYPE_CHECKING:
    from gateway.demo.stage import Stage

_STYLES = {
    "citizen": "cyan",
    "toodego": "blue",
    "gateway": "magenta",
    "bron": "green",
    "villeurbanne": "yellow",
    "fault": "red",
}


class Story:
    """A narrator, who may be silent."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, who: str, text: str) -> None:
        """Tell in one line who does or gets what."""
        if not self.silent:
            style = _STYLES.get(who, "white")
            self._console.print(f"[{style}]{who:>12}[/]  {escape(text)}")

    def title(self, text: str) -> None:
        """Print a heading."""
        if not self.silent:
            self._console.print(f"\n[bold]{escape(text)}[/]")

    def plain(self, text: str) -> None:
        """Print a text as it is."""
        if not self.silent:
            self._console.print(escape(text))


class Watcher:
    """Reads what is new in the simulators, and has it told."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self._stage = stage
        self._story = story
        self._told = {"pushes": 0, "bron": 0, "villeurbanne": 0, "received": 0}
        self._faults: dict[str, int] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(0.05)

    def look(self) -> None:
        """Tell what happened since the last call."""
        for who, text in self._news():
            self._story.say(who, text)

    def _news(self) -> Iterator[tuple[str, str]]:
        stage = self._stage
        for push in stage.portal.pushes[self._take("pushes", len(stage.portal.pushes)) :]:
            ours = stage.reference_of(push.slug, push.id) or "?"
            yield (
                "toodego",
                f"pushed {push.slug} {push.id}, signed; the gateway has it on disk:"
                f" HTTP {push.verdict.status}, {ours}",
            )
        for ticket in stage.bron.tickets[self._take("bron", len(stage.bron.tickets)) :]:
            files = len(ticket.media)
            yield (
                "bron",
                f"Open311 ticket {ticket.id} ({ticket.service.code}) opened for"
                f" {ticket.attributes.get('toodego_ref')}, {files} photo(s)",
            )
        tickets = stage.villeurbanne.tickets
        for one in tickets[self._take("villeurbanne", len(tickets)) :]:
            yield (
                "villeurbanne",
                f"ticket {one.id} opened for {one.external_id}, {len(one.documents)} files",
            )
        for call in stage.portal.received[self._take("received", len(stage.portal.received)) :]:
            payload = call.payload if isinstance(call.payload, dict) else {}
            message = f" « {payload['message']} »" if payload.get("message") else ""
            alone = "a file" if "b64_content" in payload else "a message"
            word = payload.get("statut") or alone
            yield "toodego", f"told of {call.slug} {call.id}: {word}{message}"
        for who, faults in (
            ("toodego", stage.portal.faults),
            ("bron", stage.bron.faults),
            ("villeurbanne", stage.villeurbanne.faults),
        ):
            yield from self._cuts(who, faults)

    def _cuts(self, who: str, faults: Faults) -> Iterator[tuple[str, str]]:
        seen = self._faults.get(who, 0)
        self._faults[who] = len(faults.injected)
        for one in faults.injected[seen:]:
            if one.kind is FaultKind.SAY:
                yield "fault", f"{who} answers {one.method} as nobody should"
            else:
                yield "fault", f"{who} did what {one.method} asked, then the line was cut"

    def _take(self, name: str, count: int) -> int:
        before, self._told[name] = self._told[name], count
        return before
