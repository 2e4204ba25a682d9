"""The acts of people on erasures: agree, order one, list what is to do by hand, say it is done."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.erasure import PARIS, shown_deadline
from gateway.cli.glc_texts import say
from gateway.cli.output import AsJson, emit, print_message, print_text, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_parts,
    load_settings,
    open_database,
    taken,
)
from gateway.cli.states import erasure_results
from gateway.cli.usage import Misuse
from gateway.core import reasons
from gateway.core.erasure import DEADLINE
from gateway.core.errors import Conflict, NotFound
from gateway.core.outcome import ErasureAnswer, ErasureResult
from gateway.flow import operator
from gateway.flow.environment import Environment
from gateway.flow.erase import EARLIEST, LATEST
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.erasure_reminders import responsible
from gateway.store import erasure_answers
from gateway.store import requests as requests_in_store
from gateway.store.engine import Database
from gateway.store.rows import StoredRequest

TAKEN = say("taken_erasure", seconds=2)
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; kept in the trail.")]
#: Characters of a reason or ground.
_LONGEST = 500


def approve(
    target: Annotated[str, typer.Argument(metavar="ID", help="ERA-..., or RUN-... for all of it.")],
    by: By,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Agree to what is held. Two different people must, once they know it to be true from GLC."""
    name = person_name(by)
    settings = load_settings(config, mappings).settings
    with open_database(settings) as database:
        agreed, opened = asyncio.run(
            operator.approve(database, settings.glc, target, name, datetime.now(UTC))
        )
        when = taken(database, TAKEN)
    if as_json:
        emit({"target": target, "agreed": agreed, "opened": opened})
    elif opened:
        print_message(say("opened", count=opened, when=when))
    else:
        print_message(say("agreed_to", count=agreed, by=name))


def withdraw(
    target: Annotated[str, typer.Argument(metavar="ID", help="ERA-..., or RUN-... for all of it.")],
    by: By,
    because: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; without naming the person. It is kept.")
    ],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Give up what is held: the accounts exist, and GLC was wrong. Nothing was erased yet."""
    name, reason = person_name(by), _ground(because, "empty_because")
    with open_database(load_settings(config, mappings).settings) as database:
        count = asyncio.run(operator.withdraw(database, target, name, reason, datetime.now(UTC)))
    if as_json:
        emit({"target": target, "withdrawn": count})
    else:
        print_message(say("withdrawn", count=count))


def open_(
    requests: Annotated[
        list[str],
        typer.Option(
            "--request",
            metavar="NUMBER|ID",
            help="Number at the portal, or TDG-...; may be given several times.",
        ),
    ],
    by: By,
    because: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; without naming the person. It is kept.")
    ],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Erase single requests, of somebody without an account too. A second person must agree."""
    name, reason = person_name(by), _ground(because, "empty_because")
    settings = load_settings(config, mappings, secrets=NeededSecrets.ALL).settings
    deadline = DEADLINE if settings.glc is None else timedelta(seconds=settings.glc.deadline)
    with open_database(settings) as database:
        found = [asyncio.run(_one_request(database, text)) for text in dict.fromkeys(requests)]
        hasher = AccountHasher(settings)
        run, opened = asyncio.run(
            operator.open_requests(database, hasher, found, name, reason, deadline, Environment())
        )
    if as_json:
        emit({"run": run, "erasures": opened, "requests": [one.id for one in found]})
    else:
        print_message(say("ordered", count=len(opened), by=name))
        print_text(f"  erasure approve {run} --by ...")


async def _one_request(database: Database, text: str) -> StoredRequest:
    """Find the request that is meant. Raises NotFound, and Conflict where several are."""
    found = await database.read(requests_in_store.search, text)
    found = [one for one in found if text in (one.id, one.ref, one.number)]
    if not found:
        raise NotFound(say("no_request_of", id=text))
    if len(found) > 1:
        raise Conflict(say("several_requests", id=text, ids=tuple(one.id for one in found)))
    return found[0]


def todo(
    commune: Annotated[str | None, typer.Option(metavar="INSEE", help="Of one commune.")] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """List the tasks of communes that erase by hand: number there, person, deadline."""
    now = datetime.now(UTC)
    catalogue = load_parts(config, mappings).catalogue
    with open_database(catalogue.settings) as database:
        found = asyncio.run(database.read(erasure_answers.todo, commune))
    people = {one.commune: responsible(catalogue, one.commune) for one in found}
    if as_json:
        emit([asdict(one) | {"person": people[one.commune]} for one in found])
        return
    table(
        ("erasure", "commune", "gru", "gru reference", "request", "reason", "person", "deadline"),
        [
            (
                one.erasure_id,
                one.commune,
                one.gru,
                one.gru_reference,
                one.request_id,
                reasons.of(one.reason).said,
                people[one.commune] or say("nobody_named"),
                shown_deadline(one.due_at, now),
            )
            for one in found
        ],
        say("nothing_to_do"),
    )


def done(
    erasure: Annotated[str, typer.Argument(metavar="ID", help="ERA-...")],
    commune: Annotated[str, typer.Option(metavar="INSEE", help="The commune that answers.")],
    by: By,
    answer: Annotated[
        ErasureResult, typer.Option(help="What became of the data there.")
    ] = ErasureResult.ERASED,
    ground: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The law or rule by which it is kept.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day until which it is kept.")
    ] = None,
    decided_by: Annotated[
        str | None,
        typer.Option("--decided-by", metavar="NAME", help="Who decided to keep it; else --by."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this request alone: TDG-...")
    ] = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say what a commune did by hand: it erased, anonymised, keeps by law, or never had it."""
    name = person_name(by)
    kept = answer is ErasureResult.KEPT
    if kept and not (ground or "").strip():
        raise Misuse(say("kept_why"))
    if not kept and (ground or until or decided_by):
        raise Misuse(say("only_kept"))
    end = until.replace(tzinfo=PARIS) if until and EARLIEST.year <= until.year else None
    if until and (end is None or not datetime.now(UTC) - timedelta(days=1) < end < LATEST):
        raise Misuse(say("until_when", last=LATEST.year - 1))
    told = ErasureAnswer(
        answer,
        _ground(ground, "kept_why") if ground else None,
        end,
        (person_name(decided_by) if decided_by else name) if kept else None,
    )
    with open_database(load_settings(config, mappings).settings) as database:
        requests = asyncio.run(
            operator.done_by_hand(
                database, erasure, commune, name, datetime.now(UTC), answer=told, request=request
            )
        )
    if as_json:
        emit({"erasure": erasure, "commune": commune, "requests": requests, "answer": answer})
    else:
        print_message(
            say(
                "acknowledged",
                count=requests,
                commune=commune,
                by=name,
                answer=erasure_results(answer),
            )
        )


def _ground(text: str, empty: str) -> str:
    """Return the text as one line. Raises Misuse for an empty or very long one."""
    line = " ".join(text.split())
    if not line:
        raise Misuse(say(empty))
    if len(line) > _LONGEST:
        raise Misuse(say("too_long", most=_LONGEST))
    return line


def person_name(by: str) -> str:
    """Return a person's name as one line. Raises Misuse for none."""
    name = " ".join(by.split())
    if not any(c.isalpha() for c in name):
        raise Misuse(say("empty_by"))
    return name
