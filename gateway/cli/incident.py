"""`incident`: what is amiss, by when it must be solved, and who was told."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from gateway.catalogue.catalogue import Settings
from gateway.cli.faults import Exit
from gateway.cli.incident_texts import say
from gateway.cli.output import (
    AsJson,
    emit,
    print_message,
    print_text,
    print_value,
    shown_time,
    table,
)
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings, open_database
from gateway.core import reasons
from gateway.core.errors import Conflict
from gateway.core.incident import IncidentKind, IncidentRules
from gateway.core.messages import Message
from gateway.flow.alerts import order_trial
from gateway.flow.incident_notes import security_notice
from gateway.flow.incident_texts import parties, symptoms
from gateway.store import incident_notices, incident_tickets, incidents, trail
from gateway.store.incident_notices import IncidentNotice
from gateway.store.incident_tickets import IncidentTicket
from gateway.store.incidents import Incident

app = typer.Typer(help="Incidents, by the convention's clock.", no_args_is_help=True)

WhichIncident = Annotated[str, typer.Argument(metavar="ID", help="INC-...")]


@app.command("list")
def show_list(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    commune: Annotated[
        str | None, typer.Option(metavar="INSEE", help="Those that hit this commune.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List incidents that want a person, the last one first, with the time left. A *bloquant* or an
    attack stays until it is closed."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    with open_database(settings) as database:
        found = asyncio.run(
            database.read(incidents.opened, everything=everything, commune=commune, limit=limit)
        )
    if as_json:
        emit([as_json_(one, settings.incidents, now) for one in found])
        return
    rules = settings.incidents
    table(
        ("id", "severity", "state", "what", "cause", "communes", "since", "deadline", "left"),
        [
            (
                one.id,
                one.severity.value if one.kind is IncidentKind.SERVICE else say(one.kind.value),
                say(one.state.value),
                symptoms(one.worst),
                one.cause,
                len(one.communes) or None,
                one.begun_at,
                one.deadline(rules) or say("no_deadline"),
                _left(one, rules, now),
            )
            for one in found
        ],
        say("no_incident_at_all" if everything else "no_incident_open"),
    )


@app.command()
def show(
    incident: WhichIncident,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """One incident: whom it hits, its clock, who was told, what was done. Exit code 1: its trail
    does not verify."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    with open_database(settings) as database:
        one = asyncio.run(database.read(incidents.get, incident))
        notes = asyncio.run(database.read(incident_notices.of_incident, one.id))
        ticket = asyncio.run(database.read(incident_tickets.get, one.id))
        answers = asyncio.run(database.read(incident_tickets.answers, one.id))
        ledger = asyncio.run(database.read(trail.entries, incidents.STREAM))
        problems = asyncio.run(database.read(trail.verify, incidents.STREAM))
    mine = [entry for entry in ledger if entry.data.get("incident") == one.id]
    if as_json:
        told = as_json_(one, settings.incidents, now)
        told |= {"notes": notes, "ticket": ticket, "answers": answers}
        emit(told | {"trail": mine, "problems": problems})
    else:
        _print(one, settings, now)
        _print_ticket(ticket)
        _print_notes(notes)
        for answer in answers:
            print_text("")
            print_message(say("answer", at=shown_time(answer.at), text=answer.text))
        print_text("")
        table(
            ("n", "at", "kind", "what"),
            [(entry.n, entry.at, entry.kind, _rest(entry.data)) for entry in mine],
            say("nothing_in_trail"),
        )
        for problem in problems:
            print_message(say("error_in_trail", fault=problem.message), err=True)
    if problems:
        raise typer.Exit(Exit.NO)


@app.command()
def notices(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Notes that are owed and were not taken yet, whatever they are about, and why."""
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        found = asyncio.run(database.read(incident_notices.waiting_notes, limit))
    if as_json:
        emit(found)
        return
    table(
        ("what", "told", "step", "since", "tried", "next", "reason"),
        [
            (
                one.incident_id,
                _audience(one),
                _step(one),
                one.created_at,
                one.attempts,
                one.next_at,
                None if one.failure is None else reasons.of(one.failure).said,
            )
            for one in found
        ],
        say("no_note_owed"),
    )


@app.command("test")
def trial(config: Config = CONFIG, mappings: Mappings = MAPPINGS) -> None:
    """Send a note of trial to the operators and by each channel, as each month. The daemon sends
    it; `incident notices` shows what is not taken."""
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        whom = asyncio.run(order_trial(database, settings, datetime.now(UTC)))
    if not whom:
        raise Conflict(say("nobody_to_try"))
    print_message(say("trial_owed", whom=tuple(one or say("operators") for one in whom)))


@app.command()
def notice(incident: WhichIncident, config: Config = CONFIG, mappings: Mappings = MAPPINGS) -> None:
    """Print the notice of an attack, in French, to be completed and sent, with what is to be
    done."""
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        one = asyncio.run(database.read(incidents.get, incident))
    if one.kind is not IncidentKind.SECURITY:
        raise Conflict(say("no_attack", id=one.id))
    print_text(security_notice(one, settings.incidents))


def _print(one: Incident, settings: Settings, now: datetime) -> None:
    rules = settings.incidents
    for name, value in (
        ("id", one.id),
        ("kind", say(one.kind.value)),
        ("severity", one.severity.value),
        ("state", say(one.state.value)),
        ("what", tuple(symptoms(word) for word in one.words)),
        ("do", symptoms(one.worst).cure),
        ("cause", one.cause),
        ("reason", reasons.of(one.reason).said if one.reason else None),
        ("party", parties(one.party)),
        ("communes", one.communes),
        ("since", one.begun_at),
        ("last seen", one.last_seen_at),
        ("times", one.times),
        ("resolved", one.resolved_at),
        ("closed", one.closed_at),
        ("deadline", one.deadline(rules) or say("no_deadline")),
        ("left", _left(one, rules, now)),
        ("acknowledged", one.acked_by),
        ("assigned to", one.assigned_to),
        ("notified", one.notified_at),
        ("because", one.because),
        ("post-mortem", one.post_mortem),
    ):
        print_value(name, value)


def _print_ticket(ticket: IncidentTicket | None) -> None:
    if ticket is None:
        return
    print_value("ticket", ticket.number or say("no_ticket_yet"))
    print_value("ticket link", ticket.link)
    print_value("ticket state", ticket.word)
    print_value("ticket over", ticket.over_at)


def _print_notes(notes: list[IncidentNotice]) -> None:
    print_text("")
    table(
        ("told", "step", "state", "time", "tried", "reason"),
        [
            (
                _audience(note),
                _step(note),
                say(note.state),
                note.sent_at or note.created_at,
                note.attempts,
                None if note.failure is None else reasons.of(note.failure).said,
            )
            for note in notes
        ],
        say("no_note"),
    )


def _audience(note: IncidentNotice) -> str | Message:
    return say("tool") if _of_tool(note) else note.audience or say("operators")


def _step(note: IncidentNotice) -> Message:
    return say(f"did_{note.step}" if _of_tool(note) else note.step)


def _of_tool(note: IncidentNotice) -> bool:
    return note.audience == incident_tickets.TOOL


def _rest(data: Any) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "incident"}


def _left(one: Incident, rules: IncidentRules, now: datetime) -> Message | None:
    """Return the time left until the deadline, or whether it was kept."""
    left = one.left(rules, now)
    if left is None:
        return None
    pause = one.paused
    if pause is not None:
        return say("stands_still", commune=pause.commune or "", because=pause.because, by=pause.by)
    hours, minutes = divmod(int(abs(left) / timedelta(minutes=1)), 60)
    late = left < timedelta()
    if one.solved_at is not None:
        return say("not_kept_to", hours=hours, minutes=minutes) if late else say("kept_to")
    return say("past" if late else "left", hours=hours, minutes=minutes)


def shown_due(one: Incident, rules: IncidentRules) -> str | Message:
    """Return the deadline for people."""
    due = one.deadline(rules)
    return say("no_deadline") if due is None else shown_time(due)


def as_json_(one: Incident, rules: IncidentRules, now: datetime) -> dict[str, object]:
    """Return an incident for scripts: as stored, with its deadline and the seconds left."""
    left = one.left(rules, now)
    return {field.name: getattr(one, field.name) for field in fields(one)} | {
        "deadline": one.deadline(rules),
        "left_seconds": None if left is None else round(left.total_seconds()),
        "kept": None if left is None else left >= timedelta(),
        "solved_at": one.solved_at,
    }
