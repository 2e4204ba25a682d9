"""`mapping`: check mapping files, and see what one makes of a real formdata."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from structlog.testing import capture_logs

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.explain import preview as preview_rows
from gateway.catalogue.mapping_files import mapping_of
from gateway.cli import mapping_cases, mapping_new, mapping_upgrade
from gateway.cli.authoring import (
    UnreadableInput,
    as_it_lies,
    author_bundle,
    bundle_name,
    file_doubts,
    load_file,
    path_of,
    read_formdata,
)
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, cell, emit, print_message, print_text, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings
from gateway.cli.texts import counted, say
from gateway.contracts.case_player import Consequences
from gateway.contracts.compare import flat
from gateway.contracts.previewing import preview_calls
from gateway.core.errors import ConfigurationFault, Fault, NotFound
from gateway.core.messages import harmless
from gateway.core.render import Unmappable
from gateway.core.request import Event, EventKind
from gateway.flow.canonical import attachments_of, request_of

Named = Annotated[str, typer.Argument(metavar="MAPPING", help="teleservice/name, or a file.")]

app = typer.Typer(
    help="Mapping files: lint, test, coverage, preview, explain, diff, new, upgrade.",
    no_args_is_help=True,
)
app.command("test")(mapping_cases.play_cases)
app.command()(mapping_cases.coverage)
app.command()(mapping_cases.explain)
app.command()(mapping_cases.diff)
app.command()(mapping_new.new)
app.command("upgrade")(mapping_upgrade.upgrade_files)


@app.command()
def lint(
    files: Annotated[list[str] | None, typer.Argument(metavar="MAPPING")] = None,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Check mapping files (all by default): faults and warnings at file:line:column, all at once.
    Exit code 1.

    A form's schema that was saved beside (`portal form`) is held against them.
    """
    faults: list[Fault] = []
    warnings: list[Fault] = []
    named = [Path(one) if Path(one).exists() else path_of(one, mappings) for one in files or ()]
    chosen = named or sorted(mappings.glob("*/*.yaml"))
    if not chosen:
        raise NotFound(say("no_mapping_here", folder=mappings.as_posix()))
    for path in chosen:
        try:
            warnings += file_doubts(path)
        except ConfigurationFault as error:
            faults += error.faults
    faults, warnings = sorted(set(faults)), sorted(set(warnings))
    if as_json:
        emit({"ok": not faults, "files": len(chosen), "faults": faults, "warnings": warnings})
    else:
        for fault in faults:
            print_text(fault.placed(language()))
        for warning in warnings:
            print_message(say("warning", told=warning.placed(language())))
        told = {"faults": counted("faults", len(faults))}
        told |= {"files": counted("files", len(chosen))}
        print_message(say("linted", **told, warnings=counted("warnings", len(warnings))))
    if faults:
        raise typer.Exit(Exit.NO)


@app.command()
def preview(
    mapping: Named,
    formdata: Annotated[Path, typer.Argument(metavar="FORMDATA.json", help="As w.c.s. sends it.")],
    mappings: Mappings = MAPPINGS,
    config: Config = CONFIG,
    commune: Annotated[
        str | None, typer.Option(help="INSEE code of whose GRU it is; else the cases' bench.")
    ] = None,
    event: Annotated[EventKind, typer.Option(help="Which rules.")] = EventKind.CREATION,
    as_json: AsJson = False,
) -> None:
    """Show what a mapping makes of a formdata: each field with its source and line, then the calls
    that the adapter would make of it. Nothing is sent, no secret is read.

    Of a later event, what the citizen does is invented.
    """
    path = path_of(mapping, mappings)
    try:
        loaded = load_file(path)
        parsed, document = read_formdata(formdata)
    except UnreadableInput as error:
        raise NotFound(error.faults[0].message) from None
    attachments, _ = attachments_of(parsed.files)
    request = request_of(
        "TDG-0000000000000000",
        ("preview", commune or "69000", loaded.teleservice),
        parsed,
        Event(event.value, event),
        attachments,
        datetime.now(UTC),
    )
    rows = preview_rows(loaded, request.document(), event)
    if isinstance(rows, Unmappable):
        if as_json:
            emit({"ok": False, "mapping": loaded.file, "faults": rows.faults, "fields": []})
        else:
            print_text(rows.summary(), err=True)
        raise typer.Exit(Exit.NO)
    observed = _calls(path, config, document, event, commune)
    if event is not EventKind.CREATION and observed is not None and observed.document is not None:
        shown = preview_rows(loaded, observed.document, event)
        rows = rows if isinstance(shown, Unmappable) else shown
    if as_json:
        calls = observed and {"calls": observed.calls, "problem": _problem(observed)}
        emit({"ok": True, "mapping": loaded.file, "faults": [], "fields": rows} | (calls or {}))
        return
    table(
        ("target", "value", "source", "line"),
        [(row.target, row.value, row.source, row.place) for row in rows],
        say("preview_nothing"),
    )
    _print_calls(observed)


def _calls(
    path: Path, config: Path, document: Any, event: EventKind, commune: str | None
) -> Consequences | None:
    """Return the calls of the adapter; None where no bench says what GRU there is."""
    bundle = author_bundle(path)
    with as_it_lies(path, config), capture_logs():  # the logs are of nobody's request
        if commune is not None:
            bundle |= {
                file: text
                for file, text in read_bundle(config, path.parent.parent).items()
                if file not in bundle
            }
        mapping = mapping_of(bundle, bundle_name(path))
        return asyncio.run(preview_calls(bundle, mapping, document, event, commune))


def _problem(observed: Consequences) -> str | None:
    if observed.problem is not None:
        return observed.problem.told(language())
    stopped = observed.stopped
    return None if stopped is None else f"{stopped.reason}: {stopped.detail}".rstrip(": ")


def _print_calls(observed: Consequences | None) -> None:
    if observed is None:
        print_text("")
        print_message(say("preview_no_bench"))
        return
    for call in observed.calls:
        query = f"?{urlencode(call.query, doseq=True, safe='{}')}" if call.query else ""
        print_text(f"\n{call.method} {call.host}{call.path}{query}")
        for name, value in call.headers.items():
            print_text(f"  {name}: {harmless(value)}")
        for name, value in flat(call.body).items() if call.body is not None else ():
            print_text(f"    {name or '-'} = {cell(value)}")
        for file in call.files:
            told = (
                f"{file.filename} ({file.content_type}, {file.size} B, sha256 {file.sha256[:12]})"
            )
            print_text(f"    {say('preview_file', file=told).what(language())}")
        if not call.planned:
            print_text(f"  {say('preview_unanswered').told(language())}")
    if (problem := _problem(observed)) is not None:
        print_text(f"\n{harmless(problem)}")
