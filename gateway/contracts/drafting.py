"""A mapping's first file: from a form's schema, or from a demand and what the GRU takes of it.

A draft loads and says what it could not know; nobody should use it unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.contracts.form_schema import FormField, Schema, actions_of, fields_of, workflow_in
from gateway.core.convert import (
    CannotConvert,
    ForeignPhone,
    PhoneForm,
    coordinates_of,
    date_text,
    phone_text,
    text_of,
)
from gateway.core.request import Json

#: A rule as it is written: a path, or options.
Written = str | dict[str, Any]
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
_PARIS: Final = ZoneInfo("Europe/Paris")
_DATES: Final = ("%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d-%m-%Y")
_CHECK: Final = "à vérifier : aucune valeur de la demande ne lui ressemble"
#: Fields of a form that nobody fills in.
_NO_FIELDS: Final = frozenset({"title", "subtitle", "comment", "page"})
#: Leaves of an example that are looked at.
_MOST: Final = 300
_ENDINGS: Final = ("_raw", "_structured", "_digests")
#: The actions of the workflow that we write.
_HOOK: Final = "retour_commune"
_DOCUMENT_HOOK: Final = "document_commune"
_NO_DOCUMENTS: Final = "les documents de la commune n'iront pas à l'usager."
_ABOUT: Final = "Une première écriture, à relire ligne par ligne : mapping lint, preview, test."


@dataclass(frozen=True, slots=True)
class Draft:
    """The head of a mapping to write."""

    teleservice: str
    adapter: str


def from_schema(draft: Draft, schema: Schema) -> str:
    """Return a mapping that sends each field of a form, by the shape that the adapter takes."""
    every = fields_of(schema)
    rows = {name for name in every if "." in name}
    blocks = {name.partition(".")[0] for name in rows}
    tables: dict[str, dict[str, Any]] = {}
    files = [n for n, f in every.items() if f.type == "file" and n not in rows]
    rules: dict[str, Written] = {}
    for name, field in every.items():
        if name in rows or field.type in _NO_FIELDS or field.type in ("file", "map"):
            continue
        if name in blocks:
            inside = [every[one] for one in sorted(rows) if one.startswith(f"{name}.")]
            each = {one.varname.partition(".")[2]: _rule(one, tables, "") for one in inside}
            files += [f"{name}_raw[*].{one}" for one in _files_in(inside)]
            each = {key: rule for key, rule in each.items() if key not in _files_in(inside)}
            rules[name] = {"rows": f"fields.{name}_raw", "each": each}
        else:
            rules[name] = _rule(field, tables, "fields.")
    place = any(field.type == "map" for field in every.values())
    shaped = _shaped(draft.adapter, rules, every, place=place)
    shown = isinstance(workflow_in(schema).get("actions"), dict)
    return _written(draft, shaped, tables, files, actions_of(schema) if shown else None)


def from_examples(draft: Draft, document: Json, payload: Json) -> str:
    """Return a mapping that makes `payload` of a demand's `document`, as far as values tell."""
    known = list(_leaves(document, ""))[:_MOST]
    rules = {
        target: _found(leaf, known, document) for target, leaf in list(_leaves(payload, ""))[:_MOST]
    }
    return _written(draft, rules, {}, [], None)


# --- from a schema ----------------------------------------------------------------------------


def _rule(field: FormField, tables: dict[str, dict[str, Any]], root: str) -> Written:
    name = field.varname.rpartition(".")[2]
    path = root + name
    match field.type:
        case "text":
            return {"path": path, "rich_text": "text"}
        case "date":
            return {"path": path, "date": "%Y-%m-%d"}
        case "bool":
            return {"path": path, "type": "boolean"}
        case "numeric":
            return {"path": path, "type": "number"}
        case "item" if field.items:
            tables[name] = {"entries": {item: item for item in field.items}}
            return {"path": f"{path}_raw", "table": name}
        case "item" | "items":
            return f"{path}_raw"
        case _:
            return path


def _files_in(fields: Sequence[FormField]) -> list[str]:
    return [one.varname.rpartition(".")[2] for one in fields if one.type == "file"]


def _shaped(
    adapter: str, rules: dict[str, Written], fields: Mapping[str, FormField], *, place: bool
) -> dict[str, Written]:
    """Put the fields where the adapter takes them."""
    if adapter != "open311":
        shaped: dict[str, Written] = {
            "external_id": {"path": "id", "required": True},
            "submitted_at": {"path": "submitted_at", "date": "iso"},
        }
        if place:
            shaped |= {"location.lat": "location.lat", "location.lon": "location.lon"}
        return shaped | rules
    lists = [n for n, f in fields.items() if f.type == "item" and n in rules]
    kind = next((n for n in lists if not n.startswith("commune")), None)
    text = next((n for n, f in fields.items() if f.type == "text" and n in rules), None)
    service = rules.pop(kind) if kind is not None else {"constant": "A-REMPLIR"}
    options = {"path": service} if isinstance(service, str) else service
    shaped = {"service_code": options if kind is None else {**options, "required": True}}
    if place:
        for target, axis in (("lat", "lat"), ("long", "lon")):
            shaped[target] = {"path": f"location.{axis}", "type": "number", "required": True}
    if text is not None:
        rules.pop(text)
        limits = {"rich_text": "text", "max_length": 4000, "too_long": "cut"}
        shaped["description"] = {"path": f"fields.{text}", **limits}
    shaped["attributes.toodego_ref"] = {"path": "id", "required": True}
    return shaped | {f"attributes.{name}": rule for name, rule in rules.items()}


# --- from two examples ------------------------------------------------------------------------


def _leaves(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield each value with its path; a list of plain values is one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if path == "fields" and key.endswith(_ENDINGS[1:]):
                continue
            name = key if re.fullmatch(r"[A-Za-z_]\w*", key) else json.dumps(key)
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif not isinstance(value, list) or not any(isinstance(one, dict | list) for one in value):
        yield path, value


def _found(leaf: Json, known: Sequence[tuple[str, Json]], document: Json) -> Written:
    if leaf is None or leaf in ("", [], {}):
        return {"constant": leaf or "A-REMPLIR", "note": _CHECK}
    for path, value in known:
        if value == leaf and isinstance(value, bool) == isinstance(leaf, bool):
            return path
    kind = "number" if isinstance(leaf, int | float) and not isinstance(leaf, bool) else None
    for path, value in known:
        if (rule := _converted(leaf, path, value, kind)) is not None:
            return rule
    if isinstance(document, dict) and (rule := _place(leaf, document.get("location"))) is not None:
        return rule
    if isinstance(leaf, str) and (rule := _joined(leaf, known)) is not None:
        return rule
    return {"constant": leaf, "note": _CHECK}


def _converted(leaf: Json, path: str, value: Json, kind: str | None) -> Written | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not value:
        return None
    try:
        if text_of(value).strip() == text_of(leaf).strip():
            return {"path": path, "type": kind or "text"}
    except CannotConvert:
        return None
    for form in _DATES:
        if _of(date_text, value, form, _PARIS) == leaf:
            return {"path": path, "date": form}
    for phone in PhoneForm:
        if _of(phone_text, value, phone, ForeignPhone.LEAVE) == leaf:
            return {"path": path, "phone": phone.value}
    return None


def _place(leaf: Json, location: Json) -> Written | None:
    for system in ("EPSG:2154", "EPSG:3946"):
        for axis in ("x", "y"):
            found = _of(coordinates_of, location, system, axis, 0)
            near = isinstance(leaf, int | float) and isinstance(found, int | float)
            if near and abs(leaf - found) <= 1:
                rule = {"path": "location", "coordinates": system, "axis": axis}
                return rule | ({"decimals": 0} if isinstance(leaf, int) else {})
    return None


def _joined(leaf: str, known: Sequence[tuple[str, Json]]) -> Written | None:
    texts = [(path, value) for path, value in known if isinstance(value, str) and value]
    for first, one in texts:
        if not leaf.startswith(one):
            continue
        for second, other in texts:
            between = leaf[len(one) : len(leaf) - len(other)]
            if leaf.endswith(other) and len(leaf) > len(other) and not re.search(r"\w", between):
                return {"join": [first, second], "with": between}
    return None


def _of(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except CannotConvert:
        return None


# --- writing ----------------------------------------------------------------------------------


def _written(
    draft: Draft,
    rules: Mapping[str, Written],
    tables: Mapping[str, Mapping[str, Any]],
    files: Sequence[str],
    actions: frozenset[str] | None,
) -> str:
    lines = [
        "# yaml-language-server: $schema=../mapping.schema.json",
        "mapping: 1",
        f"teleservice: {draft.teleservice}",
        f"adapter: {draft.adapter}",
        "version: 1",
        f"description: {json.dumps(_ABOUT, ensure_ascii=False)}",
    ]
    if tables:
        lines += ["", "tables:"]
        for name, table in tables.items():
            lines += [f"  {_flow(name)}:", f"    entries: {_flow(dict(table['entries']))}"]
    lines += ["", "submit:"]
    lines += [f"  {_flow(target)}: {_flow(rule)}" for target, rule in rules.items()]
    if files:
        lines += ["", "attachments:", f"  fields: {_flow(list(files))}"]
    lines += [
        "",
        "amend:",
        "  message: {body: event.message}",
        "  change: {body: 'join(`\"\\n\"`, changes[].text)'}",
        '  cancellation: {body: {constant: "L\'usager a annulé sa demande."}}',
        "",
        "# Les mots de gauche sont ceux de la GRU.",
        "statuses:",
        "  open: accepted",
        "  closed: done",
        "unknown_status: park",
        "\nportal:",
        f"  hook: {_HOOK}",
    ]
    if actions is not None and _DOCUMENT_HOOK not in actions:
        lines.append(f"  # Ce workflow n'a pas d'action {_DOCUMENT_HOOK} : {_NO_DOCUMENTS}")
    else:
        lines.append(f"  document_hook: {_DOCUMENT_HOOK}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """Write a value in YAML's flow style, quoted wherever it might be read as another."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
