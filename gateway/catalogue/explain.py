"""Each field of a payload with where it came from: for `mapping preview` and `request explain`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.core.expression import Expression
from gateway.core.mapping import (
    Constant,
    FromPath,
    Join,
    LookupTable,
    PerRow,
    Projection,
    RequestMapping,
    Rule,
)
from gateway.core.render import Origin, Rendered, Unmappable, render
from gateway.core.request import EventKind, Json

#: Fields of a rule that are no option of it.
_NO_OPTIONS = frozenset({"target", "line", "file", "source", "zone"})
_STEP = re.compile(r"[^.\[\]]+|\[[0-9]+\]")


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One target field. `value` is the citizen's: show it to who may see the request, log it never.

    `line` 0: the file chosen by the `attachments` section has no rule of its own. `file`: where the
    line stands, if not in the mapping's own.
    """

    target: str
    value: Json
    source: str
    line: int
    file: str = ""

    @property
    def place(self) -> str:
        """The line, behind its file where that is not the mapping's own."""
        return f"{self.file.rpartition('/')[2]}:{self.line}" if self.file else str(self.line)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule in words: what it reads, what it does with it, and where it stands."""

    event: str
    target: str
    sources: tuple[str, ...]
    options: str
    line: int
    file: str = ""

    @property
    def place(self) -> str:
        """The line, behind its file where that is not the mapping's own."""
        return f"{self.file.rpartition('/')[2]}:{self.line}" if self.file else str(self.line)


def rule_rows(mapping: RequestMapping) -> list[RuleRow]:
    """Return the rules of a mapping in its order, those of rows under their block."""
    found: list[RuleRow] = []

    def add(event: str, rules: Sequence[Rule], prefix: str) -> None:
        for rule in rules:
            sources = tuple(dict.fromkeys(_read_by(rule)))
            row = RuleRow(event, prefix + rule.name, sources, _options(rule), rule.line, rule.file)
            found.append(row)
            if isinstance(rule.source, PerRow):
                add(event, rule.source.each, f"{prefix}{rule.name}[].")

    add(EventKind.CREATION.value, mapping.submit, "")
    for kind, rules in mapping.amend.items():
        add(kind.value, rules, "")
    return found


def _read_by(rule: Rule) -> Iterator[str]:
    match rule.source:
        case FromPath(expression) | PerRow(expression=expression):
            yield expression.text
        case Join(parts):
            for part in parts:
                yield from _read_by(part)
        case Constant(value):
            yield json.dumps(value, ensure_ascii=False)


def _options(rule: Rule) -> str:
    """Return what a rule does with its value, as it is written."""
    said = []
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.name in _NO_OPTIONS or value == field.default:
            continue
        if isinstance(value, LookupTable):
            value = value.name
        elif isinstance(value, Expression):
            value = value.text
        elif isinstance(value, Projection):
            value = f"{value.system}{f' {value.axis}' if value.axis else ''}"
        elif isinstance(value, tuple):
            value = " > ".join(value)
        said.append(field.name if value is True else f"{field.name}: {value}")
    return ", ".join(said)


def preview(
    mapping: RequestMapping, document: Json, event_kind: EventKind = EventKind.CREATION
) -> list[PreviewRow] | Unmappable:
    """Return the payload's fields in the file's order, then the chosen files; or why there are
    none.

    A block's rows show each of their fields (`children[0].nom`), not the list itself.
    """
    rendered = render(mapping, document, event_kind)
    if isinstance(rendered, Unmappable):
        return rendered
    rows = [_row(rendered, origin) for origin in rendered.origins if not _is_rows(origin)]
    rows += [
        PreviewRow(
            f"attachments[{i}]",
            file.get("filename"),
            str(file.get("field")),
            mapping.attachments.line,
            mapping.attachments.file,
        )
        for i, file in enumerate(rendered.attachments)
    ]
    return rows


def _is_rows(origin: Origin) -> bool:
    return origin.rule.startswith("rows")


def _row(rendered: Rendered, origin: Origin) -> PreviewRow:
    source = " + ".join(origin.sources) or origin.rule
    if origin.defaulted:
        source = f"default (empty: {source})"
    elif ", " in origin.rule:
        source = f"{source} ({origin.rule.split(', ')[1]})"
    value = _at(rendered.payload, origin.target)
    return PreviewRow(origin.target, value, source, origin.line, origin.file)


def _at(value: Json, target: str) -> Json:
    for step in _STEP.findall(target):
        value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    return value
