"""Reads the history of a request in w.c.s. as changes.

w.c.s. only appends entries and never moves their time. It appends parts to the last entry, without
an identity of their own: so the entry's time and the part's content make the key of a part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from adapters.publik.options import PublikOptions
from gateway.sdk import Change, Document, note_text, read_base64
from gateway.sdk.publik.localtime import parse_aware

#: Entries read of one history, the latest ones.
MOST_ENTRIES = 1000
#: Characters of a request's number.
_LONGEST_NUMBER = 200


def request_number(told: Any) -> str | None:
    """Return the number in the `id` of a request; None for anything else."""
    number = told.get("id") if isinstance(told, dict) else None
    if isinstance(number, bool) or not isinstance(number, str | int):
        return None
    # Python refuses to write a number of more than 4300 digits.
    text = number if isinstance(number, str) else str(number) if abs(number) < 10**18 else ""
    return text if text and len(text) <= _LONGEST_NUMBER and text.isprintable() else None


def status_names(schema: Any) -> Mapping[str, str]:
    """Return the names of the workflow's statuses by their identifiers."""
    workflow = schema.get("workflow") if isinstance(schema, dict) else None
    listed = workflow.get("statuses") if isinstance(workflow, dict) else None
    return {
        str(one["id"]): str(one["name"])
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and one.get("id") and one.get("name")
    }


def named_statuses(formdata: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the names of the visible and the real status, as the request itself gives them."""
    return status_names({"workflow": {"statuses": _standing(formdata)}})


def _standing(formdata: Mapping[str, Any]) -> list[Any]:
    """Return the status that the submitter sees, and the real one."""
    workflow = formdata.get("workflow")
    told = workflow if isinstance(workflow, dict) else {}
    return [told.get("status"), told.get("real_status")]


def _hidden_now(formdata: Mapping[str, Any]) -> frozenset[str]:
    """Return the current status if w.c.s. hides it from the submitter."""
    shown, real = (one.get("id") if isinstance(one, dict) else None for one in _standing(formdata))
    return frozenset({real} if isinstance(real, str) and shown != real else ())


def read_changes(
    formdata: Mapping[str, Any], names: Mapping[str, str], options: PublikOptions
) -> Iterator[Change]:
    """Yield the statuses, texts and files of a request's history, oldest first.

    A status that `names` lacks is left out. Only the answer about one request has files.
    """
    number = request_number(formdata)
    if number is None:
        return
    evolution = formdata.get("evolution")
    hidden = _hidden_now(formdata) | frozenset(options.hidden_statuses)
    standing = ""
    for entry in evolution[-MOST_ENTRIES:] if isinstance(evolution, list) else []:
        at = parse_aware(entry.get("time")) if isinstance(entry, dict) else None
        if at is None:
            continue
        if isinstance(entry.get("status"), str):
            standing = entry["status"]
            if standing in names and standing not in hidden:
                yield Change(_key(at), number, status=names[standing], at=at)
        parts = entry.get("parts")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict):
                shown = standing not in hidden and _is_public(part, entry, options)
                yield from _read_part(part, number, at, shown)


def _is_public(part: Mapping[str, Any], entry: Mapping[str, Any], options: PublikOptions) -> bool:
    """Is this part for the citizen, and not the citizen's own?"""
    if "identifier" in part or "comment" in part:
        asked = part.get("identifier") in options.public_comments
        return asked and entry.get("who_id") != "_submitter"
    to = part.get("to")
    return options.public_messages and (not to or (isinstance(to, list) and "_submitter" in to))


def _read_part(part: Mapping[str, Any], number: str, at: datetime, shown: bool) -> Iterator[Change]:
    if part.get("type") == "workflow-comment":
        plain = part.get("comment_plain_text")
        text = note_text(part.get("comment") or part.get("content"))
        if isinstance(plain, str):
            text = note_text(plain, "never")
        if text is not None:
            key = _key(at, text.encode())
            yield Change(key, number, message=text, public=shown, at=at)
    elif part.get("type") == "workflow-attachment":
        content = part.get("content")
        whole = read_base64(content) if isinstance(content, str) else None
        name = str(part.get("filename") or "document")[:200]
        kind = str(part.get("content_type") or "application/octet-stream")
        if whole is None:
            key = _key(at, name.encode())
            yield Change(key, number, public=shown, at=at, unreadable=1)
        else:
            files = (Document(name, kind, whole),)
            yield Change(_key(at, whole), number, public=shown, at=at, documents=files)


def _key(at: datetime, content: bytes | None = None) -> str:
    told = at.isoformat()
    return told if content is None else f"{told}:{hashlib.sha256(content).hexdigest()[:20]}"


__all__ = ["named_statuses", "read_changes", "request_number", "status_names"]
