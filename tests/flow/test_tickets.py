"""Tickets of incidents in a simulated GLPI, by the shipped description: each entry once, in order,
whatever is lost on the way; what people write there comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.catalogue.build import build
from gateway.catalogue.ticketing import TICKETING
from gateway.core.incident import IncidentKind, IncidentRules, Observation, Party, Severity
from gateway.core.incident import SymptomWord as Word
from gateway.flow import incident_acts
from gateway.flow.engine import Engine
from gateway.flow.tickets import TicketDesk
from gateway.ops.stored_parts import incident_summaries, ticketing_part
from gateway.sim.faults import FaultCondition
from gateway.sim.glpi import CLOSED, SOLVED, Glpi, GlpiTicket
from gateway.store import incident_looks, incident_notices, incident_tickets, incidents
from gateway.store.incident_tickets import IncidentTicket
from tests.adapters.mail_servers import SimulatedSmtp, listening
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, ENVIRON, GRU_A, Died, Line, Rig

PACKS = Path(__file__).resolve().parents[2] / "adapters" / "packs"
PORTALS = {"toodego": {"base_url": "http://portail.invalid"}}
INC = "INC-06H1NGNBPMHP4J06"


def described(pack: str) -> dict[str, Any]:
    """Return the shipped description of a tool."""
    found: dict[str, Any] = yaml.safe_load((PACKS / pack / "ticketing.yaml").read_text("utf-8"))
    options: dict[str, Any] = found[TICKETING]
    return options


@dataclass
class Scene:
    """A gateway whose incidents have tickets."""

    rig: Rig
    engine: Engine
    glpi: Glpi
    line: Line

    @property
    def desk(self) -> TicketDesk:
        return self.engine.tickets

    async def look(self, *words: Word, severity: Severity = Severity.MAJEUR) -> None:
        """Look at a GRU with these symptoms."""
        seen = [
            Observation(
                cause=GRU_A,
                kind=IncidentKind.SERVICE,
                severity=severity,
                party=Party.COMMUNE,
                worst=word,
                words=frozenset(words),
                communes=frozenset({BRON}),
                reason="",
                since=None,
                part_of=None,
                after=timedelta(),
            )
            for word in words[:1]
        ]
        rules = dataclasses.replace(self.engine.incidents.rules, settle=timedelta(minutes=1))
        await self.rig.database.write(
            incident_looks.observe, seen, rules, lambda: INC, self.rig.clock.now
        )

    async def pass_(self, minutes: int = 1, *, poll: bool = True) -> None:
        """Let time pass, a minute at a time."""
        for _ in range(minutes):
            self.rig.clock.now += timedelta(minutes=1)
            await self.desk.send()
            if poll:
                await self.desk.poll()

    async def resolve(self) -> None:
        """Look twice at a GRU that is well."""
        await self.look()
        self.rig.clock.now += timedelta(minutes=2)
        await self.look()

    async def ticket(self) -> IncidentTicket:
        found = await self.rig.database.read(incident_tickets.get, INC)
        assert found is not None
        return found

    def there(self) -> GlpiTicket:
        (one,) = self.glpi.tickets
        assert self.glpi.duplicates() == []
        return one

    def said(self) -> list[str]:
        """Return the first words of what we wrote there, in order."""
        return [one.content.split("<br>")[0] for one in self.there().entries if one.author == 7]


Begin = Callable[..., Any]


@pytest.fixture
def tool(build_rig: Builder, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Return a function that makes a rig with the shipped description of GLPI."""
    monkeypatch.setitem(ENVIRON, "GLPI_JETON", "jeton-glpi")

    def begin(**changes: Any) -> tuple[Rig, Glpi, Line]:
        rig = build_rig(settings={TICKETING: described("glpi") | changes})
        glpi = Glpi(clock=rig.clock)
        rig.lines[TICKETING] = line = Line(glpi.app)
        return rig, glpi, line

    return begin


async def test_an_incident_is_a_ticket_from_its_opening_to_its_end(tool: Begin) -> None:
    rig, glpi, line = tool()
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        await here.look(Word.GRU_AWAY)
        await here.pass_()
        ticket = await here.ticket()
        assert (ticket.number, ticket.word) == (str(here.there().id), "1")
        assert here.there().fields["externalid"] == "TDG-06H1NGNBPMHP4J06"
        assert "Bron (69029)" in here.there().fields["content"]
        await here.look(Word.PORTAL_AWAY, severity=Severity.BLOQUANT)
        await incident_acts.acknowledge(engine.store, INC, "Claire Exemple", now=rig.clock.now)
        await incident_acts.comment(engine.store, INC, "On relance.", "C. E.", now=rig.clock.now)
        await here.pass_()
        await here.resolve()
        await here.pass_()
        assert here.said() == ["Aggravé : bloquant.", "Pris en charge.", "Commentaire :", "Résolu."]
        assert here.there().status == SOLVED
        written = " ".join(one.content for one in here.there().entries)
        assert "On relance." in written
        assert "Claire" not in written
        assert (await here.ticket()).over_at is not None
        (one,) = await incident_summaries(engine)
        assert one.ticket == ticket.number


async def test_nothing_is_lost_or_doubled_while_the_tool_is_away(tool: Begin) -> None:
    rig, glpi, line = tool()
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        line.raises = httpx.ConnectError("refused")
        await here.look(Word.GRU_AWAY)
        await here.pass_(20)
        await here.look(Word.GRU_AWAY, severity=Severity.BLOQUANT)
        await here.resolve()
        await here.pass_(20)
        part = await ticketing_part(engine, rig.clock.now)
        assert part is not None
        assert (part.state, part.waiting, part.reason) == ("degraded", 3, "unreachable")
        line.raises = None
        await here.pass_(11)
        assert here.said() == ["Aggravé : bloquant.", "Résolu."]
        part = await ticketing_part(engine, rig.clock.now)
        assert part is not None
        assert (part.state, part.waiting) == ("ok", 0)


@pytest.mark.parametrize("lost", range(1, 5))
async def test_what_may_have_been_taken_is_asked_about(tool: Begin, lost: int) -> None:
    rig, glpi, line = tool()
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        writes = FaultCondition(method="POST", after=lost - 1, first=1)
        (glpi.faults.cut_after if lost % 2 else glpi.faults.cut_before)(writes)
        await here.look(Word.GRU_AWAY)
        await here.look(Word.PORTAL_AWAY, severity=Severity.BLOQUANT)
        await incident_acts.acknowledge(engine.store, INC, "C. E.", now=rig.clock.now)
        await here.resolve()
        await here.pass_(6)
        assert here.said() == ["Aggravé : bloquant.", "Pris en charge.", "Résolu."]
        assert len(glpi.faults.injected) == 1
        assert ((await here.ticket()).link or "").endswith(f"?id={here.there().id}")


@pytest.mark.parametrize("passage", [1, 2])
async def test_a_process_that_dies_after_the_answer_sends_nothing_twice(
    tool: Begin, passage: int
) -> None:
    rig, glpi, line = tool()
    for last in (False, True):
        async with rig.gateway(run=False) as engine:
            here = Scene(rig, engine, glpi, line)
            if last:
                await here.pass_(6)
                break
            await here.look(Word.GRU_AWAY)
            if passage == 2:
                await here.pass_()
                await incident_acts.acknowledge(engine.store, INC, "C. E.", now=rig.clock.now)
            rig.crash_at = "incident.ticketed"
            with pytest.raises(Died):
                await here.pass_()
    assert here.said() == ["Pris en charge."] * (passage - 1)
    notes = await rig.database.read(incident_notices.of_incident, INC)
    assert {one.state for one in notes if one.audience == incident_tickets.TOOL} == {"sent"}


async def test_what_people_write_there_comes_back_and_decides_nothing(tool: Begin) -> None:
    rig, glpi, line = tool()
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        await here.look(Word.GRU_AWAY)
        await here.pass_()
        number = here.there().id
        glpi.advance(number, note="Vu avec zoe@exemple.fr, je m'en occupe. " + "x" * 5000)
        glpi.advance(number, note="Entre nous.", private=True)
        await here.pass_(3)
        (answer,) = await rig.database.read(incident_tickets.answers, INC)
        assert "je m'en occupe." in answer.text
        assert "zoe" not in answer.text
        assert len(answer.text) <= 2000
        glpi.advance(number, status=CLOSED)
        await here.pass_(2)
        assert ((await here.ticket()).word, (await here.ticket()).over_at is None) == ("6", False)
        one = await rig.database.read(incidents.get, INC)
        assert one.state == "open"
        assert here.said() == []


async def test_what_is_closed_there_is_closed_here_where_that_is_asked_for(tool: Begin) -> None:
    rig, glpi, line = tool(closes=True)
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        await here.look(Word.GRU_AWAY)
        await here.pass_()
        glpi.advance(here.there().id, status=SOLVED)
        await here.pass_(2)
        one = await rig.database.read(incidents.get, INC)
        assert (one.state, one.closed_by) == ("closed", TICKETING)


async def test_what_we_solved_there_may_come_back_here(tool: Begin) -> None:
    rig, glpi, line = tool(closes=True)
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        await here.look(Word.GRU_AWAY)
        await here.pass_()
        await here.resolve()
        await here.pass_(3)
        assert ((await here.ticket()).word, here.there().status) == ("5", SOLVED)
        await here.look(Word.GRU_AWAY)
        await here.pass_()
        assert here.said() == ["Résolu.", "De nouveau en cours."]


async def test_tickets_go_by_mail_as_well(build_rig: Builder) -> None:
    smtp = SimulatedSmtp()
    async with listening(smtp.serve) as port:
        options = {
            "smtp": {"url": f"smtp://127.0.0.1:{port}", "clear": True},
            "from": "passerelle@exemple.fr",
            "to": "tickets@metropole.exemple",
            "key": "env:GRU_KEY",
        }
        entry = {
            "adapter": "email",
            "lost_answer": "send_again",
            "fields": {"subject": "title", "body": "text"},
            "options": options,
        }
        rig = build_rig(settings={TICKETING: entry})
        rig.lines[TICKETING] = None  # type: ignore[assignment]  # no HTTP: it is really connected to
        async with rig.gateway(run=False) as engine:
            del rig.lines[TICKETING]
            here = Scene(rig, engine, Glpi(), rig.line)
            await here.look(Word.GRU_AWAY)
            await incident_acts.comment(engine.store, INC, "On relance.", "C.", now=rig.clock.now)
            await here.pass_(2, poll=False)
    first, second = [one.message for one in smtp.taken]
    assert second["In-Reply-To"] == first["Message-ID"]
    subject = str(make_header(decode_header(first["Subject"])))
    assert subject.startswith(f"Toodego, incident majeur {INC} : la GRU ne répond pas")
    assert first["To"] == "tickets@metropole.exemple"


async def test_an_incident_from_before_the_tool_has_its_ticket_as_well(tool: Begin) -> None:
    rig, glpi, line = tool()
    async with rig.gateway(run=False) as engine:
        here = Scene(rig, engine, glpi, line)
        settings = engine.catalogue.settings
        engine.far_ends.catalogue = dataclasses.replace(
            engine.catalogue, settings=dataclasses.replace(settings, incidents=IncidentRules())
        )
        await here.look(Word.GRU_AWAY)
        assert await rig.database.read(incident_tickets.get, INC) is None
        await here.pass_()
        await incident_acts.acknowledge(engine.store, INC, "C. E.", now=rig.clock.now)
        await here.pass_()
        assert here.said() == ["Pris en charge."]


@pytest.mark.parametrize("pack", ["glpi", "redmine", "rt", "zammad"])
def test_each_shipped_description_is_valid(pack: str) -> None:
    settings = {"portals": PORTALS, TICKETING: described(pack)}
    bundle = {"config/gateway.yaml": yaml.safe_dump(settings, allow_unicode=True)}
    environ = dict.fromkeys(("GLPI_JETON", "REDMINE_CLE", "RT_JETON", "ZAMMAD_JETON"), "secret")
    ticketing = build(bundle, environ=environ).settings.ticketing
    assert ticketing is not None
    assert ticketing.rules.closed
    assert ticketing.tool.capabilities.statuses
