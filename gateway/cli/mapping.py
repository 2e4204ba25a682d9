"""`mapping`: check mapping files, and see what one makes of a real formdata."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue import mapping_files
from gateway.catalogue.explain import preview as preview_rows
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, table
from gateway.cli.setting import MAPPINGS, Mappings
from gateway.cli.texts import counted, say
from gateway.core.errors import ConfigurationFault, Fault, NotFound, Rejected
from gateway.core.mapping import RequestMapping
from gateway.core.messages import Message
from gateway.core.render import Unmappable
from gateway.core.request import Event, EventKind
from gateway.flow.canonical import attachments_of, request_of
from gateway.wire.formdata import Formdata, parse_formdata


class Unread(ConfigurationFault):
    """A file that a command was given is not there, or cannot be read."""


app = typer.Typer(help="Mapping files: lint, preview.", no_args_is_help=True)


@app.command()
def lint(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...")] = None,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Check mapping files (all by default): faults and warnings at file:line. Exit code 1."""
    faults: list[Fault] = []
    warnings: list[Fault] = []
    chosen = files or sorted(mappings.glob("*/*.yaml"))
    if not chosen:
        raise NotFound(f"there is no mapping in {mappings}/")
    for path in chosen:
        try:
            warnings += mapping_files.lint(_load(path))
        except ConfigurationFault as error:
            faults += error.faults
    if as_json:
        emit({"ok": not faults, "files": len(chosen), "faults": faults, "warnings": warnings})
    else:
        for fault in sorted(faults):
            typer.echo(fault.told(language()))
        for warning in sorted(warnings):
            said = say("warning", told=warning.told(language()))
            typer.echo(said.what(language()))
        told = {"faults": counted("faults", len(faults))}
        told |= {"files": counted("files", len(chosen))}
        said = say("linted", **told, warnings=counted("warnings", len(warnings)))
        typer.echo(said.what(language()))
    if faults:
        raise typer.Exit(Exit.NO)


@app.command()
def preview(
    mapping: Annotated[str, typer.Argument(help="teleservice/name, or a file.")],
    formdata: Annotated[Path, typer.Argument(metavar="FORMDATA.json", help="As w.c.s. sends it.")],
    mappings: Mappings = MAPPINGS,
    commune: Annotated[str, typer.Option(help="INSEE code to render it for.")] = "69000",
    event: Annotated[EventKind, typer.Option(help="Which rules.")] = EventKind.CREATION,
    as_json: AsJson = False,
) -> None:
    """Show what a mapping makes of a formdata: each field, its value, its source, its line."""
    try:
        loaded = _load(_path_of(mapping, mappings))
        parsed = _formdata(formdata)
    except Unread as error:
        raise NotFound(error.faults[0].told(language())) from None
    attachments, _ = attachments_of(parsed.files)
    request = request_of(
        "TDG-0000000000000000",
        ("preview", commune, loaded.teleservice),
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
            typer.echo(rows.summary(), err=True)
        raise typer.Exit(Exit.NO)
    if as_json:
        emit({"ok": True, "mapping": loaded.file, "faults": [], "fields": rows})
        return
    table(
        ("target", "value", "source", "line"),
        [(row.target, row.value, row.source, row.line) for row in rows],
        "the mapping sends nothing for this event",
    )


def _path_of(name: str, mappings: Path) -> Path:
    given = Path(name)
    return given if given.suffix in (".yaml", ".yml") else mappings / f"{name}.yaml"


def _load(path: Path) -> RequestMapping:
    """Raises ConfigurationFault: Unread for a file that is not there or cannot be read."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise _unread(path, say("no_mapping")) from None
    except IsADirectoryError:
        raise _unread(path, say("mapping_folder")) from None
    except OSError:
        raise _unread(path, say("unread_file")) from None
    except UnicodeDecodeError:
        raise _unread(path, say("file_encoding")) from None
    return mapping_files.load_mapping(text, path.as_posix())


def _formdata(path: Path) -> Formdata:
    """Return the formdata that a file holds. Raises Unread: what a portal would be told of it is
    French, so it is quoted."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise _unread(path, say("no_formdata")) from None
    except OSError:
        raise _unread(path, say("unread_file")) from None
    try:
        json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise _unread(path, say("file_encoding")) from None
    except json.JSONDecodeError as error:
        raise _unread(path, say("formdata_json"), error.lineno) from None
    except RecursionError:
        pass  # Told by the depth, below.
    try:
        return parse_formdata(body, "application/json", limits=DEFAULT_LIMITS)
    except Rejected as error:
        raise _unread(path, say("formdata_refused", code=error.code, told=error.text)) from None


def _unread(path: Path, why: Message, line: int = 0) -> Unread:
    return Unread([Fault(path.as_posix(), line, why)])
