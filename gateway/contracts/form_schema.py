"""The schema of a portal's form, as w.c.s. gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.outcome import Outcome
from gateway.core.request import Json
from gateway.wire.portal import PortalClient

#: The prefix of w.c.s. for a data source that is a model of cards.
CARDS = "carddef:"
Schema = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class FormField:
    """A field by its name. `items` are a list's own options, `source` the data source of others."""

    varname: str
    label: str
    type: str
    items: tuple[str, ...]
    source: str = ""


async def read_schema(client: PortalClient, slug: str) -> dict[str, Json] | Outcome:
    """Read a form's schema, with the options that come from the portal's own cards. w.c.s. names
    the data source of each list, but shows the content of cards alone."""
    schema = await client.schema(slug)
    fields = schema.get("fields") if isinstance(schema, dict) else None
    for field in fields if isinstance(fields, list) else ():
        source = _source(field) if isinstance(field, dict) else ""
        if source.startswith(CARDS):
            options = await client.card_ids(*source.removeprefix(CARDS).split(":", 1))
            if isinstance(options, tuple):
                field["items"] = list(options)
    return schema


def field_names(schema: Schema) -> frozenset[str]:
    """Return the names of a form's fields; `block.field` within a block."""
    return frozenset(fields_of(schema))


def seen_of(schema: Schema) -> tuple[frozenset[str], frozenset[str]]:
    """Return the backoffice fields of a form's workflow by name, and its statuses by id."""
    fields = fields_of({"fields": workflow_in(schema).get("fields")})
    return frozenset(fields), frozenset(statuses_of(schema))


def fields_of(schema: Schema) -> dict[str, FormField]:
    """Return the fields by name; `block.field` within a block."""
    return {one.varname: one for one in _walk(schema.get("fields"), "")}


def _walk(fields: Json, above: str) -> Iterator[FormField]:
    for one in fields if isinstance(fields, list) else ():
        if not isinstance(one, dict) or not one.get("varname"):
            continue
        name = f"{above}{one['varname']}"
        items = one.get("items")
        yield FormField(
            name,
            str(one.get("label") or ""),
            str(one.get("type") or ""),
            tuple(map(_text, items)) if isinstance(items, list) else (),
            _source(one),
        )
        block = one.get("schema") or one.get("block")
        if isinstance(block, dict):
            yield from _walk(block.get("fields"), f"{name}.")


def _source(field: Mapping[str, Json]) -> str:
    """Return the data source of a list's options; empty for a list with its own."""
    source = field.get("data_source")
    return str(source.get("type") or "") if isinstance(source, dict) else ""


def _text(item: Any) -> str:
    return str(item.get("id") or item.get("text")) if isinstance(item, dict) else str(item)


def actions_of(schema: Schema) -> frozenset[str]:
    """Return every name of a global action in the schema."""
    actions = workflow_in(schema).get("actions")
    found: set[str] = set()
    if isinstance(actions, dict):
        for key, value in actions.items():
            found.add(key.rpartition(":")[2])
            found.update(map(str, value.values()) if isinstance(value, dict) else [str(value)])
    return frozenset(found)


def workflow_in(schema: Schema) -> Mapping[str, Json]:
    """Return the schema's workflow; empty where it has none."""
    workflow = schema.get("workflow")
    return workflow if isinstance(workflow, dict) else {}


def statuses_of(schema: Schema) -> dict[str, str]:
    """Return the names of the workflow's statuses by id."""
    statuses = workflow_in(schema).get("statuses")
    return {
        str(one.get("id")): str(one.get("name") or "")
        for one in (statuses if isinstance(statuses, list) else ())
        if isinstance(one, dict)
    }
