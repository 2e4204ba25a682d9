"""Reads what a client needs of an OpenAPI document: models, constants and operations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

_SCHEMAS = "#/components/schemas/"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
#: A property that is required has this for a default.
REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a value. `word`: text, moment, whole, truth, object, model or list; `models` are
    the names of a model's alternatives, `item` is a list's, `constants` names a text's words."""

    word: str
    models: tuple[str, ...] = ()
    item: Kind | None = None
    nullable: bool = False
    constants: str | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a model; `default` is REQUIRED where there is none."""

    name: str
    kind: Kind
    default: Any
    doc: str


@dataclass(frozen=True, slots=True)
class Model:
    """An object of the contract. `tag`: the `type` by which it is told from its alternatives."""

    name: str
    doc: str
    properties: tuple[Property, ...]
    tag: str | None


@dataclass(frozen=True, slots=True)
class Constants:
    """A list of words: the client has their names, and lets through what is not among them."""

    name: str
    doc: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, in its path or query; a query has a default."""

    name: str
    place: str
    default: str | None
    doc: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that takes JSON or nothing, and answers JSON."""

    name: str
    method: str
    path: str
    doc: str
    parameters: tuple[Parameter, ...]
    body: str | None
    answer: str


@dataclass(frozen=True, slots=True)
class Contract:
    """The clients' content: models `read` from the gateway, and models `written` to it."""

    version: str
    models: tuple[Model, ...]
    constants: tuple[Constants, ...]
    operations: tuple[Operation, ...]
    read: frozenset[str]
    written: frozenset[str]

    def choices(self, names: tuple[str, ...]) -> tuple[dict[str, str], str, str]:
        """Return how alternatives are told apart by their `type`: those of one type each, by that;
        and the name of the other one, with that of its types."""
        chosen = [one for one in self.models if one.name in names]
        (other,) = [one for one in chosen if one.tag is None]
        (types,) = [p.kind.constants for p in other.properties if p.name == "type"]
        if types is None:
            raise ValueError(f"no list of the types of {other.name}")
        return {one.tag: one.name for one in chosen if one.tag is not None}, other.name, types


def read_contract(document: Mapping[str, Any]) -> Contract:
    """Return the contract of a document. Raises KeyError or ValueError for what it does not know
    how to say in a client."""
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    models = tuple(_model(n, s, schemas) for n, s in sorted(schemas.items()) if "properties" in s)
    constants = tuple(
        Constants(name, _doc(schema), tuple(schema["enum"]))
        for name, schema in sorted(schemas.items())
        if "enum" in schema
    )
    operations = tuple(_operations(document["paths"]))
    from_us, to_us = (
        {one.answer for one in operations},
        {one.body for one in operations if one.body},
    )
    for webhook in document["webhooks"].values():
        for operation in webhook.values():
            if "requestBody" in operation:
                from_us.add(_ref(operation["requestBody"]["content"][_JSON]["schema"]))
                to_us.add(_ref(operation["responses"]["2XX"]["content"][_JSON]["schema"]))
    from_us |= {"PivotFailure", "AccessToken"}
    version = document["info"]["version"]
    closed = [_closure(names, models) for names in (from_us, to_us)]
    return Contract(version, models, constants, operations, *closed)


def _model(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Model:
    required = set(schema.get("required", ()))
    found = [
        Property(
            one,
            _kind(inner, schemas),
            REQUIRED if one in required else inner.get("default"),
            inner.get("description", ""),
        )
        for one, inner in schema["properties"].items()
    ]
    # Those without a default come first: both languages want it so.
    found.sort(key=lambda one: (one.default is not REQUIRED, _rank(one.name)))
    tag = schema["properties"].get("type", {}).get("const")
    return Model(name, _doc(schema), tuple(found), tag)


def _rank(name: str) -> int:
    """Return the place of a property: what names the thing first."""
    first = ("key", "token", "id", "result", "type", "reference", "status")
    return first.index(name) if name in first else len(first)


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Kind:
    if "$ref" in schema:
        name = _ref(schema)
        if "enum" in schemas[name]:
            return Kind("text", constants=name)
        return Kind("model", (name,))
    if "anyOf" in schema:
        parts = [one for one in schema["anyOf"] if one.get("type") != "null"]
        kinds = [_kind(one, schemas) for one in parts]
        nullable = len(parts) < len(schema["anyOf"])
        if len(kinds) == 1:
            return replace(kinds[0], nullable=nullable)
        if any(one.word != "model" for one in kinds):
            raise ValueError(f"alternatives that are not all models: {schema}")
        return Kind("model", tuple(name for one in kinds for name in one.models), None, nullable)
    if schema.get("type") == "array":
        return Kind("list", (), _kind(schema["items"], schemas))
    if schema.get("type") == "object":
        return Kind("object")
    if schema.get("type") in ("integer", "boolean"):
        return Kind("whole" if schema["type"] == "integer" else "truth")
    if "enum" in schema or "const" in schema or schema.get("type") == "string":
        return Kind("moment" if schema.get("format") == "date-time" else "text")
    raise ValueError(f"a kind of value that clients do not know: {schema}")


def _operations(paths: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield the calls whose answer is JSON. The token's is the transport's own, as is a file's."""
    for path, methods in sorted(paths.items()):
        for method, operation in sorted(methods.items()):
            answer = operation["responses"].get("200", {}).get("content", {}).get(_JSON)
            content = operation.get("requestBody", {}).get("content", {})
            if answer is None or _FORM in content:
                continue
            yield Operation(
                operation["operationId"],
                method.upper(),
                path,
                operation["description"],
                tuple(
                    Parameter(
                        one["name"],
                        one["in"],
                        one["schema"].get("default"),
                        one["schema"].get("description") or one.get("description", ""),
                    )
                    for one in operation.get("parameters", ())
                    if one["in"] in ("path", "query")
                ),
                _ref(content[_JSON]["schema"]) if content else None,
                _ref(answer["schema"]),
            )


def _closure(names: set[str], models: tuple[Model, ...]) -> frozenset[str]:
    """Return these models, and those that stand within them."""
    by_name = {one.name: one for one in models}
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        for one in by_name[name].properties:
            inner = one.kind.item or one.kind
            left |= set(inner.models) - found
    return frozenset(found)


def _ref(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"]
    return name.removeprefix(_SCHEMAS)


def _doc(schema: Mapping[str, Any]) -> str:
    text: str = schema.get("description", "")
    return re.sub(r"[ \t]*\n[ \t]*", "\n", text.strip())
