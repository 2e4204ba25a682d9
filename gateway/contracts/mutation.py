"""Changes a mapping in one place at a time: a change that no case notices is not under contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.catalogue.yaml_reader import LocatedData, Path
from gateway.contracts.case_player import Consequences
from gateway.contracts.cases import Case
from gateway.contracts.mutation_texts import say
from gateway.core.convert import TooLong
from gateway.core.mapping import (
    FromPath,
    Join,
    LookupTable,
    NotesPublic,
    PerRow,
    PortalRules,
    RequestMapping,
    Rule,
    StatusRule,
    UnknownStatus,
    status_key,
)
from gateway.core.messages import Message
from gateway.core.render import Rendered, Unmappable, render
from gateway.core.request import EventKind, Json
from gateway.core.status import Status

#: Paths of every request: a test for their presence never shows.
_ALWAYS_THERE = frozenset({"id", "portal", "commune", "teleservice", "ref", "submitted_at"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """The mapping with one change; `text` says it, with its line."""

    mapping: RequestMapping
    line: int
    text: Message
    #: Can this case notice? Others are not played.
    touches: Callable[[Case, Consequences], bool]
    #: The file of the line, if it is not the mapping's own.
    file: str = ""


def mutants(mapping: RequestMapping, located: LocatedData) -> Iterator[Mutant]:
    """Yield every mutant of a mapping; `located` is the text of it and its bases."""
    yield from _rules(mapping)
    yield from _tables(mapping, located)
    yield from _attachments(mapping)
    yield from _statuses(mapping)
    yield from _notes(mapping)
    yield from _portal(mapping, located)


# --- rules ----------------------------------------------------------------------------------


def _rules(mapping: RequestMapping) -> Iterator[Mutant]:
    sections: list[EventKind] = [EventKind.CREATION, *mapping.amend]
    for kind in sections:
        section = "submit" if kind is EventKind.CREATION else kind.value
        for rules, what, at in changed_rules(mapping.rules(kind)):
            if kind is EventKind.CREATION:
                changed = dataclasses.replace(mapping, submit=rules)
            else:
                changed = dataclasses.replace(mapping, amend={**mapping.amend, kind: rules})
            text = say("in_section", section=section, what=what)
            yield Mutant(changed, at.line, text, _renders(mapping, changed), at.file)


def changed_rules(
    rules: Sequence[Rule], *, parts_of_one: bool = False
) -> Iterator[tuple[tuple[Rule, ...], Message, Rule]]:
    """Yield the rules with one of them dropped or loosened: (rules, the change, the rule)."""
    for n, rule in enumerate(rules):
        before, after = tuple(rules[:n]), tuple(rules[n + 1 :])
        named = say("the_rule", rule=rule.name, line=rule.line)
        if parts_of_one:
            named = say("part_rule", line=rule.line)
        yield (*before, *after), say("dropped", rule=named), rule
        for one, what in _loosened(rule):
            yield (*before, one, *after), say("may", rule=named, what=what), rule
        match rule.source:
            case Join(parts, between):
                for inner, what, at in changed_rules(parts, parts_of_one=True):
                    source = Join(inner, between)
                    changed = dataclasses.replace(rule, source=source)
                    yield (*before, changed, *after), say("in_rule", rule=rule.name, what=what), at
            case PerRow(expression, each):
                for inner, what, at in changed_rules(each):
                    changed = dataclasses.replace(rule, source=PerRow(expression, inner))
                    yield (*before, changed, *after), say("in_rule", rule=rule.name, what=what), at


def _loosened(rule: Rule) -> Iterator[tuple[Rule, Message]]:
    if rule.when is not None:
        yield dataclasses.replace(rule, when=None), say("lose_when", when=rule.when.text)
    if rule.required and not _always(rule):
        yield dataclasses.replace(rule, required=False), say("not_required")
    if rule.default is not None:
        yield dataclasses.replace(rule, default=None), say("lose_default")
    if rule.rich_text is not None:
        yield dataclasses.replace(rule, rich_text=None), say("keep_html")
    for option in ("address", "phone", "coordinates", "unit"):
        if getattr(rule, option) is not None:
            # mypy cannot follow a field by its name.
            changed = dataclasses.replace(rule, **{option: None})  # type: ignore[arg-type]
            yield changed, say("no_option", option=option)
    if rule.max_length is not None:
        changed = dataclasses.replace(rule, max_length=None, too_long=TooLong.REFUSE)
        yield changed, say("exceed", count=rule.max_length)
    if rule.table is not None:
        yield dataclasses.replace(rule, table=None), say("no_table", table=rule.table.name)


def _always(rule: Rule) -> bool:
    return isinstance(rule.source, FromPath) and rule.source.expression.text in _ALWAYS_THERE


def _renders(
    original: RequestMapping, changed: RequestMapping
) -> Callable[[Case, Consequences], bool]:
    """Return a test: does a case render otherwise?"""

    def touches(case: Case, observed: Consequences) -> bool:
        if observed.document is None:
            return False
        kinds = {observed.event}
        if observed.event is EventKind.CREATION:
            # Files that follow the creation go as documents.
            kinds.add(EventKind.DOCUMENT)
        return any(
            _result(original, observed.document, kind) != _result(changed, observed.document, kind)
            for kind in kinds
        )

    return touches


def _result(mapping: RequestMapping, document: Json, kind: EventKind) -> object:
    rendered = render(mapping, document, kind)
    match rendered:
        case Rendered(payload, attachments):
            return payload, attachments
        case Unmappable(faults=faults):
            return [(fault.target, fault.code) for fault in faults]


# --- tables ---------------------------------------------------------------------------------


def _tables(mapping: RequestMapping, located: LocatedData) -> Iterator[Mutant]:
    used = {rule.table.name for rule in mapping.every_rule() if rule.table is not None}
    for table in mapping.tables.values():
        if table.name not in used:
            continue
        keys = list(table.entries)
        for key in keys:
            # Each entry gets its neighbour's value, which only its own case can notice; both ends
            # of a swap could.
            others = [v for v in table.entries.values() if v != table.entries[key]]
            if not others:
                continue
            line, file = _place(located, ("tables", table.name, "entries", key))
            swapped = {**table.entries, key: others[0]}
            one = dataclasses.replace(table, entries=swapped)
            text = say("entry_other", table=table.name, key=key, line=line)
            yield _with_table(mapping, table, one, line, text, file)
        if table.default is not None:
            line, file = _place(located, ("tables", table.name, "default"))
            one = dataclasses.replace(table, default=None)
            text = say("default_dropped", table=table.name, line=line)
            yield _with_table(mapping, table, one, line, text, file)
        else:
            one = dataclasses.replace(table, default=next(iter(table.entries.values())))
            text = say("unknown_passes", table=table.name, line=table.line)
            yield _with_table(mapping, table, one, table.line, text, table.file)


def _with_table(
    mapping: RequestMapping, old: LookupTable, new: LookupTable, line: int, text: Message, file: str
) -> Mutant:
    def rules(found: Sequence[Rule]) -> tuple[Rule, ...]:
        return tuple(_retabled(rule, old, new) for rule in found)

    changed = dataclasses.replace(
        mapping,
        tables={**mapping.tables, old.name: new},
        submit=rules(mapping.submit),
        amend={kind: rules(found) for kind, found in mapping.amend.items()},
    )
    return Mutant(changed, line, text, _renders(mapping, changed), file)


def _place(located: LocatedData, path: Path) -> tuple[int, str]:
    file, line, _ = located.place(path)
    return line, "" if file == located.file else file


def _retabled(rule: Rule, old: LookupTable, new: LookupTable) -> Rule:
    source = rule.source
    match source:
        case Join(parts, between):
            source = Join(tuple(_retabled(part, old, new) for part in parts), between)
        case PerRow(expression, each):
            source = PerRow(expression, tuple(_retabled(one, old, new) for one in each))
    table = new if rule.table is not None and rule.table.name == old.name else rule.table
    return dataclasses.replace(rule, source=source, table=table)


# --- files ----------------------------------------------------------------------------------


def _attachments(mapping: RequestMapping) -> Iterator[Mutant]:
    choice = mapping.attachments
    for n, (pattern, _) in enumerate(choice.patterns or ()):
        kept = (choice.patterns or ())[:n] + (choice.patterns or ())[n + 1 :]
        changed = dataclasses.replace(
            mapping, attachments=dataclasses.replace(choice, patterns=kept)
        )
        text = say("pattern_dropped", line=choice.line, pattern=pattern)
        yield Mutant(changed, choice.line, text, _renders(mapping, changed), choice.file)
    if choice.patterns is None:
        changed = dataclasses.replace(mapping, attachments=dataclasses.replace(choice, patterns=()))
        text = say("no_files", line=choice.line)
        yield Mutant(changed, choice.line, text, _renders(mapping, changed), choice.file)
    else:
        changed = dataclasses.replace(
            mapping, attachments=dataclasses.replace(choice, patterns=None, most=None)
        )
        text = say("all_files", line=choice.line)
        yield Mutant(changed, choice.line, text, _renders(mapping, changed), choice.file)


# --- returns --------------------------------------------------------------------------------


def _statuses(mapping: RequestMapping) -> Iterator[Mutant]:
    for word, rule in mapping.statuses.items():
        kept = {w: r for w, r in mapping.statuses.items() if w != word}
        other = Status.REFUSED if rule.status is not Status.REFUSED else Status.DONE
        altered = dataclasses.replace(rule, status=other)
        versions: list[tuple[Mapping[str, StatusRule], Message]] = [
            ({**mapping.statuses, word: altered}, say("may_become", status=other.value))
        ]
        # A word that changes nothing may as well be unknown.
        if rule.status is not None or mapping.unknown_status is UnknownStatus.IN_PROGRESS:
            versions.append((kept, say("may_go")))
        if rule.message is not None:
            silent = dataclasses.replace(rule, message=None)
            versions.append(({**mapping.statuses, word: silent}, say("may_be_silent")))
        for statuses, what in versions:
            changed = dataclasses.replace(mapping, statuses=statuses)
            text = say("of_status", word=word, line=rule.line, what=what)
            yield Mutant(changed, rule.line, text, _says(word), rule.file)
    if mapping.unknown_status is not UnknownStatus.IN_PROGRESS:
        changed = dataclasses.replace(mapping, unknown_status=UnknownStatus.IN_PROGRESS)
        text = say("unknown_told")
    else:
        changed = dataclasses.replace(mapping, unknown_status=UnknownStatus.PARK)
        text = say("unknown_untold")

    def unknown(case: Case, observed: Consequences) -> bool:
        return any(status_key(word) not in mapping.statuses for word in observed.words)

    if mapping.statuses:
        yield Mutant(changed, 0, text, unknown)


def _says(word: str) -> Callable[[Case, Consequences], bool]:
    return lambda case, observed: any(status_key(told) == word for told in observed.words)


def _notes(mapping: RequestMapping) -> Iterator[Mutant]:
    def with_message(case: Case, observed: Consequences) -> bool:
        return case.given.returns and case.given.message is not None

    told = {
        NotesPublic.ALWAYS: say("notes_always"),
        NotesPublic.NEVER: say("notes_never"),
        NotesPublic.WHEN_MARKED: say("notes_when_marked"),
    }
    for notes, text in told.items():
        if notes is not mapping.notes and mapping.statuses:
            yield Mutant(dataclasses.replace(mapping, notes=notes), 0, text, with_message)


def _portal(mapping: RequestMapping, located: LocatedData) -> Iterator[Mutant]:
    portal = mapping.portal

    def tells(case: Case, observed: Consequences) -> bool:
        return bool(observed.told)

    def mutant(changed: PortalRules, path: tuple[str, ...], what: Message) -> Mutant:
        line, file = _place(located, ("portal", *path))
        text = say("of_return", line=line, what=what)
        return Mutant(dataclasses.replace(mapping, portal=changed), line, text, tells, file)

    if portal.hook is not None:
        what = say("hook_dropped", name=portal.hook)
        yield mutant(dataclasses.replace(portal, hook=None), ("hook",), what)
    for status, (_, name) in portal.triggers.items():
        triggers = {s: t for s, t in portal.triggers.items() if s is not status}
        what = say("trigger_dropped", name=name, status=status.value)
        changed = dataclasses.replace(portal, triggers=triggers)
        yield mutant(changed, ("triggers", status.value), what)
    for status, word in portal.words.items():
        words = {s: w for s, w in portal.words.items() if s is not status}
        what = say("word_dropped", name=word, status=status.value)
        yield mutant(dataclasses.replace(portal, words=words), ("words", status.value), what)
