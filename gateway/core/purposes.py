"""Finds the data that a mapping sends, and those whose purpose it does not tell."""

from __future__ import annotations

from gateway.core.mapping import RequestMapping, SourcePath, source_paths
from gateway.core.personal import FieldPurpose

#: Given by the gateway itself with each request: neither asked of a person nor told of one.
_OURS = ("id", "portal", "commune", "teleservice", "ref", "uuid", "number", "channel", "url")
_REQUEST = (*_OURS, "api_url", "submitted_at", "event.key", "event.kind")


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
    for one in source_paths(mapping, sent=True):
        if of_the_form(one.path) and (told is None or told.of(one.path) is None):
            found.setdefault(one.path, one)
    return tuple(found.values())


def unsent(mapping: RequestMapping) -> tuple[FieldPurpose, ...]:
    """Return the purposes of which the mapping sends nothing."""
    told = mapping.personal
    paths = [one.path for one in source_paths(mapping, sent=True)]
    used = {told.of(path) for path in paths} if told is not None else set()
    return tuple(one for one in (told.fields if told else ()) if one not in used)
