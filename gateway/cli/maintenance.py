"""`maintenance`: planned maintenance and technical changes, told to communes beforehand."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.catalogue.insee import unknown_communes
from gateway.cli.maintenance_texts import say
from gateway.cli.output import (
    AsJson,
    emit,
    print_message,
    print_text,
    print_value,
    shown_time,
    table,
)
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_parts,
    load_settings,
    open_database,
)
from gateway.cli.usage import Misuse
from gateway.core.canary import is_canary
from gateway.core.working_time import PARIS
from gateway.flow import announcements as acts
from gateway.flow.announcements import Announcement, AnnouncementPlan, ConcernedCommune
from gateway.flow.environment import Environment

app = typer.Typer(
    help="Planned maintenance and changes, told to communes beforehand.", no_args_is_help=True
)

Which = Annotated[str, typer.Argument(metavar="ID", help="ANN-...")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it; kept in the trail.")]
#: Characters of a title, of a text, and of a name or reason.
_TITLE, _BODY, _LINE = 120, 4000, 500
_YEAR = timedelta(days=366)


@app.command()
def add(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="In French, one line.")],
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="2026-12-01T20:00, in Paris.")
    ],
    by: By,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Its end; without, it is a change.")
    ] = None,
    body: Annotated[
        str, typer.Option("--text", metavar="TEXT", help="In French: what communes must know.")
    ] = "",
    communes: Annotated[
        list[str] | None,
        typer.Option("--commune", metavar="INSEE", help="Those that it concerns; else all."),
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Announce a maintenance (with --to) or a change. The daemon tells the communes by mail.

    Told later than `announcements` of gateway.yaml asks for, a maintenance counts as
    unavailability."""
    catalogue = load_parts(config, mappings).catalogue
    known = {**catalogue.unreleased, **catalogue.communes}
    everybody = [insee for insee in known if not is_canary(insee)]
    chosen = {catalogue.insee(code) for code in communes or everybody}
    unknown = sorted(chosen - known.keys())
    if unknown:
        raise unknown_communes(unknown, {insee: one.name for insee, one in known.items()})
    if not chosen:
        raise Misuse(say("nobody"))
    starts, ends = _times(since, until)
    plan = AnnouncementPlan(
        _line("TITLE", title, _TITLE),
        _text(body),
        starts,
        ends,
        sorted(chosen),
        _line("--by", by, _LINE),
    )
    settings = catalogue.settings
    with open_database(settings) as database:
        one = asyncio.run(acts.announce(database, Environment(), settings.announcements, plan))
    if as_json:
        emit(announcement_json(one, datetime.now(UTC)))
        return
    word = "made" if one.announced_at < one.last_call else "made_late"
    count, last = len(one.communes), shown_time(one.last_call)
    print_message(say(word, id=one.id, count=count, last=last))


@app.command("list")
def show_list(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    commune: Annotated[
        str | None, typer.Option(metavar="INSEE", help="Those that concern this commune.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what is announced: told and read by how many communes, told in time or not."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    with open_database(settings) as database:
        found = asyncio.run(
            acts.announcements_of(database, commune, now, everything=everything, limit=limit)
        )
    if as_json:
        emit([announcement_json(one, now) for one in found])
        return
    table(
        ("id", "kind", "state", "what", "from", "until", "communes", "told", "in time", "read"),
        [
            (
                one.id,
                say(one.kind.value),
                say(one.state(now).value),
                one.title,
                one.starts_at,
                one.until,
                len(one.communes),
                sum(c.told_at is not None for c in one.communes),
                sum(one.told_in_time(c) for c in one.communes),
                sum(c.read_at is not None for c in one.communes),
            )
            for one in found
        ],
        say("none"),
    )


@app.command()
def show(
    announcement: Which,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """One announcement: each commune that was told, when, and who has read it."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    with open_database(settings) as database:
        one = asyncio.run(acts.read_announcement(database, announcement))
    if as_json:
        emit(announcement_json(one, now))
        return
    for name, value in (
        ("id", one.id),
        ("kind", say(one.kind.value)),
        ("state", say(one.state(now).value)),
        ("what", one.title),
        ("from", one.starts_at),
        ("until", one.until),
        ("by", one.by),
        ("told by", one.last_call),
        ("because", one.because),
    ):
        print_value(name, value)
    print_text("")
    table(
        ("commune", "told", "in time", "read", "by"),
        [(c.commune, c.told_at, _in_time(one, c), c.read_at, c.read_by) for c in one.communes],
        say("none"),
    )


@app.command()
def cancel(
    announcement: Which,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="Why, in French: communes read it.")
    ],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Call it off, or end it early. The communes that were told are told of it."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    why, who = _line("--because", because, _LINE), _line("--by", by, _LINE)
    with open_database(settings) as database:
        one = asyncio.run(acts.cancel(database, announcement, why, who, now=now))
    if as_json:
        emit(announcement_json(one, now))
    else:
        print_message(say("cancelled_now", id=one.id))


@app.command()
def read(
    announcement: Which,
    commune: Annotated[str, typer.Option(metavar="INSEE", help="The commune that has read it.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Note that a commune has read it, as it said otherwise than by the link of its mail."""
    settings, now = load_settings(config, mappings).settings, datetime.now(UTC)
    who = _line("--by", by, _LINE)
    with open_database(settings) as database:
        one = asyncio.run(acts.note_read(database, announcement, commune, who, now=now))
    if as_json:
        emit(announcement_json(one, now))
    else:
        print_message(say("read_now", id=one.id, commune=commune))


def announcement_json(one: Announcement, now: datetime) -> dict[str, object]:
    """Return an announcement for scripts."""
    told = {field.name: getattr(one, field.name) for field in fields(one)}
    return told | {
        "notice": round(one.notice.total_seconds()),
        "state": one.state(now),
        "until": one.until,
        "told_by": one.last_call,
        "communes": [
            {
                "commune": c.commune,
                "told_at": c.told_at,
                "read_at": c.read_at,
                "read_by": c.read_by,
                "in_time": one.told_in_time(c),
            }
            for c in one.communes
        ],
    }


def _in_time(one: Announcement, commune: ConcernedCommune) -> object:
    if commune.told_at is None and commune.read_at is None:
        return None
    return say("in_time" if one.told_in_time(commune) else "not_in_time")


def _times(since: str, until: str | None) -> tuple[datetime, datetime | None]:
    """Return beginning and end. Raises Misuse."""
    now, starts = datetime.now(UTC), _moment("--from", since)
    ends = None if until is None else _moment("--to", until)
    if ends is not None and ends <= starts:
        raise Misuse(say("wrong_order"))
    if (ends or starts) <= now:
        raise Misuse(say("past", option="--from" if ends is None else "--to"))
    if (ends or starts) > now + _YEAR:
        raise Misuse(say("too_far", option="--from" if ends is None else "--to"))
    return starts, ends


def _moment(option: str, given: str) -> datetime:
    """Return a time of Paris. Raises Misuse."""
    try:
        found = datetime.fromisoformat(given.strip())
        found = found if found.tzinfo is not None else found.replace(tzinfo=PARIS)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misuse(say("no_moment", option=option, given=given[:40])) from None


def _line(option: str, text: str, most: int) -> str:
    """Return the text as one line. Raises Misuse for an empty or very long one."""
    line = " ".join(text.split())
    if not line:
        raise Misuse(say("empty", option=option))
    if len(line) > most:
        raise Misuse(say("too_long", option=option, most=most))
    return line


def _text(body: str) -> str:
    """Return a text of several lines. Raises Misuse for a very long one."""
    if len(body) > _BODY:
        raise Misuse(say("too_long", option="--text", most=_BODY))
    lines = (" ".join(line.split()) for line in body.splitlines())
    return "\n".join(lines).strip()
