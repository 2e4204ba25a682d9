"""`request`: what became of a demand, where each field came from, why it waits."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.explain import PreviewRow, preview
from gateway.cli.language import language
from gateway.cli.output import AsJson, cell, emit, shown_time, table
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_parts,
    load_settings,
    open_database,
)
from gateway.cli.texts import say
from gateway.contracts.connected import contacts_of
from gateway.core.delivery import Kind
from gateway.core.errors import Conflict, NotFound
from gateway.core.messages import harmless
from gateway.core.reasons import Who
from gateway.core.render import Unmappable
from gateway.core.status import Status
from gateway.ops.why import Cause, causes_of
from gateway.store import requests
from gateway.store.engine import Database
from gateway.store.rows import Answered, Attempt, StoredRequest, Trace

app = typer.Typer(help="Requests: list, show, why they wait, explain.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(metavar="ID", help="Our id, the portal's id or number, or the GRU's reference."),
]

#: Below: values of requests are personal data; those that do not print them say so nowhere.
NOTE = "These values are personal data: do not copy them into tickets, mails or logs."


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
    with open_database(load_settings(config, mappings).settings) as database:
        found = asyncio.run(
            database.read(
                requests.listing,
                commune=commune,
                teleservice=teleservice,
                status=status.value if status else None,
                limit=limit,
            )
        )
    if as_json:
        emit(found)
        return
    table(
        ("id", "commune", "teleservice", "portal ref", "status", "since", "gru reference"),
        [
            (r.id, r.commune, r.teleservice, r.ref, r.status, r.status_at, r.gru_reference)
            for r in found
        ],
        "no request",
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
    as_json: AsJson = False,
) -> None:
    """All that happened to a request: events, deliveries, attempts. No personal data."""
    catalogue = load_parts(config, mappings).catalogue

    async def read(database: Database) -> tuple[Trace, list[Answered] | None]:
        trace = await _trace(database, which)
        if not (answers or _on_trial(catalogue, trace.request)):
            return trace, None
        return trace, await database.read(requests.answers, trace.request.id)

    with open_database(catalogue.settings) as database:
        trace, said = asyncio.run(read(database))
    if answers:
        typer.echo(NOTE, err=True)
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
        ("commune", f"{request.commune}, GRU {request.gru}"),
        ("GRU reference", request.gru_reference),
        ("status", f"{request.status.value} since {shown_time(request.status_at)}"),
    ):
        typer.echo(f"{name + ':':15}{cell(value)}")
    typer.echo("")
    table(("time", "what", "state", "detail"), _timeline(trace), "nothing happened")
    if answers and not said:
        typer.echo("\nno far end has said anything of a failure")
    for one in said or ():
        typer.echo(f"\nanswer to attempt {one.n} ({one.action}) of {one.delivery_id}:")
        typer.echo("".join(f"  {harmless(line)}\n" for line in one.answer.splitlines()), nl=False)


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
        typer.echo(f"{cause.code}: {cause.said.what(language())}")
        for name, value in (
            ("detail", cause.detail or None),
            ("since", cause.since),
            ("next", cause.next_at),
            ("who", cause.who),
            ("do", cause.said.remedy(language())),
        ):
            if value:
                typer.echo(say(f"why_{name}", value=cell(value)).what(language()))
    if any(cause.who != Who.NOBODY for cause in causes):
        for role, whom in contacts.items():
            typer.echo(f"call: {cell(whom)} ({role})")


@app.command()
def explain(
    which: Which,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    values: Annotated[
        bool, typer.Option("--values", help="Show the values too: they are personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show where each field sent to the GRU comes from: target, source, line of the mapping."""
    catalogue = load_parts(config, mappings).catalogue

    async def read(database: Database) -> tuple[Trace, Any]:
        trace = await _trace(database, which)
        event = await database.read(requests.first_event, trace.request.id)
        body = None if event is None else await database.read(requests.event_body, event)
        return trace, body

    with open_database(catalogue.settings) as database:
        trace, body = asyncio.run(read(database))
    request, sent = trace.request, _sent(trace)
    if not body:
        raise Conflict(f"request {request.id} has no content any more: it was erased")
    mapping = catalogue.route(request.portal, request.commune, request.teleservice).mapping
    rows = preview(mapping, body)
    if isinstance(rows, Unmappable):
        # The faults name fields and lines, never values.
        raise Conflict(f"the mapping cannot render {request.id}\n{rows.summary()}")
    if values:
        typer.echo(NOTE, err=True)
    if as_json:
        made = {"mapping": sent.mapping, "release": sent.release_digest} if sent else None
        shown = {"request": request.id, "mapping": mapping.file, "version": mapping.version}
        emit({**shown, "sent_with": made, "fields": _fields(rows, values)})
        return
    typer.echo(f"{request.id} by {mapping.file}, version {mapping.version}")
    if sent is not None:
        typer.echo(f"sent{_made_with(sent).removeprefix(',')}")
    _print_rows(rows, values)


def _sent(trace: Trace) -> Attempt | None:
    """Return the last attempt to send the creation of which it is known what made it."""
    tried = [
        attempt
        for one in trace.deliveries
        if one.kind is Kind.SUBMIT
        for attempt in trace.attempts.get(one.id, ())
        if attempt.action == "send" and attempt.mapping is not None
    ]
    return tried[-1] if tried else None


def _on_trial(catalogue: Catalogue, request: StoredRequest) -> bool:
    """Is this a request of test instances, at both ends?"""
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
        "the mapping sends nothing",
    )


async def _trace(database: Database, which: str) -> Trace:
    """Raises NotFound, and Conflict when the text fits several requests."""
    found = await database.read(requests.search, which)
    if not found:
        raise NotFound(f"no request {which}")
    if len(found) > 1:
        lines = [f"  {r.id}  {r.commune}  {r.teleservice}  {r.ref}" for r in found]
        raise Conflict("\n".join([f"{which} fits {len(found)} requests; name one:", *lines]))
    trace = await database.read(requests.trace, found[0].id)
    if trace is None:
        raise NotFound(f"no request {which}")
    return trace


def _made_with(attempt: Attempt) -> str:
    if attempt.mapping is None:
        return ""
    release = attempt.release_digest
    return f", by {attempt.mapping}" + (f" of release {release[:12]}" if release else "")


def _timeline(trace: Trace) -> list[tuple[object, ...]]:
    lines: list[tuple[datetime, int, tuple[object, ...]]] = []
    for event in trace.events:
        told = (f"event {event.kind} from {event.origin}", event.status, event.key)
        lines.append((event.received_at, 0, told))
    for one in trace.deliveries:
        what = f"{one.kind.value} {one.id} on {one.lane}"
        lines.append((one.created_at, 1, (what, one.state, one.reason)))
        for attempt in trace.attempts.get(one.id, ()):
            detail = f"{attempt.ms} ms, {attempt.outcome}: {attempt.reason}"
            detail += _made_with(attempt)
            tried = (f"attempt {attempt.n} ({attempt.action}) of {one.id}", attempt.state, detail)
            lines.append((attempt.started_at, 2, tried))
    for kept in trace.untold:
        told = (f"change {kept.id} from gru, not told yet", kept.reason, kept.detail)
        lines.append((kept.received_at, 3, told))
    lines.sort(key=lambda line: (line[0], line[1]))
    return [(at, *rest) for at, _, rest in lines]
