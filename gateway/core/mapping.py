"""A mapping: how one teleservice's requests become a GRU's, and its statuses the portal's.

Plain data, built and checked by `gateway.catalogue.mapping_files`; `gateway.core.render` applies
it. Every rule knows its line in the file, so that whatever it does can be traced to it; `file` is
the one in which it stands where that is another than the mapping's own, which inherits it.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from re import Pattern
from typing import Literal

from gateway.core.addresses import AddressPart
from gateway.core.convert import ForeignPhone, LengthUnit, PhoneForm, TooLong
from gateway.core.errors import file_line
from gateway.core.expression import Expression, below
from gateway.core.filenames import NamePolicy
from gateway.core.markup import Markup
from gateway.core.personal import PersonalData
from gateway.core.request import EventKind, Json
from gateway.core.status import PORTAL_WORDS, Status
from gateway.core.workflow import DONE

#: The names at the first level of a request's document (`ServiceRequest.document()`), and `link`:
#: the citizen's link with an account of the commune's own portal, as it is when the request leaves.
DOCUMENT_ROOTS = frozenset(
    {
        "id",
        "portal",
        "commune",
        "teleservice",
        "ref",
        "uuid",
        "number",
        "channel",
        "url",
        "api_url",
        "submitted_at",
        "event",
        "user",
        "fields",
        "workflow_fields",
        "extra",
        "location",
        "attachments",
        "changes",
        "link",
    }
)


class ValueType(StrEnum):
    """The type that a target takes; NATIVE is the value as the form has it."""

    NATIVE = "native"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


class UnknownStatus(StrEnum):
    """The answer to a GRU status that the mapping does not know."""

    IGNORE = "ignore"
    PARK = "park"
    IN_PROGRESS = "in_progress"


class NotesPublic(StrEnum):
    """The notes of a GRU that the citizen may read."""

    WHEN_MARKED = "when_marked"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class FromPath:
    """The value that an expression finds."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same value."""

    value: Json


@dataclass(frozen=True, slots=True)
class Join:
    """The texts of several parts, those that are not empty, with `between` in between."""

    parts: tuple[Rule, ...]
    between: str


@dataclass(frozen=True, slots=True)
class PerRow:
    """One object per row of a repeated block; the rules of `each` read the row."""

    expression: Expression
    each: tuple[Rule, ...]


_KINDS: dict[type, str] = {FromPath: "path", Constant: "constant", Join: "join", PerRow: "rows"}


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A lookup by text; `default` (None: there is none) answers for what is not in it."""

    name: str
    line: int
    entries: abc.Mapping[str, Json]
    default: Json = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """A place in a system of `core.coordinates`: both of `x` and `y`, or the one of `axis`."""

    system: str
    axis: Literal["x", "y"] | None = None
    decimals: int = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule by which one target field gets its value.

    `target` is its steps from the payload's (or the row's) root. `root` makes a rule inside rows
    read the whole document. The value goes through rich_text, address, phone, table, date,
    coordinates, unit, type and max_length, in that order; an empty one (None, blank text, empty
    list or object) is replaced by `default` as it is, or else refused when `required`, or else left
    out.
    """

    target: tuple[str, ...]
    line: int
    source: FromPath | Constant | Join | PerRow
    root: bool = False
    when: Expression | None = None
    required: bool = False
    default: Json = None
    table: LookupTable | None = None
    type: ValueType = ValueType.NATIVE
    date: str | None = None
    zone: tzinfo | None = None
    rich_text: Markup | None = None
    address: AddressPart | None = None
    phone: PhoneForm | None = None
    foreign: ForeignPhone = ForeignPhone.LEAVE
    coordinates: Projection | None = None
    unit: tuple[str, str] | None = None
    max_length: int | None = None
    length_in: LengthUnit = LengthUnit.CHARACTERS
    too_long: TooLong = TooLong.REFUSE
    file: str = ""

    @property
    def name(self) -> str:
        """The target as written with dots."""
        return ".".join(self.target)

    @property
    def kind(self) -> str:
        """`path`, `constant`, `join` or `rows`, with the table's name if any."""
        kind = _KINDS[type(self.source)]
        return f"{kind}, table {self.table.name}" if self.table else kind


@dataclass(frozen=True, slots=True)
class AttachmentChoice:
    """The files that go: those whose field matches a pattern, in the order of the patterns.

    `patterns` None: every file. More than `most`: the request is unmappable, or with `leave` the
    surplus stays behind.
    """

    patterns: tuple[tuple[str, Pattern[str]], ...] | None = ()
    most: int | None = None
    leave: bool = False
    line: int = 0
    file: str = ""
    names: NamePolicy | None = None


@dataclass(frozen=True, slots=True)
class StatusRule:
    """The meaning of a GRU's status. `status` None: known, and changes nothing for the citizen."""

    status: Status | None
    message: str | None = None
    line: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class PortalCall:
    """The call on the portal's form for a status, and the word to send as `statut`."""

    kind: Literal["hook", "jump"]
    name: str
    word: str


@dataclass(frozen=True, slots=True)
class PortalRules:
    """The rules by which the portal is told: `triggers` by status first, else `hook`, else nothing
    is called.

    `document_hook` takes a document's bytes, after the call that announces it. `mark` is the
    backoffice field in which the workflow's last action notes each report that it has carried out.
    """

    hook: str | None = None
    document_hook: str | None = None
    mark: str = DONE
    triggers: abc.Mapping[Status, tuple[Literal["hook", "jump"], str]] = field(default_factory=dict)
    words: abc.Mapping[Status, str] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RequestMapping:
    """One mapping file, with what it inherits of its `bases` (files, the nearest first).

    `key` is `teleservice/name`; `version` is its author's number.
    """

    key: str
    teleservice: str
    name: str
    adapter: str
    version: int
    file: str
    submit: tuple[Rule, ...]
    description: str = ""
    tables: abc.Mapping[str, LookupTable] = field(default_factory=dict)
    amend: abc.Mapping[EventKind, tuple[Rule, ...]] = field(default_factory=dict)
    attachments: AttachmentChoice = AttachmentChoice()
    statuses: abc.Mapping[str, StatusRule] = field(default_factory=dict)
    unknown_status: UnknownStatus = UnknownStatus.PARK
    notes: NotesPublic = NotesPublic.WHEN_MARKED
    portal: PortalRules = PortalRules()
    bases: tuple[str, ...] = ()
    #: Its data as the RGPD sees them; None where the file does not tell.
    personal: PersonalData | None = None
    #: A rule reads `link`.
    reads_link: bool = False

    def place(self, one: Rule | LookupTable | AttachmentChoice | StatusRule | PortalRules) -> str:
        """Return the place of a part: `file:line`; empty where no file has it."""
        return file_line(one.file or self.file, one.line) if one.line else ""

    def rules(self, kind: EventKind) -> tuple[Rule, ...]:
        """Return the rules for an event; none where the file has none for it."""
        return self.submit if kind is EventKind.CREATION else self.amend.get(kind, ())

    def every_rule(self) -> Iterator[Rule]:
        """Yield all rules with those inside rows and joins: what coverage counts."""
        for rules in (self.submit, *self.amend.values()):
            for rule in rules:
                yield from _with_inner(rule)


def _with_inner(rule: Rule) -> Iterator[Rule]:
    yield rule
    match rule.source:
        case Join(parts=inner) | PerRow(each=inner):
            for one in inner:
                yield from _with_inner(one)


def status_key(gru_status: str) -> str:
    """GRU statuses are compared without case and outer blanks."""
    return gru_status.strip().casefold()


def canonical(mapping: RequestMapping, gru_status: str) -> StatusRule | None:
    """Return the meaning of a GRU's status; None when unknown, and then `mapping.unknown_status`
    decides.

    (With `in_progress` an unknown status is answered here.)
    """
    found = mapping.statuses.get(status_key(gru_status))
    if found is None and mapping.unknown_status is UnknownStatus.IN_PROGRESS:
        return StatusRule(Status.IN_PROGRESS)
    return found


def portal_call(mapping: RequestMapping, status: Status) -> PortalCall | None:
    """Return the call on the portal for `status`; None when the portal only polls us."""
    word = mapping.portal.words.get(status, PORTAL_WORDS[status])
    trigger = mapping.portal.triggers.get(status)
    if trigger is not None:
        return PortalCall(trigger[0], trigger[1], word)
    if mapping.portal.hook is not None:
        return PortalCall("hook", mapping.portal.hook, word)
    return None


def note_is_public(mapping: RequestMapping, marked: bool) -> bool:
    """May the citizen read a GRU's note, `marked` telling whether the GRU marked it public?"""
    return mapping.notes is NotesPublic.ALWAYS or (
        marked and mapping.notes is NotesPublic.WHEN_MARKED
    )


@dataclass(frozen=True, slots=True, order=True)
class SourcePath:
    """One path of the document that a rule reads, for its value, its condition, or as files."""

    path: str
    target: str
    line: int
    file: str = ""


def source_paths(mapping: RequestMapping, *, sent: bool = False) -> tuple[SourcePath, ...]:
    """Everything the mapping reads: `fields.enfants_raw[].nom`, each item of a list as `[]`.

    Targets of amendments start with their event's kind and a colon (`message:body`). `sent`: values
    and files alone, without what only decides whether something goes.
    """
    found: dict[SourcePath, None] = {}
    for rule in mapping.submit:
        found.update(dict.fromkeys(_rule_paths(rule, "", "", sent)))
    for kind, rules in mapping.amend.items():
        for rule in rules:
            found.update(dict.fromkeys(_rule_paths(rule, "", f"{kind.value}:", sent)))
    choice = mapping.attachments
    patterns = ["*"] if choice.patterns is None else [text for text, _ in choice.patterns]
    for text in patterns:
        path = f"fields.{text}".replace("[*]", "[]")
        found[SourcePath(path, "attachments", choice.line, choice.file)] = None
    return tuple(found)


def _rule_paths(rule: Rule, base: str, prefix: str, sent: bool) -> Iterator[SourcePath]:
    target = prefix + rule.name
    here = "" if rule.root else base
    if rule.when is not None and not sent:
        for path in rule.when.reads:
            yield SourcePath(below(here, path), target, rule.line, rule.file)
    match rule.source:
        case FromPath(expression):
            for path in expression.reads:
                yield SourcePath(below(here, path), target, rule.line, rule.file)
        case Join(parts):
            for part in parts:
                yield from _rule_paths(part, here, prefix, sent)
        case PerRow(expression, each):
            for path in () if sent else expression.reads:
                yield SourcePath(below(here, path), target, rule.line, rule.file)
            row = below(here, expression.item)
            for inner in each:
                yield from _rule_paths(inner, row, f"{target}[].", sent)
        case Constant():
            return
