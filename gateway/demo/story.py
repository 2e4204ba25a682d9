"""Prints what happens, as the simulators see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from gateway.core.messages import Language, Message
from gateway.demo.texts import say
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
    """A narrator in one language. It may be silent."""

    def __init__(self, *, silent: bool = False, language: Language = "en") -> None:
        self.silent = silent
        self._language = language
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, who: str, text: Message | str) -> None:
        """Tell in one line who does or gets what. `who` is a word of the table, or empty."""
        if not self.silent:
            style = _STYLES.get(who, "white")
            name = say(who).told(self._language) if who else ""
            self._console.print(f"[{style}]{name:>12}[/]  {escape(self._translated(text))}")

    def title(self, text: Message) -> None:
        """Print a heading."""
        if not self.silent:
            self._console.print(f"\n[bold]{escape(self._translated(text))}[/]")

    def _translated(self, text: Message | str) -> str:
        return text.told(self._language) if isinstance(text, Message) else text

    def plain(self, text: str) -> None:
        """Print a text as it is."""
        if not self.silent:
            self._console.print(escape(text))


class Watcher:
    """Finds new events in the simulators, and prints them."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self._stage = stage
        self._story = story
        self._told = {"pushes": 0, "bron": 0, "villeurbanne": 0, "received": 0}
        self._faults: dict[str, int] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self.print_new()
            await asyncio.sleep(0.05)

    def print_new(self) -> None:
        """Print the events since the last call."""
        for who, text in self._news():
            self._story.say(who, text)

    def _news(self) -> Iterator[tuple[str, Message]]:
        stage = self._stage
        for push in stage.portal.pushes[self._advance("pushes", len(stage.portal.pushes)) :]:
            ours = stage.reference_of(push.slug, push.id) or "?"
            yield (
                "toodego",
                say(
                    "pushed",
                    form=push.slug,
                    id=push.id,
                    status=str(push.verdict.status),
                    reference=ours,
                ),
            )
        for ticket in stage.bron.tickets[self._advance("bron", len(stage.bron.tickets)) :]:
            yield (
                "bron",
                say(
                    "open311_ticket",
                    ticket=ticket.id,
                    service=ticket.service.code,
                    reference=str(ticket.attributes.get("toodego_ref")),
                    photos=len(ticket.media),
                ),
            )
        tickets = stage.villeurbanne.tickets
        for one in tickets[self._advance("villeurbanne", len(tickets)) :]:
            yield (
                "villeurbanne",
                say(
                    "ticket",
                    ticket=one.id,
                    reference=str(one.external_id),
                    files=len(one.documents),
                ),
            )
        for call in stage.portal.received[self._advance("received", len(stage.portal.received)) :]:
            payload = call.payload if isinstance(call.payload, dict) else {}
            message = f" « {payload['message']} »" if payload.get("message") else ""
            alone = say("a_file" if "b64_content" in payload else "a_message")
            word = payload.get("statut")
            what = word if isinstance(word, str) and word else alone
            yield "toodego", say("told_of", form=call.slug, id=call.id, what=what, text=message)
        for who, faults in (
            ("toodego", stage.portal.faults),
            ("bron", stage.bron.faults),
            ("villeurbanne", stage.villeurbanne.faults),
        ):
            yield from self._cuts(who, faults)

    def _cuts(self, who: str, faults: Faults) -> Iterator[tuple[str, Message]]:
        seen = self._faults.get(who, 0)
        self._faults[who] = len(faults.injected)
        for one in faults.injected[seen:]:
            if one.kind is FaultKind.SAY:
                yield "fault", say("answers_badly", who=say(who), method=one.method)
            else:
                yield "fault", say("line_cut", who=say(who), method=one.method)

    def _advance(self, name: str, count: int) -> int:
        before, self._told[name] = self._told[name], count
        return before
