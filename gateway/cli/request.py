"""`request`: the history of a request, the origin of each field, and the reason why it waits."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.explain import PreviewRow, preview
from gateway.catalogue.texts import say as say_files
from gateway.cli.language import language
from gateway.cli.noted import Because, By, noting
from gateway.cli.output import (
    AsJson,
    cell,
    emit,
    print_message,
    print_text,
    print_value,
    table,
)
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    known_commune,
    load_parts,
    load_settings,
    open_database,
)
from gateway.cli.texts import say
from gateway.contracts.connected import contacts_of
from gateway.core.delivery import Kind
from gateway.core.errors import Conflict, NotFound, Rejected
from gateway.core.messages import Message, harmless, plain
from gateway.core.reasons import Who
from gateway.core.render import Unmappable
from gateway.core.status import Status
from gateway.ops.why import Cause, causes_of
from gateway.store import requests
from gateway.store.engine import Database
from gateway.store.rows import Attempt, StoredAnswer, StoredRequest, Trace

app = typer.Typer(help="Requests: list, show, why they wait, explain.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(metavar="ID", help="Our id, the portal's id or number, or the GRU's reference."),
]


@app.command("list")
def show_list(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    commune: Annotated[str | None, typer.Option(help="INSEE code.")] = None,
    teleservice: Annotated[str | None, typer.Option(help="Form slug.")] = None,
    status: Annotated[Status | None, typer.Option(help="Canonical status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The latest requests, newest first."""

    async def read(database: Database) -> list[StoredRequest]:
        found = await database.read(
            requests.listing,
            commune=commune,
            teleservice=teleservice,
            status=status.value if status else None,
            limit=limit,
        )
        if commune is not None:
            await known_commune(database, commune, config, mappings, found)
        return found

    catalogue = load_settings(config, mappings)
    with open_database(catalogue.settings) as database:
        found = asyncio.run(read(database))
    if teleservice is not None and not found:
        slugs = {slug for one in catalogue.portals.values() for slug in one.teleservices}
        if teleservice not in slugs:
            cure = nearest(teleservice, sorted(slugs))
            raise NotFound(say_files("no_portal_has", slug=teleservice, cure=cure))
    if as_json:
        emit(found)
        return
    table(
        ("id", "commune", "teleservice", "portal ref", "status", "since", "gru reference"),
        [
            (r.id, r.commune, r.teleservice, r.ref, r.status, r.status_at, r.gru_reference)
            for r in found
        ],
        say("no_requests"),
    )


@app.command()
def show(
    which: Which,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    answers: Annotated[
        bool,
        typer.Option(
            "--answers",
            help="Show what the far ends said, too: masked, it may still tell of a person."
            " Always shown where both are `environment: test`.",
        ),
    ] = False,
    because: Because = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """All that happened to a request: events, deliveries, attempts. No personal data."""
    catalogue = load_parts(config, mappings).catalogue

    async def read(database: Database) -> tuple[Trace, list[StoredAnswer] | None]:
        trace = await _trace(database, which)
        if answers:
            await _note(database, trace, because, by)
        elif not _on_trial(catalogue, trace.request):
            return trace, None
        return trace, await database.read(requests.answers, trace.request.id)

    with open_database(catalogue.settings) as database:
        trace, said = asyncio.run(read(database))
    if answers:
        print_message(say("personal_data"), err=True)
    if as_json:
        shown = {name: getattr(trace, name) for name in Trace.__slots__}
        emit(shown if said is None else {**shown, "answers": said})
        return
    request = trace.request
    for name, value in (
        ("request", request.id),
        (
            "portal",
            f"{request.portal} {request.teleservice} {request.ref} ({cell(request.number)})",
        ),
        ("commune", request.commune),
        ("gru", request.gru),
        ("gru reference", request.gru_reference),
        ("status", request.status.value),
        ("since", request.status_at),
    ):
        print_value(name, value)
    print_text("")
    table(("time", "what", "state", "detail"), _timeline(trace), say("nothing_happened"))
    if answers and not said:
        print_text("")
        print_message(say("no_answers"))
    for one in said or ():
        print_text("")
        print_message(say("answer_to", n=one.n, action=one.action, delivery=one.delivery_id))
        for line in one.answer.splitlines():
            print_text(f"  {harmless(line)}")


@app.command()
def why(
    which: Which,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say why a request waits, until when, and who can act."""

    async def read(database: Database) -> tuple[tuple[Cause, ...], Mapping[str, str]]:
        trace = await _trace(database, which)
        causes = await causes_of(database, catalogue, trace.request.id, datetime.now(UTC))
        contacts = await contacts_of(database, catalogue, trace.request.commune)
        if not _on_trial(catalogue, trace.request):
            return causes, contacts
        said = await database.read(requests.answers, trace.request.id)
        last = {one.delivery_id: one.answer for one in said}
        causes = tuple(_with_answer(cause, last.get(cause.delivery or "")) for cause in causes)
        return causes, contacts

    catalogue = load_parts(config, mappings).catalogue
    with open_database(catalogue.settings) as database:
        causes, contacts = asyncio.run(read(database))
    if as_json:
        emit([cause.told(language()) for cause in causes])
        return
    for cause in causes:
        print_message(say("why", code=cause.code, what=plain(cause.said.what(language()))))
        for name, value in (
            ("detail", cause.detail or None),
            ("since", cause.since),
            ("next", cause.next_at),
            ("who", cause.who),
            ("do", cause.said.remedy(language())),
        ):
            if value:
                print_message(say(f"why_{name}", value=cell(value)))
    if any(cause.who != Who.NOBODY for cause in causes):
        for role, whom in contacts.items():
            print_message(say("call", who=cell(whom), role=role))


@app.command()
def explain(
    which: Which,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    values: Annotated[
        bool, typer.Option("--values", help="Show the values too: they are personal data.")
    ] = False,
    because: Because = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Show where each field sent to the GRU comes from: target, source, line of the mapping."""
    catalogue = load_parts(config, mappings).catalogue

    async def read(database: Database) -> tuple[Trace, Any]:
        trace = await _trace(database, which)
        event = await database.read(requests.first_event, trace.request.id)
        body = None if event is None else await database.read(requests.event_body, event)
        if values:
            await _note(database, trace, because, by)
        return trace, body

    with open_database(catalogue.settings) as database:
        trace, body = asyncio.run(read(database))
    request, sent = trace.request, _sent(trace)
    if not body:
        raise Conflict(say("erased_request", id=request.id))
    try:
        mapping = catalogue.route(request.portal, request.commune, request.teleservice).mapping
    except Rejected:
        where = {"commune": request.commune, "slug": request.teleservice}
        raise Conflict(say("no_route_now", id=request.id, **where)) from None
    rows = preview(mapping, body)
    if isinstance(rows, Unmappable):
        # The faults name fields and lines, never values.
        raise Conflict(say("unmappable", id=request.id, faults=rows.summary()))
    if values:
        print_message(say("personal_data"), err=True)
    if as_json:
        made = {"mapping": sent.mapping, "release": sent.release_digest} if sent else None
        shown = {"request": request.id, "mapping": mapping.file, "version": mapping.version}
        emit({**shown, "sent_with": made, "fields": _fields(rows, values)})
        return
    version = mapping.version
    print_message(say("explained", id=request.id, file=mapping.file, version=version))
    if sent is not None and (made_with := _made_with(sent)) is not None:
        print_message(say("sent_by", made_with=made_with))
    _print_rows(rows, values)


async def _note(database: Database, trace: Trace, because: str, by: str | None) -> None:
    """Note that somebody sees a citizen's data."""
    told = {"target": trace.request.id, "commune": trace.request.commune}
    await noting(database, "request.reveal", by, because=because.strip(), **told).note()


def _sent(trace: Trace) -> Attempt | None:
    """Return the last attempt to send the creation whose origin is known."""
    tried = [
        attempt
        for one in trace.deliveries
        if one.kind is Kind.SUBMIT
        for attempt in trace.attempts.get(one.id, ())
        if attempt.action == "send" and attempt.mapping is not None
    ]
    return tried[-1] if tried else None


def _on_trial(catalogue: Catalogue, request: StoredRequest) -> bool:
    """Is this a request between test instances, at both ends?"""
    commune = catalogue.communes.get(request.commune)
    gru = None if commune is None else commune.grus.get(request.gru)
    portal = catalogue.portals.get(request.portal)
    return gru is not None and portal is not None and not (gru.production or portal.production)


def _with_answer(cause: Cause, answer: str | None) -> Cause:
    if answer is None or not cause.detail:
        return cause
    return dataclasses.replace(cause, detail=f"{cause.detail}: {answer}")


def _fields(rows: list[PreviewRow], values: bool) -> list[dict[str, Any]]:
    return [
        {"target": r.target, "source": r.source, "line": r.line, "file": r.file}
        | ({"value": r.value} if values else {})
        for r in rows
    ]


def _print_rows(rows: list[PreviewRow], values: bool) -> None:
    headers = ("target", "source", "line", *(("value",) if values else ()))
    table(
        headers,
        [(r.target, r.source, r.place, *((r.value,) if values else ())) for r in rows],
        say("sends_nothing"),
    )


async def _trace(database: Database, which: str) -> Trace:
    """Return the request. Raises NotFound, and Conflict when the text fits several requests."""
    found = await database.read(requests.search, which)
    if not found:
        raise NotFound(say("no_such_request", which=which))
    if len(found) > 1:
        lines = [f"  {r.id}  {r.commune}  {r.teleservice}  {r.ref}" for r in found]
        rows = "\n".join(["", *lines])
        raise Conflict(say("several_requests", which=which, count=len(found), rows=rows))
    trace = await database.read(requests.trace, found[0].id)
    if trace is None:
        raise NotFound(say("no_such_request", which=which))
    return trace


def _made_with(attempt: Attempt) -> Message | None:
    """Return the release and program that made the content of an attempt; None if not known."""
    if attempt.mapping is None:
        return None
    if attempt.release_digest is None:
        return say("made_with", mapping=attempt.mapping)
    return say("made_with_of", mapping=attempt.mapping, release=attempt.release_digest[:12])


def _timeline(trace: Trace) -> list[tuple[object, ...]]:
    lines: list[tuple[datetime, int, tuple[object, ...]]] = []
    for event in trace.events:
        what = say("told_event", kind=str(event.kind), origin=str(event.origin))
        told = (what, event.status, event.key)
        lines.append((event.received_at, 0, told))
    for one in trace.deliveries:
        what = say("told_delivery", kind=one.kind.value, id=one.id, lane=one.lane)
        lines.append((one.created_at, 1, (what, one.state, one.reason)))
        for attempt in trace.attempts.get(one.id, ()):
            detail = f"{attempt.ms} ms, {attempt.outcome}: {attempt.reason}"
            said = say("told_attempt", n=attempt.n, action=str(attempt.action), delivery=one.id)
            if (made_with := _made_with(attempt)) is not None:
                detail = f"{detail}, {made_with.what(language())}"
            lines.append((attempt.started_at, 2, (said, attempt.state, detail)))
    for kept in trace.untold:
        told = (say("told_change", id=kept.id), kept.reason, kept.detail)
        lines.append((kept.received_at, 3, told))
    lines.sort(key=lambda line: (line[0], line[1]))
    return [(at, *rest) for at, _, rest in lines]
