"""`commune decommission`: a commune leaves the gateway, by a plan that a person confirms."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gateway.catalogue.own_secrets import commune_file_of, own_secrets
from gateway.catalogue.parts import CatalogueParts
from gateway.cli.departure_texts import say
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, ask_text, emit, print_message, shown_time, writing
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    last_heard,
    load_parts,
    open_database,
    read_connected,
    real_path,
)
from gateway.cli.usage import Misuse
from gateway.contracts.decommission_page import decommission_certificate
from gateway.core.decommission import DecommissionStep
from gateway.core.messages import Message
from gateway.flow import decommission as ending
from gateway.flow.environment import Environment
from gateway.store import decommissions, departed, departing, trail
from gateway.store.decommissions import Decommission
from gateway.store.engine import Database

PARIS = ZoneInfo("Europe/Paris")
#: Characters of a name, and of a reason.
_NAME, _WHY = 100, 500
#: The furthest that a commune may be announced ahead: a convention's length.
_AHEAD = timedelta(days=5 * 365)
#: Days that a step may be given.
_MOST = 90
#: Seconds between two looks at what the daemon does.
_LOOK = 0.5
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "j": 86400}
_DURATION = re.compile(r"([0-9]{1,7})([smhdj])")


@dataclass(frozen=True, slots=True)
class LeavingCommune:
    """The commune that is asked about, by its file or by what runs."""

    insee: str
    name: str
    portal: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeavingTerms:
    """When the intake stops (None: at once), and the seconds that two steps are given."""

    stop_at: datetime | None
    drain: int
    tell: int


def decommission(
    insee: Annotated[str, typer.Argument(metavar="INSEE", help="The commune's INSEE code.")],
    plan: Annotated[
        bool, typer.Option("--plan", "--dry-run", help="Say what would happen, and do nothing.")
    ] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name or code: asks nothing.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decides; kept in the trail.")
    ] = None,
    because: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; kept in the trail.")
    ] = None,
    stop_at: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Until then it goes on; else it stops now."),
    ] = None,
    drain: Annotated[
        str, typer.Option(metavar="TIME", help="For what waits for the GRU: 12h, 3d.")
    ] = "1d",
    tell: Annotated[
        str, typer.Option("--tell", metavar="TIME", help="For telling the portal: 12h, 3d.")
    ] = "3d",
    settle_now: Annotated[
        bool, typer.Option("--settle-now", help="Wait no longer in the step that it is in.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Give it up, while nothing was dropped.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it has ended.")] = True,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the certificate, a French page (A4)."),
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Take a commune off the gateway for good: nothing is taken any more, what waits goes or is
    dropped, the portal is told of each open request, and all of it is deleted.

    The plan comes first, and a person confirms it by naming the commune. The daemon does it, step
    by step, and goes on after a stop. Said again, the command shows how far it is; --wait stays
    until the end. Exit code 1: it has not ended.
    """
    if settle_now and cancel:
        raise Misuse(say("one_act"))
    since = None if stop_at is None else _moment(stop_at)
    terms = LeavingTerms(since, _seconds("--drain", drain), _seconds("--tell", tell))
    parts = load_parts(config, mappings)
    with open_database(parts.catalogue.settings) as database:
        known = asyncio.run(database.read(decommissions.current, insee))
        if cancel or settle_now:
            known = _change(database, insee, _named("--by", by, _NAME), cancel=cancel)
        elif known is None:
            who = _leaving(database, parts, config, mappings, insee)
            _print_plan(database, who, terms, plan=plan, as_json=as_json)
            if plan:
                return
            said = _named("--by", by, _NAME), _named("--because", because, _WHY)
            _confirm(who, confirm, as_json=as_json)
            known = _order(database, who, terms, *said, as_json=as_json)
        if cancel:
            _tell_cancelled(known, as_json=as_json)
            return
        wait = wait and not plan and last_heard(database) is not None
        ended = _follow(database, known, wait=wait, as_json=as_json)
        _finish(database, parts, ended, html, config, mappings, as_json=as_json)


def _leaving(
    database: Database, parts: CatalogueParts, config: Path, mappings: Path, insee: str
) -> LeavingCommune:
    one = asyncio.run(read_connected(database, parts, config, mappings)).get(insee)
    codes = () if one.commune is None else tuple(sorted(one.commune.codes))
    return LeavingCommune(one.insee, one.name, one.portal, codes)


def _print_plan(
    database: Database, who: LeavingCommune, terms: LeavingTerms, *, plan: bool, as_json: bool
) -> None:
    """Say what would happen. With `as_json` only where nothing but the `plan` is wanted."""
    work = asyncio.run(database.read(departing.count_owed, who.insee))
    if as_json:
        if plan:
            shown = {"name": who.name, "portal": who.portal, **asdict(terms)}
            emit({"commune": who.insee, **shown, "open_work": asdict(work)})
        return
    stop = say("plan_at_once") if terms.stop_at is None else shown_time(terms.stop_at)
    numbers = {"waiting": work.waiting, "reports": work.reports}
    told = [
        say("plan_of", name=who.name, commune=who.insee),
        say("plan_stop", stop=stop),
        say("plan_drain", time=_span(terms.drain), **numbers),
        say("plan_person", count=work.person, untold=work.untold, commune=who.insee),
        say("plan_tell", count=work.open, time=_span(terms.tell)),
    ]
    if work.erasures:
        told.append(say("plan_erasures", count=work.erasures))
    if work.held:
        told.append(say("plan_held", count=work.held))
    numbers = {"requests": work.requests, "files": work.files, "links": work.links}
    told += [say("plan_delete", **numbers), say("plan_stays")]
    for said in told if not plan else [*told, say("plan_only")]:
        print_message(said)


def _confirm(who: LeavingCommune, confirm: str | None, *, as_json: bool) -> None:
    """Have a person name the commune. Raises Misuse for another name, Abort for none."""
    if confirm is None:
        if as_json:
            raise Misuse(say("confirm_needed", commune=who.insee))
        confirm = ask_text(say("name_it"))
    given = " ".join(confirm.split())
    if given.casefold() not in (who.insee, who.name.casefold()):
        raise Misuse(say("named_other", given=given[:80], name=who.name, commune=who.insee))


def _order(
    database: Database,
    who: LeavingCommune,
    terms: LeavingTerms,
    by: str,
    because: str,
    *,
    as_json: bool,
) -> Decommission:
    now = datetime.now(UTC)
    one = Decommission(
        id=f"DEC-{Environment().new_name()}",
        commune=who.insee,
        name=who.name,
        portal=who.portal,
        step=DecommissionStep.ANNOUNCED,
        by=by,
        because=because,
        announced_at=now,
        stop_at=terms.stop_at or now,
        drain=terms.drain,
        tell=terms.tell,
        codes=who.codes,
    )
    asyncio.run(ending.announce(database, one))
    if not as_json:
        when = say("follows" if last_heard(database) else "follows_at_start")
        print_message(say("ordered", id=one.id, when=when))
    return one


def _change(database: Database, insee: str, by: str, *, cancel: bool) -> Decommission:
    act = ending.cancel if cancel else ending.hurry
    return asyncio.run(act(database, insee, by, datetime.now(UTC)))


def _tell_cancelled(one: Decommission, *, as_json: bool) -> None:
    if as_json:
        emit({"commune": one.commune, "step": DecommissionStep.CANCELLED})
    else:
        print_message(say("cancelled", name=one.name, commune=one.commune))


def _follow(database: Database, one: Decommission, *, wait: bool, as_json: bool) -> Decommission:
    """Tell each step; with `wait` until the end. Return it as it is then."""
    told: list[Message] = []
    while True:
        found = asyncio.run(database.read(decommissions.current, one.commune))
        one = found or one
        said = [_standing(database, one), *_waiting(database, one)]
        if not as_json and said != told:
            for message in said:
                print_message(message)
            told = said
        if not (wait and one.live):
            return one
        time.sleep(_LOOK)


def _standing(database: Database, one: Decommission) -> Message:
    match one.step:
        case DecommissionStep.ANNOUNCED:
            return say("step_announced", at=shown_time(one.stop_at))
        case DecommissionStep.DRAINING:
            work = asyncio.run(database.read(departing.count_owed, one.commune))
            left = work.under_way + work.person + work.erasures
            return say("step_draining", at=shown_time(one.drain_until), left=left)
        case DecommissionStep.TELLING:
            left = asyncio.run(database.read(departing.untold_reports, one.commune))
            return say("step_telling", at=shown_time(one.tell_until), left=left)
        case DecommissionStep.ERASING:
            return say("step_erasing", **_left(database, one))
    counts = {name: one.counts.get(name, 0) for name in ("requests", "told", "untold", "markers")}
    return say("step_ended", at=shown_time(one.ended_at or one.announced_at), **counts)


def _waits(database: Database, one: Decommission) -> dict[str, Any] | None:
    return asyncio.run(database.read(decommissions.waits, one.commune)) if one.live else None


def _waiting(database: Database, one: Decommission) -> list[Message]:
    waits = _waits(database, one)
    if waits is None:
        return []
    what = [
        say("waits_places", places=tuple(found))
        if word == "places"
        else say(f"waits_{word}", count=found)
        for word, found in waits.items()
    ]
    word = "waits_left" if one.step is DecommissionStep.ERASING else "waits"
    return [say(word, what=tuple(what) or (say("waits_daemon"),), commune=one.commune)]


def _left(database: Database, one: Decommission) -> dict[str, int]:
    rows = asyncio.run(database.read(departed.rows_left, one.commune, one.codes))
    return {
        "left": sum(rows.values()),
        "objects": asyncio.run(database.read(departed.objects_left, one.id)),
    }


def _finish(
    database: Database,
    parts: CatalogueParts,
    one: Decommission,
    html: Path | None,
    config: Path,
    mappings: Path,
    *,
    as_json: bool,
) -> None:
    """Print the end: the certificate, what people have to do. The exit code says whether it has
    ended."""
    if as_json:
        emit(_as_json(database, one))
    if one.live:
        if html is not None:
            print_message(say("not_ended"), err=True)
        raise typer.Exit(Exit.NO)
    if html is not None:
        problems = asyncio.run(database.read(trail.verify, decommissions.STREAM))
        entries = asyncio.run(database.read(trail.entries, decommissions.STREAM))
        mine = [entry for entry in entries if entry.data.get("decommission") == one.id]
        page = decommission_certificate(one, mine, datetime.now(UTC), broken=bool(problems))
        with writing(html):
            html.write_text(page, "utf-8")
        if not as_json:
            print_message(say("certificate", place=str(html)))
    if as_json:
        return
    file = commune_file_of(parts, one.commune)
    if file is not None:
        secrets = tuple(own_secrets(parts.bundle, file)) or say("no_secret")
        place = real_path(file, config, mappings)
        print_message(say("left_file", file=place, secrets=secrets))
    print_message(say("revoke_there"))
    print_message(say("portal_there"))


def _as_json(database: Database, one: Decommission) -> dict[str, Any]:
    ended = one.step is DecommissionStep.ENDED
    left = {"left": 0, "objects": 0} if ended else _left(database, one)
    return {
        "commune": one.commune,
        "rows": left["left"],
        "objects": left["objects"],
        "markers_found": one.counts.get("markers_found"),
        "decommission": one.id,
        "name": one.name,
        "step": one.step,
        "by": one.by,
        "because": one.because,
        "announced_at": one.announced_at,
        "stop_at": one.stop_at,
        "closed_at": one.closed_at,
        "settled_at": one.settled_at,
        "erasing_at": one.erasing_at,
        "ended_at": one.ended_at,
        "waits": _waits(database, one),
        "drain_until": one.drain_until,
        "tell_until": one.tell_until,
        "counts": dict(one.counts),
    }


def _named(option: str, given: str | None, most: int) -> str:
    """Return a text that the trail keeps. Raises Misuse for none, or too long a one."""
    if given is None:
        raise Misuse(say("who_and_why"))
    text = " ".join(given.split())
    if not text or len(text) > most or not text.isprintable():
        raise Misuse(say("too_long", option=option, most=most))
    return text


def _moment(given: str) -> datetime:
    """Return a time of Paris. Raises Misuse."""
    try:
        found = datetime.fromisoformat(given.strip())
        found = found if found.tzinfo is not None else found.replace(tzinfo=PARIS)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misuse(say("no_time", option="--from", given=given[:40])) from None
    if found > datetime.now(UTC) + _AHEAD:
        raise Misuse(say("too_far", given=given[:40], years=_AHEAD.days // 365))
    return found


def _seconds(option: str, given: str) -> int:
    """Return the seconds of `90s`, `30m`, `12h`, `3d`. Raises Misuse."""
    found = _DURATION.fullmatch(given.strip().lower())
    seconds = -1 if found is None else int(found[1]) * _UNITS[found[2]]
    if not 0 <= seconds <= _MOST * 86400:
        raise Misuse(say("no_duration", option=option, given=given[:40], most=_MOST))
    return seconds


def _span(seconds: int) -> Message:
    for word, unit in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= unit and seconds % unit == 0:
            return say(word, count=seconds // unit)
    return say("seconds", count=seconds)
