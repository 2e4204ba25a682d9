"""Writes the contract in PHP 8.1: readonly classes, and a method for each call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clients.generate.document import (
    REQUIRED,
    Constants,
    Contract,
    Kind,
    Model,
    Operation,
    Property,
)

_TYPES = {
    "text": "string",
    "moment": "\\DateTimeImmutable",
    "whole": "int",
    "truth": "bool",
    "object": "array",
    "list": "array",
}
_HEAD = """\
<?php

// {what} of the pivot contract {version}.
// Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited.

declare(strict_types=1);

namespace Toodego\\Pivot;
"""


def php_files(contract: Contract) -> dict[str, str]:
    """Return the generated files of the library, by their names."""
    return {"Models.php": _models(contract), "PivotClient.php": _calls(contract)}


def _models(contract: Contract) -> str:
    lines = [_HEAD.format(what="The bodies", version=contract.version)]
    lines.append(f"const VERSION = {_quoted(contract.version)};")
    for constants in contract.constants:
        lines += _constants(constants)
    for model in contract.models:
        if model.name in contract.read | contract.written:
            lines += _model(model, contract)
    return "\n".join(lines) + "\n"


def _constants(constants: Constants) -> Iterator[str]:
    yield ""
    yield _comment(constants.doc)
    yield f"final class {constants.name}\n{{"
    yield f"    public const ALL = [{', '.join(map(_quoted, constants.words))}];"
    for word in constants.words:
        yield f"    public const {word.rpartition('.')[2].upper()} = {_quoted(word)};"
    yield "}"


def _model(model: Model, contract: Contract) -> Iterator[str]:
    yield ""
    yield _comment(model.doc)
    yield f"final class {model.name}\n{{"
    yield from _constructor(model)
    if model.name in contract.read:
        yield ""
        yield _comment(
            "From JSON. Throws Unreadable; what is not known is passed over."
            "\n\n@param array<string, mixed> $raw",
            "    ",
        )
        yield "    public static function read(array $raw): self\n    {"
        yield "        return new self("
        yield from (f"            {_read(one, contract)}," for one in model.properties)
        yield "        );\n    }"
    if model.name in contract.written:
        yield ""
        yield _comment(
            "As JSON has it, without what was left out.\n\n@return array<string, mixed>", "    "
        )
        yield "    public function written(): array\n    {"
        yield "        $found = [];"
        for one in model.properties:
            yield from _write(one)
        yield "\n        return $found;\n    }"
    yield "}"


def _constructor(model: Model) -> Iterator[str]:
    told = [f"@param {_documented(one)}" for one in model.properties if _is_told(one)]
    if told:
        yield _comment("\n".join(told), "    ")
    yield "    public function __construct("
    for one in model.properties:
        default = "" if one.default is REQUIRED else f" = {_default(one)}"
        yield f"        public readonly {_type(one.kind)} ${one.name}{default},"
    yield "    ) {\n    }"


def _is_told(one: Property) -> bool:
    return bool(one.doc) or one.kind.word in ("list", "object")


def _documented(one: Property) -> str:
    kind = _type(one.kind)
    if one.kind.item is not None:
        kind = f"list<{_type(one.kind.item)}>"
    elif one.kind.word == "object":
        kind = "array<string, mixed>"
    return f"{kind} ${one.name} {one.doc}".rstrip()


def _type(kind: Kind) -> str:
    names = (*kind.models, "Unknown") if len(kind.models) > 1 else kind.models
    name = "|".join(names) if names and kind.item is None else _TYPES[kind.word]
    if not kind.nullable:
        return name
    return f"{name}|null" if "|" in name else f"?{name}"


def _default(one: Property) -> str:
    if one.kind.item is not None:
        return "[]"
    shown: Any = one.default
    if shown is None or isinstance(shown, bool):
        return str(shown).lower().replace("none", "null")
    return str(shown) if isinstance(shown, int) else _quoted(shown)


def _read(one: Property, contract: Contract) -> str:
    kind, name = one.kind, _quoted(one.name)
    if kind.item is not None and kind.item.word == "model":
        way = "models" if one.default is REQUIRED else "modelsOrNone"
        return f"array_map({_chosen(kind.item.models, contract)}, Reading::{way}($raw, {name}))"
    if kind.item is not None:
        return f"Reading::texts($raw, {name})"
    if kind.word == "model":
        way = "modelOrNull" if kind.nullable else "model"
        return f"Reading::{way}($raw, {name}, {_chosen(kind.models, contract)})"
    return f"Reading::{kind.word}{'OrNull' if kind.nullable else ''}($raw, {name})"


def _chosen(names: tuple[str, ...], contract: Contract) -> str:
    """Return the function that reads one of these, by its `type`."""
    if len(names) == 1:
        return f"{names[0]}::read(...)"
    tagged, other, types = contract.choices(names)
    arms = [f"{_quoted(tag)} => {name}::read($one)," for tag, name in tagged.items()]
    arms.append(f"default => in_array($one['type'] ?? null, {types}::ALL, true)")
    lines = [
        "static fn (array $one) => match ($one['type'] ?? null) {",
        *(f"    {one}" for one in arms),
        f"        ? {other}::read($one) : Unknown::read($one),",
        "}",
    ]
    return f"\n{' ' * 12}".join(lines)


def _write(one: Property) -> Iterator[str]:
    value = f"$this->{one.name}"
    inner = one.kind.item or one.kind
    shown = {"model": "{}->written()", "moment": "{}->format(DATE_ATOM)"}.get(inner.word, "{}")
    said = shown.format(value)
    condition = None
    if one.kind.item is not None:
        said = (
            value if shown == "{}" else f"array_map(fn ($one) => {shown.format('$one')}, {value})"
        )
        condition = f"{value} !== []"
    elif one.kind.nullable:
        condition = f"{value} !== null"
    line = f"$found[{_quoted(one.name)}] = {said};"
    if condition is None:
        yield f"        {line}"
    else:
        yield f"        if ({condition}) {{\n            {line}\n        }}"


def _calls(contract: Contract) -> str:
    lines = [_HEAD.format(what="The calls", version=contract.version)]
    lines.append(
        _comment("The calls of a half-connector. Each throws Problem, Unreachable or Unreadable.")
    )
    lines.append("final class PivotClient extends Transport\n{")
    calls = ["\n".join(_call(one)) for one in contract.operations]
    lines += ["\n\n".join(calls), "}"]
    return "\n".join(lines) + "\n"


def _call(one: Operation) -> Iterator[str]:
    path = [p for p in one.parameters if p.place == "path"]
    query = [p for p in one.parameters if p.place == "query"]
    taken = [f"string ${p.name}" for p in path]
    taken += [f"{one.body} $body"] if one.body else []
    taken += [f"int ${p.name} = {p.default}" for p in query]
    yield _comment(one.doc, "    ")
    yield f"    public function {_camel(one.name)}({', '.join(taken)}): {one.answer}\n    {{"
    address = _quoted(one.path)
    for p in path:
        address = address.replace(f"{{{p.name}}}", f"' . rawurlencode(${p.name}) . '")
    said = f", {'$body->written()' if one.body else 'null'}"
    if query:
        said += ", [" + ", ".join(f"'{p.name}' => ${p.name}" for p in query) + "]"
    yield f"        $raw = $this->call('{one.method}', {address}{said});\n"
    yield f"        return {one.answer}::read($raw);\n    }}"


def _comment(doc: str, indent: str = "") -> str:
    lines = [f"{indent} * {line}".rstrip() for line in doc.split("\n")]
    return "\n".join([f"{indent}/**", *lines, f"{indent} */"])


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
