"""A scenario of GRUs that do their work and report something else."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from gateway.core.status import PORTAL_WORDS, Status
from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.scenarios import scenario
from gateway.demo.stage import Stage
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.lies import Lies

#: Requests to each commune: enough for each lie about an answer.
REQUESTS = 24
#: Answers to a creation or a message that was done.
ANSWERS = (302, 303, 408, 429, 500, 502, 503, 504)
#: One lie in so many calls; a GRU that lies mostly is an outage.
EVERY = 3
YEAR = timedelta(days=365)
#: A status that no mapping knows.
UNKNOWN = "a_trier_au_bureau"
#: Seconds after which the scenario is judged as it stands.
TIMEOUT = 240.0
#: Seconds without movement: longer than a call, after which a lost reply is asked about.
QUIET = 7.0


@dataclass(slots=True)
class _ExpectedTexts:
    """The texts that must arrive: agents' notes by formdata, and citizens' messages."""

    notes: list[tuple[str, str, str]] = field(default_factory=list)
    messages: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Our references of the tickets that got an unknown word.
    unknown: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


@scenario(
    "lying-grus",
    say("lying_grus"),
)
async def lying_grus(stage: Stage, story: Story) -> dict[str, Any]:
    begun, said = time.monotonic(), _ExpectedTexts()
    story.title(say("both_lie"))
    _lie(stage)
    items: list[SimulatedFormdata] = []
    for n in range(REQUESTS):
        for made in (
            anomaly(sample(ANOMALY), stage.dice, photo=n % 4 == 0),
            registration(sample(SCHOOL), stage.dice),
        ):
            item = stage.portal.submit_sample(made)
            items.append(item)
            await stage.push(item)
    story.say("citizen", say("requests_sent", count=len(items)))
    until = begun + TIMEOUT
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_operator(stage, story, said, until))
            for n, item in enumerate(items):
                group.create_task(_ticket(stage, said, item, n // 2, until))
        await _quiet(stage, until)
    finally:
        for gru in (stage.bron, stage.villeurbanne):
            gru.faults.clear()
            gru.lies = Lies()
    counted = _count(stage, said, items)
    lies = len(stage.bron.faults.injected) + len(stage.villeurbanne.faults.injected)
    return {
        "scenario": "lying-grus",
        "requests": len(items),
        **counted,
        "false_answers": lies,
        "seconds": round(time.monotonic() - begun, 1),
        "ok": lies >= 2 * len(ANSWERS) and not any(counted.values()),
    }


def _lie(stage: Stage) -> None:
    for gru, path in ((stage.bron, "/requests"), (stage.villeurbanne, "/api/tickets")):
        for n, status in enumerate(ANSWERS):
            when = FaultCondition(path, "POST", after=n * EVERY, first=1)
            location = f"{path}/ailleurs" if status < 400 else None
            retry_after = 1 if status in (429, 503) else None
            gru.faults.answer_after(status, when, location=location, retry_after=retry_after)
        gru.lies = Lies(hide=5, repeat=3, shift=True, bad_row=True, echo=True)


async def _ticket(
    stage: Stage, said: _ExpectedTexts, item: SimulatedFormdata, n: int, until: float
) -> None:
    """Play one request: its citizen writes, its agents work."""
    slug, id_ = item.form.slug, item.id
    if not await _until(lambda: _last_status_is(stage, slug, id_, Status.ACCEPTED), until):
        return
    agents = _Bron(stage, slug, id_) if slug == ANOMALY else _Villeurbanne(stage, slug, id_)
    if slug == SCHOOL:
        text = f"Message {id_} de la famille : une précision sur l'adresse."
        said.messages[slug, id_] = text
        await stage.portal.write(slug, id_, text)

    async def note(text: str, word: str, status: Status) -> bool:
        said.notes.append((slug, id_, text))
        await agents.say(word, text)
        return await _until(
            lambda: (
                _note_last_status_is(stage, slug, id_, text)
                and _last_status_is(stage, slug, id_, status)
            ),
            until,
        )

    if not await note(f"Dossier {id_} : pris en charge.", "in_progress", Status.IN_PROGRESS):
        return
    if n % 5 == 0:
        reference = stage.reference_of(slug, id_) or ""
        said.unknown.add(reference)
        await agents.say(UNKNOWN, None)
        await _until(lambda: reference in said.seen, until)
    if n % 4 == 0:
        agents.ahead(YEAR)
    if not await note(f"Dossier {id_} : réglé.", agents.done, Status.DONE):
        return
    # Bron's server is asked about an ended request every six hours only.
    if slug == SCHOOL and n % 3 == 0:
        again = f"Dossier {id_} : rouvert, il manquait une pièce."
        if await note(again, "in_progress", Status.IN_PROGRESS):
            await note(f"Dossier {id_} : réglé cette fois.", agents.done, Status.DONE)


class _Bron:
    """The agents of one ticket at Bron."""

    done = "fixed"

    def __init__(self, stage: Stage, slug: str, id_: str) -> None:
        reference = stage.reference_of(slug, id_)
        self._gru = stage.bron
        self._ticket = next(
            one for one in self._gru.tickets if one.param("attribute[toodego_ref]") == reference
        )

    async def say(self, word: str, text: str | None) -> None:
        if word == UNKNOWN:
            self._ticket.status, self._ticket.updated = word, self._gru.clock()
        else:
            self._gru.advance(self._ticket, word, text or "")

    def ahead(self, by: timedelta) -> None:
        self._gru.lies.ahead[self._ticket.id] = by


class _Villeurbanne:
    """The agents of one ticket at Villeurbanne."""

    done = "resolved"

    def __init__(self, stage: Stage, slug: str, id_: str) -> None:
        self._gru = stage.villeurbanne
        self._id = self._gru.by_external_id(stage.reference_of(slug, id_) or "")[0].id

    async def say(self, word: str, text: str | None) -> None:
        self._gru.advance(self._id, word, text)
        await self._gru.notify()

    def ahead(self, by: timedelta) -> None:
        self._gru.lies.ahead[self._id] = by


async def _operator(stage: Stage, story: Story, said: _ExpectedTexts, until: float) -> None:
    """Read the list of what waits for a person until every unknown word was in it."""
    wanted = 2 * len(range(0, REQUESTS, 5))
    while len(said.seen) < wanted and time.monotonic() < until and not stage.stop.is_set():
        await asyncio.sleep(1.0)
        waiting = said.unknown - said.seen
        if not waiting:
            continue
        shown = await _outbox(stage)
        found = {reference for reference in waiting if reference in shown and UNKNOWN in shown}
        said.seen |= found
        if found:
            story.say("operator", say("unknown_words", count=len(found)))


async def _outbox(stage: Stage) -> str:
    """Return what `outbox list` prints."""
    here = ["--config", str(stage.config), "--mappings", str(stage.mappings)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "outbox", "list", "--json", *here,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


async def _until(true: Callable[[], bool], until: float) -> bool:
    while time.monotonic() < until:
        if true():
            return True
        await asyncio.sleep(0.1)
    return False


async def _quiet(stage: Stage, until: float) -> None:
    """Wait until nothing changes at the portal and the GRUs, or the time is over."""
    last, since = None, time.monotonic()
    while time.monotonic() < until and not stage.stop.is_set():
        now = (
            len(stage.portal.received),
            len(stage.bron.tickets),
            len(stage.bron.updates),
            len(stage.villeurbanne.tickets),
            sum(len(one.comments) for one in stage.villeurbanne.tickets),
        )
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since >= QUIET:
            return
        await asyncio.sleep(0.1)


def _events(stage: Stage, slug: str, id_: str) -> list[dict[str, Any]]:
    given = stage.portal.events(slug, id_)
    return [one for one in given if isinstance(one, dict) and "evenement" in one]


def _last_status_is(stage: Stage, slug: str, id_: str, status: Status) -> bool:
    """Is this the last status that the citizen got?"""
    words = [one["statut"] for one in _events(stage, slug, id_) if one.get("statut")]
    return bool(words) and words[-1] == PORTAL_WORDS[status]


def _note_last_status_is(stage: Stage, slug: str, id_: str, text: str) -> bool:
    return any(one.get("message") == text for one in _events(stage, slug, id_))


def _count(stage: Stage, said: _ExpectedTexts, items: list[SimulatedFormdata]) -> dict[str, int]:
    held: Counter[str | None] = Counter(
        ticket.param("attribute[toodego_ref]") for ticket in stage.bron.tickets
    )
    held.update(ticket.external_id for ticket in stage.villeurbanne.tickets)
    references = {(i.form.slug, i.id): stage.reference_of(i.form.slug, i.id) for i in items}
    events: Counter[Any] = Counter()
    notes: Counter[Any] = Counter()
    echoed = silenced = 0
    for slug, id_ in references:
        given = _events(stage, slug, id_)
        events.update((slug, id_, one["evenement"]) for one in given)
        notes.update((slug, id_, one["message"]) for one in given if one.get("message"))
        message = said.messages.get((slug, id_))
        echoed += message is not None and message in json.dumps(given, ensure_ascii=False)
        silenced += not _last_status_is(stage, slug, id_, Status.DONE)
    silenced += sum(not notes[one] for one in said.notes)
    written: Counter[str] = Counter()
    for ticket in stage.villeurbanne.tickets:
        written.update(one.text for one in ticket.comments if not one.by_agent)
    repeats = [*held.values(), *events.values(), *(notes[one] for one in said.notes)]
    repeats += [written[text] for text in said.messages.values()]
    return {
        "duplicates": sum(n - 1 for n in repeats if n > 1),
        "lost": sum(not held[reference] for reference in references.values())
        + sum(not written[text] for text in said.messages.values()),
        "silenced": silenced,
        "echoed": echoed,
        "waiting_unseen": len(said.unknown - said.seen),
    }
