"""A mapping's doubtful places: told by itself, against the form's schema, and the GRU's words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from gateway.catalogue.catalogue import Route
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.mapping_files import lint
from gateway.catalogue.mapping_upgrade import old_spellings
from gateway.catalogue.yaml_reader import LocatedData
from gateway.contracts.drift import DriftFinder
from gateway.contracts.form_schema import Schema
from gateway.contracts.texts import say
from gateway.core.errors import Fault, file_line
from gateway.core.mapping import Constant, FromPath, RequestMapping, Rule, status_key
from gateway.core.messages import Message
from gateway.core.purposes import unpurposed, unsent

#: So many values are named at once.
_NAMED = 8


def doubts_of(
    mapping: RequestMapping,
    located: LocatedData,
    *,
    schema: Schema | None = None,
    words: frozenset[str] = frozenset(),
    referenced: bool | None = None,
) -> list[Fault]:
    """List what is allowed and probably not meant, at file, line and column, sorted.

    `located` is what the mapping's file and its bases say, `schema` that of the form where it is
    known, `words` the statuses that the adapter's GRU can say; `referenced`: does the adapter send
    our reference by itself?
    """
    found = [
        *lint(mapping, referenced=referenced),
        *_unreachable(mapping),
        *_unsaid(mapping, words),
        *_unpurposed(mapping),
    ]
    if schema is not None:
        found += _form(mapping, schema)
    columns: dict[tuple[str, int], int] = {}
    for path in located.lines:
        file, line, column = located.place(path)
        before = columns.get((file, line), column)
        columns[file, line] = min(before, column)
    return sorted(
        dataclasses.replace(one, column=one.column or columns.get((one.file, one.line), 1))
        for one in {*found}
    )


def dropped_targets(routes: Iterable[Route], lane: str, taken: frozenset[str]) -> list[Message]:
    """List the targets of a GRU's mappings that it would drop without a word, at file and line.

    `taken` are those that it takes, with all below them.
    """
    mappings = {one.mapping.key: one.mapping for one in routes if one.gru.lane_name == lane}
    found = []
    for mapping in mappings.values():
        for rule in mapping.submit:
            if not any(f"{rule.name}.".startswith(f"{one}.") for one in taken):
                place = file_line(rule.file or mapping.file, rule.line)
                cure = nearest(rule.name, sorted(taken))
                found.append(say("target_dropped", place=place, name=rule.name, cure=cure))
    return found


def spelling_doubts(located: LocatedData) -> list[Fault]:
    """List the old spellings of one file, which `mapping upgrade` writes anew."""
    return [
        Fault(located.file, one.line, _spelling(one.step.option, one.now), one.column)
        for one in old_spellings(located)
    ]


def _spelling(old: str, now: str) -> Message:
    return say("old_spelling", old=old, now=now) if now else say("old_spelling_gone", old=old)


def _unreachable(mapping: RequestMapping) -> Iterator[Fault]:
    """Find what can never come to bear."""
    for rule in mapping.every_rule():
        if isinstance(rule.source, Constant) and rule.default is not None:
            yield _at(mapping, rule, say("default_of_constant", name=rule.name))
        elif rule.required and rule.default is not None:
            yield _at(mapping, rule, say("required_and_default", name=rule.name))
        if rule.required and isinstance(rule.source, Constant) and rule.when is None:
            yield _at(mapping, rule, say("required_constant", name=rule.name))


def _unsaid(mapping: RequestMapping, words: frozenset[str]) -> Iterator[Fault]:
    """Find the GRU's words that the mapping does not know."""
    lacking = tuple(sorted(w for w in words if status_key(w) not in mapping.statuses))
    if lacking and mapping.statuses:
        line = next(iter(mapping.statuses.values()))
        yield _at(mapping, line, say("words_lacking", words=lacking[:_NAMED]))


def _unpurposed(mapping: RequestMapping) -> Iterator[Fault]:
    """Find the data whose purpose the register lacks."""
    lacking = unpurposed(mapping)
    if mapping.personal is None:
        names = tuple(one.path for one in lacking[:_NAMED])
        if names:
            yield Fault(mapping.file, 1, say("no_purposes", names=names))
        return
    for one in lacking:
        yield _at(mapping, one, say("no_purpose", name=one.path))
    for told in unsent(mapping):
        yield _at(mapping, told, say("purpose_unsent", name=told.pattern))


def _form(mapping: RequestMapping, schema: Schema) -> Iterator[Fault]:
    finder = DriftFinder("", mapping.teleservice, None, schema)
    finder.mapping(mapping, ())
    for drift in finder.found():
        for place in drift.places:
            said = say("lint_form", what=drift.what, detail=drift.detail)
            yield Fault(place.file, place.line, said)
    for rule in mapping.every_rule():
        yield from _options(mapping, rule, finder)


def _options(mapping: RequestMapping, rule: Rule, finder: DriftFinder) -> Iterator[Fault]:
    """Hold a table against the options of the field that is looked up in it."""
    table = rule.table
    if table is None or not isinstance(rule.source, FromPath):
        return
    for path in rule.source.expression.reads:
        root, _, rest = path.partition(".")
        field = finder.now.get(finder.known(rest.replace("[]", "").split("."))) if rest else None
        if root != "fields" or field is None or not field.items:
            continue
        lacking = tuple(item for item in field.items if item not in table.entries)
        unsent = tuple(key for key in table.entries if key not in field.items)
        told = {"field": field.varname, "table": table.name}
        if lacking and table.default is None:
            yield _at(mapping, table, say("options_lacking", items=lacking[:_NAMED], **told))
        if unsent:
            yield _at(mapping, table, say("entries_unsent", items=unsent[:_NAMED], **told))


def _at(mapping: RequestMapping, one: object, said: Message) -> Fault:
    file, line = getattr(one, "file", "") or mapping.file, getattr(one, "line", 1)
    return Fault(file, line, said)
