"""`check`: looks for the form, with the fields and actions that the options name. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from adapters.publik.client import WcsClient
from adapters.publik.options import PublikOptions
from adapters.publik.reading import request_number, status_names
from adapters.publik.texts import say
from gateway.sdk import Message, Note, Outcome
from gateway.sdk.publik.formdata_state import FormdataState, hook_action

#: The path of an option in the YAML.
At = tuple[str | int, ...]


async def check_options(
    options: PublikOptions, wcs: WcsClient, *, production: bool
) -> Sequence[Note]:
    """Check the form's definition, its list, and the rights of our account on a request."""
    notes: list[Note] = []
    if production and options.endpoint.startswith("http:"):
        notes.append(Note("warning", say("no_https")))
    schema = await wcs.schema()
    if not isinstance(schema, dict):
        failure = schema if isinstance(schema, Outcome) else None
        return [*notes, _fault(say("form", form=options.form), failure, production)]
    notes += definition_notes(options, schema)
    rows = await wcs.rows({"limit": "1"})
    if isinstance(rows, Outcome):
        return [*notes, _fault(say("list"), rows, production)]
    notes.append(Note("ok", say("list")))
    number = request_number(rows[0]) if rows else None
    if number is None:
        return [*notes, Note("ok", say("no_request_yet"))]
    state = await wcs.state(number)
    if not isinstance(state, FormdataState):
        return [*notes, _fault(say("one_request"), state, production)]
    for at, hook in _hooks(options):
        if hook_action(hook) not in state.actions:
            notes.append(Note("fault", say("no_right", hook=hook), at=at))
    return notes


def definition_notes(options: PublikOptions, schema: Mapping[str, Any]) -> list[Note]:
    """Return the notes that compare the options with the form's definition."""
    fields, workflow = named_fields(schema), schema.get("workflow")
    notes = [Note("ok", say("form_there", form=options.form, count=len(fields)))]
    if schema.get("disabled"):
        notes.append(Note("fault", say("disabled", form=options.form)))
    for at, name in _wanted_fields(options):
        if name not in fields:
            notes.append(_lacking("no_field", name, fields, at))
        elif at[0] == "file_fields" and fields[name].get("type") != "file":
            notes.append(Note("fault", say("no_file_field", name=name), at=at))
    if fields.get(options.reference_field, {}).get("anonymise") == "final" and options.erase_hook:
        said = say("reference_erased", name=options.reference_field)
        notes.append(Note("warning", said, at=("reference_field",)))
    actions = workflow.get("actions") if isinstance(workflow, dict) else None
    named = actions if isinstance(actions, dict | list) else ()
    there = {one.removeprefix("global-action:"): one for one in named if isinstance(one, str)}
    for at, hook in _hooks(options):
        if hook not in there:
            notes.append(_lacking("no_hook", hook, there, at))
    names = status_names(schema)
    for n, one in enumerate(options.hidden_statuses):
        if one not in names:
            notes.append(_lacking("no_status", one, names, ("hidden_statuses", n)))
    told = ", ".join(name for one, name in names.items() if one not in options.hidden_statuses)
    return [*notes, Note("ok", say("statuses", names=told))]


def _wanted_fields(options: PublikOptions) -> Iterator[tuple[At, str]]:
    """Yield each field that the options name, with its place in the YAML."""
    yield ("reference_field",), options.reference_field
    for n, name in enumerate(options.file_fields):
        yield ("file_fields", n), name
    if options.done_field:
        yield ("done_field",), options.done_field


def _hooks(options: PublikOptions) -> Iterator[tuple[At, str]]:
    """Yield each global action that the options name, once, with its first place in the YAML."""
    named = {hook: ("hooks", kind.value) for kind, hook in reversed(options.hooks.items())}
    yield from ((at, hook) for hook, at in named.items())
    if options.erase_hook:
        yield ("erase_hook",), options.erase_hook


def named_fields(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the named fields of a form and of its workflow, by name."""
    workflow = schema.get("workflow")
    parts = (schema, workflow) if isinstance(workflow, dict) else (schema,)
    lists = [part.get("fields") for part in parts]
    listed = [one for fields in lists if isinstance(fields, list) for one in fields]
    named = [(one.get("varname"), one) for one in listed if isinstance(one, dict)]
    return {name: one for name, one in named if isinstance(name, str) and name}


def _lacking(word: str, name: str, there: Mapping[str, Any], at: At) -> Note:
    near = get_close_matches(name, sorted(there), n=1, cutoff=0.55)
    if near:
        return Note("fault", say(f"{word}_near", name=name, near=near[0]), at=at)
    return Note("fault", say(word, name=name), at=at)


def _fault(what: Message, failure: Outcome | None, production: bool) -> Note:
    if failure is None:
        return Note("fault", say("no_schema"))
    return Note.fault(what, failure, aloud=not production)


__all__ = ["check_options", "definition_notes", "named_fields"]
