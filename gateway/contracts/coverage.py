"""The lines of a mapping that no case touches: rules, table entries, statuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.contracts.cases import Case
from gateway.contracts.leaving import rendering_of
from gateway.core.mapping import (
    Join,
    LookupTable,
    PerRow,
    RequestMapping,
    Rule,
    canonical,
    status_key,
)
from gateway.core.render import Rendered
from gateway.core.request import Json


@dataclass(frozen=True, slots=True, order=True)
class Uncovered:
    """A part of a mapping that no case touches: `what` is `rule`, `entry`, `default`
    or `status`."""

    file: str
    line: int
    what: str
    name: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The number of a mapping's parts, and those that no case touches."""

    parts: int
    uncovered: tuple[Uncovered, ...]

    @property
    def percent(self) -> int:
        return 100 if not self.parts else 100 * (self.parts - len(self.uncovered)) // self.parts


class _WatchedTable(dict[str, Json]):
    """A table's entries, which keep what they were asked for."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        self.asked: set[str] = set()

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def coverage_of(mapping: RequestMapping, cases: Sequence[Case]) -> Coverage:
    """Hold a mapping against its cases, without playing them."""
    tables = {
        name: dataclasses.replace(table, entries=_WatchedTable(table.entries))
        for name, table in mapping.tables.items()
    }
    watched = _watching(mapping, tables)
    made: set[tuple[str, int]] = set()
    said: set[str] = set()
    for case in cases:
        if case.given.returns:
            words = (*case.given.after, *((case.given.status,) if case.given.status else ()))
            said |= {status_key(word) for word in words if canonical(mapping, word) is not None}
            continue
        rendered = rendering_of(watched, case)
        if isinstance(rendered, Rendered):
            made |= {(one.file or mapping.file, one.line) for one in rendered.origins}
        elif rendered is not None:
            made |= {(one.file or mapping.file, one.line) for one in rendered.faults}
    parts = list(_parts(mapping, tables, made, said))
    return Coverage(len(parts), tuple(sorted(part for part, touched in parts if not touched)))


def _parts(
    mapping: RequestMapping,
    tables: dict[str, LookupTable],
    made: set[tuple[str, int]],
    said: set[str],
) -> Iterator[tuple[Uncovered, bool]]:
    used = {rule.table.name for rule in mapping.every_rule() if rule.table is not None}
    for rules in (mapping.submit, *mapping.amend.values()):
        for rule in _targets(rules):
            place = (rule.file or mapping.file, rule.line)
            yield Uncovered(*place, "rule", rule.name), place in made
    for name, table in tables.items():
        entries = table.entries
        if name not in used or not isinstance(entries, _WatchedTable):
            continue
        file = table.file or mapping.file
        for key in entries:
            yield Uncovered(file, table.line, "entry", f"{name}.{key}"), key in entries.asked
        if table.default is not None:
            other = bool(entries.asked - entries.keys())
            yield Uncovered(file, table.line, "default", name), other
    for word, status in mapping.statuses.items():
        yield Uncovered(status.file or mapping.file, status.line, "status", word), word in said


def _targets(rules: Sequence[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        if isinstance(rule.source, PerRow):
            yield from _targets(rule.source.each)


def _watching(mapping: RequestMapping, tables: dict[str, LookupTable]) -> RequestMapping:
    def watch(rule: Rule) -> Rule:
        source = rule.source
        match source:
            case Join(parts, between):
                source = Join(tuple(map(watch, parts)), between)
            case PerRow(expression, each):
                source = PerRow(expression, tuple(map(watch, each)))
        table = None if rule.table is None else tables[rule.table.name]
        return dataclasses.replace(rule, source=source, table=table)

    return dataclasses.replace(
        mapping,
        tables=tables,
        submit=tuple(map(watch, mapping.submit)),
        amend={kind: tuple(map(watch, rules)) for kind, rules in mapping.amend.items()},
    )
