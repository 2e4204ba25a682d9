"""The acts of people on incidents. Each is an entry of the trail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.incident import WhichIncident, as_json_, shown_due
from gateway.cli.incident_texts import say
from gateway.cli.output import AsJson, emit, print_message
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings, open_database
from gateway.cli.usage import Misuse
from gateway.core.incident import IncidentRules, Party, Severity
from gateway.core.messages import Message
from gateway.core.system_errors import system_error
from gateway.flow import incident_acts
from gateway.store.incidents import Incident

By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it; kept in the trail.")]
Because = Annotated[
    str, typer.Option("--because", metavar="TEXT", help="Why; without naming a citizen.")
]
#: Characters of a reason, and of a post-mortem.
_LONGEST, _LONGEST_FILE = 500, 20_000
Told = Callable[[Incident, IncidentRules], Message]


def ack(
    incident: WhichIncident,
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say that you have seen it."""
    name = _line(by, "empty_by")
    _act(
        config,
        mappings,
        lambda one, _: say("acknowledged", id=one.id, by=name),
        as_json,
        incident_acts.acknowledge,
        incident,
        name,
    )


def assign(
    incident: WhichIncident,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who works on it.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say who works on it."""
    whom = _line(to, "empty_to")
    _act(
        config,
        mappings,
        lambda one, _: say("assigned", id=one.id, to=whom),
        as_json,
        incident_acts.assign,
        incident,
        whom,
        _line(by, "empty_by"),
    )


def severity(
    incident: WhichIncident,
    new: Annotated[Severity, typer.Option("--set", help="How grave it is.")],
    because: Because,
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Change how grave it is, and so its deadline. No symptom changes it any more."""
    _act(
        config,
        mappings,
        lambda one, rules: say(
            "severity_set", id=one.id, severity=one.severity.value, due=shown_due(one, rules)
        ),
        as_json,
        incident_acts.set_severity,
        incident,
        new,
        _line(because, "empty_because"),
        _line(by, "empty_by"),
    )


def pause(
    incident: WhichIncident,
    commune: Annotated[str, typer.Option(metavar="INSEE", help="The commune that must act.")],
    because: Because,
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Stop its clock while a commune must act."""
    _act(
        config,
        mappings,
        lambda one, _: say("paused", id=one.id, commune=commune),
        as_json,
        incident_acts.pause,
        incident,
        commune,
        _line(because, "empty_because"),
        _line(by, "empty_by"),
    )


def resume(
    incident: WhichIncident,
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Have its clock run again: the commune has acted."""
    _act(
        config,
        mappings,
        lambda one, rules: say("resumed", id=one.id, due=shown_due(one, rules)),
        as_json,
        incident_acts.resume,
        incident,
        _line(by, "empty_by"),
    )


def comment(
    incident: WhichIncident,
    text: Annotated[
        str, typer.Option("--text", metavar="TEXT", help="A word, without naming a citizen.")
    ],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Add a word to it. Its ticket gets it as well."""
    _act(
        config,
        mappings,
        lambda one, _: say("commented_now", id=one.id),
        as_json,
        incident_acts.comment,
        incident,
        _line(text, "empty_text"),
        _line(by, "empty_by"),
    )


def ticket(
    incident: WhichIncident,
    by: By,
    number: Annotated[
        str | None,
        typer.Option("--number", metavar="NUMBER", help="The ticket's, where it has none yet."),
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say that the entry which waits first is in the tool of the tickets, or need not be: the next
    one goes. For what the tool refuses, or cannot be asked about."""
    _act(
        config,
        mappings,
        lambda one, _: say("entry_settled", id=one.id),
        as_json,
        incident_acts.settle_ticket,
        incident,
        None if number is None else _line(number, "empty_number")[:200],
        _line(by, "empty_by"),
    )


def notified(
    incident: WhichIncident,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who was notified.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say that an attack was notified: its eight hours are kept by it."""
    whom = _line(to, "empty_to")
    _act(
        config,
        mappings,
        lambda one, _: say("notified", id=one.id, to=whom),
        as_json,
        incident_acts.note_notified,
        incident,
        whom,
        _line(by, "empty_by"),
    )


def close(
    incident: WhichIncident,
    because: Because,
    by: By,
    cause: Annotated[
        Party | None, typer.Option("--cause", help="Who caused it, where we were wrong.")
    ] = None,
    post_mortem: Annotated[
        Path | None,
        typer.Option(
            "--post-mortem",
            metavar="FILE",
            help="What happened, why, what is done against it. A bloquant needs it.",
        ),
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """End it. If its symptoms still show, it comes back only when there are more of them."""
    _act(
        config,
        mappings,
        lambda one, _: say("closed_now", id=one.id),
        as_json,
        incident_acts.close,
        incident,
        _line(because, "empty_because"),
        _line(by, "empty_by"),
        party=cause,
        post_mortem=None if post_mortem is None else _file(post_mortem),
    )


def _act(
    config: Path,
    mappings: Path,
    told: Told,
    as_json: bool,
    act: Callable[..., Awaitable[Incident]],
    *args: Any,
    **kwargs: Any,
) -> None:
    """Have it done, and say what is so now. Raises NotFound and Conflict."""
    settings = load_settings(config, mappings).settings
    rules, now = settings.incidents, datetime.now(UTC)
    with open_database(settings) as database:

        async def done() -> Incident:
            return await act(database, *args, now=now, **kwargs)

        one = asyncio.run(done())
    if as_json:
        emit(as_json_(one, rules, now))
    else:
        print_message(told(one, rules))


def _line(text: str, empty: str) -> str:
    """Return the text as one line. Raises Misuse for an empty or very long one."""
    line = " ".join(text.split())
    if not line:
        raise Misuse(say(empty))
    if len(line) > _LONGEST:
        raise Misuse(say("too_long", most=_LONGEST))
    return line


def _file(place: Path) -> str:
    """Return the text of a post-mortem. Raises Misuse."""
    try:
        with place.open("rb") as file:
            raw = file.read(4 * _LONGEST_FILE + 1)
    except OSError as error:
        why = system_error(error)
        raise Misuse(say("unread", place=str(place), error=why)) from None
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Misuse(say("no_text", place=str(place))) from None
    if not text:
        raise Misuse(say("empty_post_mortem"))
    if len(text) > _LONGEST_FILE:
        raise Misuse(say("too_long", most=_LONGEST_FILE))
    return text
