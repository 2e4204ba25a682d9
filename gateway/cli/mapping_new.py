"""`mapping new`: write a first mapping from a form's schema or from two examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.catalogue import registry
from gateway.cli.authoring import file_doubts, path_of, read_author_file, read_formdata, unread
from gateway.cli.language import language
from gateway.cli.output import print_message, writing
from gateway.cli.portal import FORM
from gateway.cli.setting import MAPPINGS, Mappings
from gateway.cli.texts import say
from gateway.contracts.drafting import Draft, from_examples, from_schema
from gateway.core.errors import Conflict, NotFound
from gateway.core.request import Event, EventKind
from gateway.flow.canonical import attachments_of, request_of


def new(
    mapping: Annotated[str, typer.Argument(metavar="MAPPING", help="teleservice/name, or a file.")],
    adapter: Annotated[str, typer.Option(help="The adapter that it is for.")],
    form: Annotated[
        Path | None, typer.Option(help="The form's schema (`portal form` saves it).")
    ] = None,
    formdata: Annotated[
        Path | None, typer.Option(help="With --payload: a demand as w.c.s. sends it.")
    ] = None,
    payload: Annotated[
        Path | None, typer.Option(help="With --formdata: what the GRU takes of it, in JSON.")
    ] = None,
    mappings: Mappings = MAPPINGS,
) -> None:
    """Write a mapping's first file from a form's schema and an adapter's shape, or from two
    examples: a demand, and what the GRU takes of it. Never over another file."""
    path = path_of(mapping, mappings)
    if path.exists():
        raise Conflict(say("new_there", file=path.as_posix()))
    if adapter not in registry.survey().adapters:
        known = tuple(sorted(registry.survey().adapters))
        raise NotFound(say("new_adapter", adapter=adapter, known=known))
    draft = Draft(path.absolute().parent.name, adapter)
    if formdata is not None and payload is not None:
        text = from_examples(draft, _document(formdata, draft.teleservice), _json(payload))
    else:
        text = from_schema(draft, _schema(form or path.with_name(FORM)))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print_message(say("new_written", file=path.as_posix()))
    for doubt in file_doubts(path):
        print_message(say("warning", told=doubt.placed(language())))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_author_file(path, say("new_no_form")))
    except ValueError as error:
        raise unread(path, say("formdata_json"), getattr(error, "lineno", 0)) from None
    if not isinstance(found, dict):
        raise unread(path, say("formdata_json"))
    return found


def _schema(path: Path) -> dict[str, Any]:
    found = _json(path)
    if not isinstance(found.get("fields"), list):  # of a demand, it is an object
        raise unread(path, say("new_not_schema"))
    return found


def _document(path: Path, teleservice: str) -> dict[str, Any]:
    parsed, _ = read_formdata(path)
    attachments, _ = attachments_of(parsed.files)
    event = Event("creation", EventKind.CREATION)
    request = request_of(
        "TDG-0000000000000000",
        ("new", "69000", teleservice),
        parsed,
        event,
        attachments,
        datetime.now(UTC),
    )
    document: dict[str, Any] = request.document()
    return document
