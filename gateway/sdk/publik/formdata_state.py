"""The state of one formdata, from a light read: what may be called, and which reports were carried
out.

w.c.s. stores a hook's payload in `workflow.data` before its first action. Only the mark, a
backoffice field that the last action writes, proves that all of them ran.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.core.request import Json
from gateway.core.workflow import AWAITED, TOLD, document_event
from gateway.sdk import read_base64

#: Switches of a read with only actions, statuses and backoffice fields.
LIGHT: Mapping[str, str] = {
    "include-actions": "on",
    **{
        f"include-{part}": "off"
        for part in (
            *("fields", "user", "roles", "submission", "evolution"),
            *("workflow-data", "files-content"),
        )
    },
}
#: The same with the history, whose messages name their reports.
WITH_HISTORY: Mapping[str, str] = {**LIGHT, "include-evolution": "on"}


def hook_action(name: str) -> str:
    """Return w.c.s.'s name, in `actions`, of a global action with an external call."""
    return f"global-action:{name}"


def jump_action(name: str) -> str:
    """Return w.c.s.'s name, in `actions`, of a jump with an external call."""
    return f"jump:{name}"


@dataclass(frozen=True, slots=True)
class FormdataState:
    """`actions`: what this account may call now. `fields`: the backoffice fields by name.
    `messages`: the workflow's texts in the history, where asked for."""

    actions: frozenset[str]
    fields: Mapping[str, Json]
    messages: tuple[str, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Json]) -> FormdataState:
        """Read the state from the JSON of a formdata, read with LIGHT or more."""
        actions = document.get("actions")
        workflow = document.get("workflow")
        fields = workflow.get("fields") if isinstance(workflow, dict) else None
        return cls(
            frozenset(actions) if isinstance(actions, dict) else frozenset(),
            fields if isinstance(fields, dict) else {},
            tuple(_contents(document.get("evolution"), "workflow-comment")),
        )

    def carried_out(self, mark: str, event_id: str) -> bool | None:
        """Does the mark name this event? None: the workflow has no such field, or hides it."""
        if mark not in self.fields:
            return None
        value = self.fields[mark]
        if isinstance(value, list):
            return event_id in value
        return isinstance(value, str) and event_id in value.replace(",", " ").split()

    def awaits_document(self, mark: str, event_id: str) -> bool:
        """Did this event announce a document that has not come? The shipped workflow alone says."""
        announced = document_event(event_id)
        return self.fields.get(AWAITED) == announced and not self.carried_out(mark, announced)

    def has_message(self, event_id: str) -> bool:
        """Is this event's message in the history? Only the shipped workflow shows it."""
        return any(f'{TOLD}="{event_id}"' in message for message in self.messages)


def attached_in(document: Mapping[str, Json]) -> frozenset[str]:
    """Return the SHA-256 of each document in the history of a formdata with files' contents."""
    contents = map(read_base64, _contents(document.get("evolution"), "workflow-attachment"))
    return frozenset(hashlib.sha256(one).hexdigest() for one in contents if one is not None)


def _contents(evolution: Json, kind: str) -> Iterator[str]:
    """Yield the workflow's history parts of this type."""
    for entry in evolution if isinstance(evolution, list) else []:
        parts = entry.get("parts") if isinstance(entry, dict) else None
        for part in parts if isinstance(parts, list) else []:
            content = part.get("content") if isinstance(part, dict) else None
            if isinstance(content, str) and part.get("type") == kind:
                yield content


__all__ = [
    "LIGHT",
    "WITH_HISTORY",
    "FormdataState",
    "attached_in",
    "hook_action",
    "jump_action",
]
