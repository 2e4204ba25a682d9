"""Finds the data that a mapping sends, and those whose purpose it does not tell."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.expression import below
from gateway.core.mapping import (
    Constant,
    FromPath,
    Join,
    PerRow,
    RequestMapping,
    Rule,
    SourcePath,
)
from gateway.core.personal import FieldPurpose

#: Given by the gateway itself with each request: neither asked of a person nor told of one.
_OURS = ("id", "portal", "commune", "teleservice", "ref", "uuid", "number", "channel", "url")
_REQUEST = (*_OURS, "api_url", "submitted_at", "event.key", "event.kind")


def sent_paths(mapping: RequestMapping) -> tuple[SourcePath, ...]:
    """Return what the mapping sends: the paths of values and files with their targets, without
    those that only decide whether something goes."""
    found: dict[SourcePath, None] = {}
    for rule in mapping.submit:
        found.update(dict.fromkeys(_values(rule, "", "")))
    for kind, rules in mapping.amend.items():
        for rule in rules:
            found.update(dict.fromkeys(_values(rule, "", f"{kind.value}:")))
    choice = mapping.attachments
    patterns = ["*"] if choice.patterns is None else [text for text, _ in choice.patterns]
    for text in patterns:
        path = f"fields.{text}".replace("[*]", "[]")
        found[SourcePath(path, "attachments", choice.line, choice.file)] = None
    return tuple(found)


def of_the_request(path: str) -> bool:
    """Does a path name only the request itself, as its number or date?"""
    return path in _REQUEST


def of_the_form(path: str) -> bool:
    """Is a path one whose purpose the mapping's author has to tell? The citizen's messages and
    changes are told by the register itself."""
    return not of_the_request(path) and path.partition(".")[0].partition("[")[0] not in (
        "event",
        "changes",
    )


def unpurposed(mapping: RequestMapping) -> tuple[SourcePath, ...]:
    """Return the fields of the form that are sent and whose purpose is not told, once each."""
    told = mapping.personal
    found: dict[str, SourcePath] = {}
    for one in sent_paths(mapping):
        if of_the_form(one.path) and (told is None or told.of(one.path) is None):
            found.setdefault(one.path, one)
    return tuple(found.values())


def unsent(mapping: RequestMapping) -> tuple[FieldPurpose, ...]:
    """Return the purposes of which the mapping sends nothing."""
    told = mapping.personal
    paths = [one.path for one in sent_paths(mapping)]
    used = {told.of(path) for path in paths} if told is not None else set()
    return tuple(one for one in (told.fields if told else ()) if one not in used)


def _values(rule: Rule, base: str, prefix: str) -> Iterator[SourcePath]:
    target = prefix + rule.name
    here = "" if rule.root else base
    match rule.source:
        case FromPath(expression):
            for path in expression.reads:
                yield SourcePath(below(here, path), target, rule.line, rule.file)
        case Join(parts):
            for part in parts:
                yield from _values(part, here, prefix)
        case PerRow(expression, each):
            row = below(here, expression.item)
            for inner in each:
                yield from _values(inner, row, f"{target}[].")
        case Constant():
            return
