"""Writes the contract in Python: dataclasses, and a method for each call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

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
    "text": "str",
    "moment": "datetime",
    "whole": "int",
    "truth": "bool",
    "object": "Mapping[str, Any]",
}
#: Where the formatter finds its settings, and what is of the house.
_PLACE = "clients/python/toodego_pivot/generated.py"
_READS = "Return it from JSON. Raises Unreadable; what is not known is passed over."
_NOTE = (
    "Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited."
)


def python_files(contract: Contract) -> dict[str, str]:
    """Return the generated modules of the package, by their names."""
    return {"models.py": _tidy(_models(contract)), "calls.py": _tidy(_calls(contract))}


def _tidy(text: str) -> str:
    """Return a module as the house's formatter has it."""
    for command in (["check", "--fix-only", "--select", "I"], ["format"]):
        whole = [sys.executable, "-m", "ruff", *command, "--stdin-filename", _PLACE, "-"]
        done = subprocess.run(whole, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def _models(contract: Contract) -> str:
    lines = [
        f'"""The bodies of the pivot contract {contract.version}.\n\n{_NOTE}\n"""',
        "from __future__ import annotations",
        "from collections.abc import Mapping",
        "from dataclasses import dataclass, field",
        "from datetime import datetime",
        "from typing import Any, Final",
        "from toodego_pivot import reading as r",
        "from toodego_pivot.reading import Unknown",
        f'VERSION: Final = "{contract.version}"',
    ]
    for constants in contract.constants:
        lines += _constants(constants)
    for model in contract.models:
        if model.name in contract.read | contract.written:
            lines += _model(model, contract)
    for names in _alternatives(contract):
        lines += _chooser(names, contract)
    return "\n".join(lines) + "\n"


def _constants(constants: Constants) -> Iterator[str]:
    yield f"\n\nclass {constants.name}:"
    yield f"{_docstring(constants.doc)}\n"
    yield f"    ALL: Final = {constants.words!r}"
    for word in constants.words:
        yield f"    {word.rpartition('.')[2].upper()}: Final = {json.dumps(word)}"


def _model(model: Model, contract: Contract) -> Iterator[str]:
    yield "\n\n@dataclass(frozen=True, slots=True)"
    yield f"class {model.name}:"
    yield f"{_docstring(model.doc)}\n"
    for one in model.properties:
        if one.doc:
            yield f"    #: {one.doc}"
        yield f"    {one.name}: {_type(one.kind)}{_default(one)}"
    if model.name in contract.read:
        yield "\n    @classmethod"
        yield f"    def read(cls, raw: Mapping[str, Any]) -> {model.name}:"
        yield _docstring(_READS, "        ")
        yield "        return cls("
        for one in model.properties:
            yield f"            {one.name}={_read(one)},"
        yield "        )"
    if model.name in contract.written:
        yield "\n    def written(self) -> dict[str, Any]:"
        yield '        """Return it as JSON has it, without what was left out."""'
        yield "        found: dict[str, Any] = {}"
        for one in model.properties:
            yield from _write(one)
        yield "        return found"


def _type(kind: Kind) -> str:
    if kind.item is not None:
        return f"tuple[{_type(kind.item)}, ...]"
    names = (*kind.models, "Unknown") if len(kind.models) > 1 else kind.models
    name = " | ".join(names) or _TYPES[kind.word]
    return f"{name} | None" if kind.nullable else name


def _default(one: Property) -> str:
    if one.default is REQUIRED:
        # The payload is personal data, and long: it does not print.
        return " = field(repr=False)" if one.kind.word == "object" else ""
    return f" = {() if one.kind.item else one.default!r}"


def _read(one: Property) -> str:
    kind, name = one.kind, json.dumps(one.name)
    if kind.item is not None and kind.item.word == "model":
        way = "models" if one.default is REQUIRED else "models_or_none"
        return f"tuple({_chosen(kind.item.models)}(one) for one in r.{way}(raw, {name}))"
    if kind.item is not None:
        return f"r.texts(raw, {name})"
    if kind.word == "model" and kind.nullable:
        return f"r.model_or_none(raw, {name}, {_chosen(kind.models)})"
    if kind.word == "model":
        return f"{_chosen(kind.models)}(r.model(raw, {name}))"
    return f"r.{kind.word}{'_or_none' if kind.nullable else ''}(raw, {name})"


def _write(one: Property) -> Iterator[str]:
    place, value = f"found[{json.dumps(one.name)}]", f"self.{one.name}"
    inner = one.kind.item or one.kind
    shown = {"model": "{}.written()", "moment": "{}.isoformat()"}.get(inner.word, "{}")
    said = shown.format(value)
    if one.kind.item is not None:
        said = f"list({value})" if shown == "{}" else f"[{shown.format('one')} for one in {value}]"
        yield f"        if {value}:"
    elif one.kind.nullable:
        yield f"        if {value} is not None:"
    yield f"        {'    ' if one.kind.item or one.kind.nullable else ''}{place} = {said}"


def _chosen(names: tuple[str, ...]) -> str:
    """Return the function that reads one of these models."""
    return f"{names[0]}.read" if len(names) == 1 else f"read_{_snake('_or_'.join(names))}"


def _alternatives(contract: Contract) -> list[tuple[str, ...]]:
    kinds = [one.kind for model in contract.models for one in model.properties]
    return sorted({kind.models for kind in kinds if len(kind.models) > 1})


def _chooser(names: tuple[str, ...], contract: Contract) -> Iterator[str]:
    """Yield the function that reads one of several models, by its `type`."""
    tagged, other, types = contract.choices(names)
    yield f"\n\ndef {_chosen(names)}(raw: Mapping[str, Any]) -> {' | '.join(names)} | Unknown:"
    yield '    """Return the one that its `type` says; Unknown for a type of a later contract."""'
    for tag, name in tagged.items():
        yield f'    if raw.get("type") == {json.dumps(tag)}:'
        yield f"        return {name}.read(raw)"
    yield f'    if raw.get("type") in {types}.ALL:'
    yield f"        return {other}.read(raw)"
    yield "    return Unknown.read(raw)"


def _calls(contract: Contract) -> str:
    answers = {one.answer for one in contract.operations}
    bodies = {one.body for one in contract.operations if one.body}
    lines = [
        f'"""The calls of the pivot contract {contract.version}.\n\n{_NOTE}\n"""',
        "from __future__ import annotations",
        f"from toodego_pivot.models import {', '.join(sorted(answers | bodies))}",
        "from toodego_pivot.transport import Transport, segment",
        "\n\nclass PivotClient(Transport):",
        '    """The calls of a half-connector. Each raises Problem, Unreachable or Unreadable."""',
    ]
    for one in contract.operations:
        lines += _call(one)
    return "\n".join(lines) + "\n"


def _call(one: Operation) -> Iterator[str]:
    path = [p for p in one.parameters if p.place == "path"]
    query = [p for p in one.parameters if p.place == "query"]
    taken = [f"{p.name}: str" for p in path]
    taken += [f"body: {one.body}"] if one.body else []
    taken += [f"{p.name}: int = {p.default}" for p in query]
    yield f"\n    def {_snake(one.name)}(self, {', '.join(taken)}) -> {one.answer}:"
    yield _docstring(one.doc, "        ")
    address = one.path
    for p in path:
        address = address.replace(f"{{{p.name}}}", f"{{segment({p.name})}}")
    said = ", body.written()" if one.body else ""
    if query:
        said += ", query={" + ", ".join(f'"{p.name}": {p.name}' for p in query) + "}"
    prefix = "f" if path else ""
    yield f'        raw = self.call("{one.method}", {prefix}"{address}"{said})'
    yield f"        return {one.answer}.read(raw)"


def _docstring(doc: str, indent: str = "    ") -> str:
    text = doc.replace("\n", f"\n{indent}").replace(f"\n{indent}\n", "\n\n")
    close = f"\n{indent}" if "\n" in text else ""
    return f'{indent}"""{text}{close}"""'


def _snake(name: str) -> str:
    return "".join(
        f"_{c.lower()}" if c.isupper() and n and name[n - 1] != "_" else c.lower()
        for n, c in enumerate(name)
    )
