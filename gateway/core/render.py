"""A request through a mapping: the GRU's payload, or every reason why there can be none.

Nothing here raises on any document, and no text holds a value of the document.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.core.addresses import address_part
from gateway.core.convert import (
    CannotConvert,
    LengthUnit,
    boolean_of,
    coordinates_of,
    date_text,
    integer_of,
    keep_length,
    number_of,
    phone_text,
    text_of,
)
from gateway.core.expression import Expression, ExpressionError, below
from gateway.core.filenames import NamePolicy
from gateway.core.mapping import (
    Constant,
    FromPath,
    Join,
    LookupTable,
    PerRow,
    RequestMapping,
    Rule,
    ValueType,
)
from gateway.core.markup import marked_up
from gateway.core.request import EventKind, Json
from gateway.core.units import converted

FaultCode = Literal[
    "required",
    "table",
    "type",
    "date",
    "phone",
    "coordinates",
    "length",
    "expression",
    "rows",
    "attachments",
]
#: Events that carry the files which a mapping chooses.
_WITH_FILES = frozenset({EventKind.CREATION, EventKind.DOCUMENT})


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of one field of the payload: `target` is concrete (`children[0].nom`).

    `sources` are paths of the document. `defaulted`: the rule's default answered.
    """

    target: str
    line: int
    sources: tuple[str, ...]
    rule: str
    defaulted: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The payload to send. The payload may share parts with the document: alter neither."""

    payload: dict[str, Json]
    attachments: tuple[dict[str, Json], ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleFault:
    """The reason why one target field cannot be made; `text` is French, for who mends it."""

    target: str
    line: int
    code: FaultCode
    text: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Unmappable:
    """The request and the mapping do not fit: somebody must mend one of them."""

    mapping: str
    file: str
    faults: tuple[RuleFault, ...]

    def summary(self) -> str:
        """Return all faults in one French text, each with its place."""
        return "\n".join(f"{f.file or self.file}:{f.line}: {f.text}" for f in self.faults)


def render(
    mapping: RequestMapping, document: Json, event_kind: EventKind = EventKind.CREATION
) -> Rendered | Unmappable:
    """Apply the rules for `event_kind` to a request's document.

    Files are chosen for CREATION and DOCUMENT; `most` binds the creation alone. An event for which
    the mapping has no rules renders to an empty payload.
    """
    pass_ = _Pass(document)
    payload = pass_.all(mapping.rules(event_kind), document, "", "")
    chosen: tuple[dict[str, Json], ...] = ()
    if event_kind in _WITH_FILES:
        chosen = pass_.files(mapping, document, event_kind)
    if pass_.faults:
        return Unmappable(mapping.key, mapping.file, tuple(pass_.faults))
    return Rendered(payload, chosen, tuple(pass_.origins))


class _Nothing:
    """No value: the target is left out."""


_NOTHING: Final = _Nothing()


class _Fail(Exception):
    def __init__(self, code: FaultCode, text: str) -> None:
        super().__init__(text)
        self.code: FaultCode = code
        self.text = text


class _Pass:
    """One rendering: collects origins and faults."""

    __slots__ = ("document", "faults", "origins")

    def __init__(self, document: Json) -> None:
        self.document = document
        self.faults: list[RuleFault] = []
        self.origins: list[Origin] = []

    def all(self, rules: Sequence[Rule], scope: Json, prefix: str, base: str) -> dict[str, Json]:
        """Make the object of `rules` and `scope`, whose own path in the document is `base`."""
        payload: dict[str, Json] = {}
        for rule in rules:
            target = prefix + rule.name
            try:
                value = self.one(rule, scope, target, base)
            except _Fail as fail:
                text = f"Le champ « {target} » ne peut pas être rempli : {fail.text}."
                self.faults.append(RuleFault(target, rule.line, fail.code, text, rule.file))
            else:
                if value is not _NOTHING:
                    _put(payload, rule.target, value)
        return payload

    def one(self, rule: Rule, scope: Json, target: str, base: str) -> Any:
        if rule.root:
            scope, base = self.document, ""
        if rule.when is not None and not _true(_search(rule.when, scope)):
            return _NOTHING
        source = rule.source
        if isinstance(source, PerRow):
            value = self.rows(source, scope, target, base)
        else:
            value = self.value(rule, scope)
        defaulted = is_empty(value)
        if defaulted:
            if rule.default is None:
                if not rule.required:
                    return _NOTHING
                origin = " ; ".join(_sources(rule, base)) or "la valeur"
                raise _Fail("required", f"il est obligatoire, et {origin} est vide")
            value = _own(rule.default)
        sources = _sources(rule, base)
        self.origins.append(Origin(target, rule.line, sources, rule.kind, defaulted, rule.file))
        return value

    def value(self, rule: Rule, scope: Json) -> Json:
        """Return the rule's value, converted; whatever is empty comes back as it is."""
        source = rule.source
        value: Json = None
        if isinstance(source, FromPath):
            value = _search(source.expression, scope)
        elif isinstance(source, Constant):
            value = _own(source.value)
        elif isinstance(source, Join):
            texts = (self.part(part, scope) for part in source.parts)
            value = source.between.join(text for text in texts if text)
        return convert(rule, value)

    def part(self, rule: Rule, scope: Json) -> str:
        if rule.root:
            scope = self.document
        if rule.when is not None and not _true(_search(rule.when, scope)):
            return ""
        value = self.value(rule, scope)
        if is_empty(value):
            value = rule.default
            if value is None:
                if rule.required:
                    origin = " ; ".join(_sources(rule, "")) or "une partie"
                    raise _Fail("required", f"{origin} est vide")
                return ""
        return _text(value)

    def rows(self, source: PerRow, scope: Json, target: str, base: str) -> list[Json]:
        found = _search(source.expression, scope)
        if is_empty(found):
            return []
        if isinstance(found, dict):
            found = [found]
        if not isinstance(found, list):
            raise _Fail("rows", f"{source.expression.text} n'est pas une liste de lignes")
        row_base = below(base, source.expression.item)
        made: list[Json] = []
        for row in found:
            # A row of which nothing comes is left out, and so are its origins.
            one = self.all(source.each, row, f"{target}[{len(made)}].", row_base)
            if one:
                made.append(one)
        return made

    def files(
        self, mapping: RequestMapping, document: Json, kind: EventKind
    ) -> tuple[dict[str, Json], ...]:
        choice = mapping.attachments
        listed = document.get("attachments") if isinstance(document, dict) else None
        files = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
        if choice.patterns is not None:
            ordered: dict[int, dict[str, Json]] = {}
            for _, pattern in choice.patterns:
                for index, file in enumerate(files):
                    name = file.get("field")
                    if index not in ordered and isinstance(name, str) and pattern.fullmatch(name):
                        ordered[index] = file
            files = list(ordered.values())
        if kind is EventKind.CREATION and choice.most is not None and len(files) > choice.most:
            if not choice.leave:
                text = f"{len(files)} pièces jointes, la correspondance en admet {choice.most}."
                fault = RuleFault("attachments", choice.line, "attachments", text, choice.file)
                self.faults.append(fault)
            files = files[: choice.most]
        if choice.names is not None:
            files = [_named(choice.names, file, n, document) for n, file in enumerate(files, 1)]
        return tuple(files)


#: The conversion of a value to each type; NATIVE leaves it as it is.
_AS_TYPE: Final[dict[ValueType, Callable[[Json], Json]]] = {
    ValueType.TEXT: text_of,
    ValueType.INTEGER: integer_of,
    ValueType.NUMBER: number_of,
    ValueType.BOOLEAN: boolean_of,
}


def convert(rule: Rule, value: Json) -> Json:
    """Take `value` through what the rule asks, in the order that `Rule` tells. Raises inside
    only."""
    if rule.rich_text is not None and isinstance(value, str):
        value = marked_up(value, rule.rich_text)
    if rule.address is not None:
        value = address_part(value, rule.address)
    if is_empty(value):
        return value
    if rule.phone is not None:
        value = _converted(rule, phone_text, value, rule.phone, rule.foreign)
    if rule.table is not None:
        value = _look_up(rule.table, value)
    if rule.date is not None and rule.zone is not None:
        value = _converted(rule, date_text, value, rule.date, rule.zone)
    if (place := rule.coordinates) is not None:
        value = _converted(rule, coordinates_of, value, place.system, place.axis, place.decimals)
    if rule.unit is not None:
        value = converted(_converted(rule, number_of, value), *rule.unit)
    if (as_type := _AS_TYPE.get(rule.type)) is not None:
        value = _converted(rule, as_type, value)
    return value if rule.max_length is None else _within(rule, value, rule.max_length)


def _converted(rule: Rule, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except CannotConvert as error:
        raise _Fail(error.code, f"{_described(rule)} n'est pas {error.wanted}") from None


def _within(rule: Rule, value: Json, most: int) -> Json:
    if not isinstance(value, str):
        return value
    kept = keep_length(value, most, rule.length_in, rule.too_long)
    if kept is None:
        unit = "caractères" if rule.length_in is LengthUnit.CHARACTERS else "octets"
        raise _Fail("length", f"{_described(rule)} dépasse {most} {unit}")
    return kept


def _named(policy: NamePolicy, file: dict[str, Json], n: int, document: Json) -> dict[str, Json]:
    return {**file, "filename": policy.name(str(file.get("filename")), n, str(document.get("id")))}


def is_empty(value: Json) -> bool:
    """None, blank text, an empty list or object; never False nor 0."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    return isinstance(value, list | dict) and not value


def _own(value: Json) -> Json:
    """Return a copy, so that no request's payload holds a part of the mapping."""
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _true(value: Json) -> bool:
    # As JMESPath has it: 0 is true, an empty text or list is not.
    return not (
        value is None or value is False or (isinstance(value, str | list | dict) and not value)
    )


def _search(expression: Expression, scope: Json) -> Json:
    try:
        return expression.search(scope)
    except ExpressionError:
        raise _Fail(
            "expression", f"l'expression « {expression.text} » ne s'applique pas à cette demande"
        ) from None


def _look_up(table: LookupTable, value: Json) -> Json:
    if isinstance(value, list):
        return [_look_up(table, item) for item in value if not is_empty(item)]
    try:
        key = text_of(value)
    except CannotConvert:
        key = None
    found = None if key is None else table.entries.get(key)
    if found is None:
        found = table.default
    if found is None:
        raise _Fail(
            "table",
            f"la valeur reçue n'est pas dans la table « {table.name} », sans valeur par défaut",
        )
    return found


def _text(value: Json) -> str:
    try:
        return text_of(value)
    except CannotConvert as error:
        raise _Fail("type", f"une partie n'est pas {error.wanted}") from None


def _described(rule: Rule) -> str:
    match rule.source:
        case FromPath(expression):
            return expression.text
        case _:
            return "la valeur"


def _sources(rule: Rule, base: str) -> tuple[str, ...]:
    match rule.source:
        case FromPath(expression) | PerRow(expression=expression):
            if not base:
                return expression.reads
            return tuple(below(base, path) for path in expression.reads)
        case Join(parts):
            found = {
                path: None for part in parts for path in _sources(part, "" if part.root else base)
            }
            return tuple(found)
        case Constant():
            return ()


def _put(payload: dict[str, Json], target: tuple[str, ...], value: Json) -> None:
    for step in target[:-1]:
        payload = payload.setdefault(step, {})
    payload[target[-1]] = value
