"""Makes the messages of the pivot contract, which are pushed, fetched, or read again."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from gateway.core.ids import identifier
from gateway.core.request import EventKind
from gateway.core.richtext import clean_text
from gateway.sdk.adapter import Amendment, Submission
from gateway.sdk.filing import Filing
from gateway.sdk.links import FileLinks
from gateway.sdk.pivot_models import (
    API_VERSION,
    PivotErasure,
    PivotEvent,
    PivotEventType,
    PivotFile,
    PivotRequest,
    PivotService,
    Recipient,
)
from gateway.sdk.work import beside, weight

#: The key of the event by which a request begins.
CREATION = EventKind.CREATION.value
_TYPES: Mapping[EventKind, PivotEventType] = {
    EventKind.CREATION: PivotEventType.CREATED,
    EventKind.MESSAGE: PivotEventType.MESSAGE,
    EventKind.DOCUMENT: PivotEventType.DOCUMENT,
    EventKind.CHANGE: PivotEventType.CHANGED,
    EventKind.CANCELLATION: PivotEventType.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class PivotClient:
    """A commune's half-connector: its identity, its secrets and its limits.

    It asks for a token with one of its `secrets`; the first of these also signs our links. Small
    files go into the message, `inline_bytes` in all; others go as links, valid for `link_seconds`.
    """

    commune: str
    instance: str
    environment: Literal["production", "test"]
    service: PivotService
    services: Mapping[str, PivotService]
    secrets: Sequence[str] = field(repr=False)
    public_url: str
    inline_bytes: int
    link_seconds: float

    @property
    def id(self) -> str:
        """The name under which the half-connector asks for a token."""
        return f"{self.commune}.{self.instance}"

    @property
    def recipient(self) -> Recipient:
        return Recipient(commune=self.commune, environment=self.environment)

    @property
    def links(self) -> FileLinks:
        """Return its links to files, signed with its own secrets."""
        return FileLinks(self.id, self.secrets, self.public_url, self.link_seconds)

    async def event(self, sent: Submission | Amendment, now: datetime) -> PivotEvent:
        """Make the message of an event. Its links are valid from `now`."""
        filing = sent.filing or Filing("", "", None, now, now)
        kind = sent.kind if isinstance(sent, Amendment) else EventKind.CREATION
        key = sent.key if isinstance(sent, Amendment) else CREATION
        return PivotEvent(
            id=identifier(sent.reference, key),
            type=_TYPES[kind],
            api_version=API_VERSION,
            recipient=self.recipient,
            sequence=filing.sequence,
            request=PivotRequest(
                reference=sent.reference,
                gru_reference=(sent.gru_reference or None) if isinstance(sent, Amendment) else None,
                portal=filing.portal,
                teleservice=filing.teleservice,
                number=filing.number,
                commune=self.commune,
                service=self.services.get(filing.teleservice, self.service),
                filed_at=filing.submitted_at,
                received_at=filing.received_at,
            ),
            message=_clean(sent.message) if isinstance(sent, Amendment) else None,
            data=_clean(dict(sent.payload)),
            files=await self._files(sent, now),
        )

    def erasure(self, reference: str, gru_reference: str | None) -> PivotErasure:
        """Make the message that asks for an erasure."""
        return PivotErasure(
            id=identifier(reference, "erase"),
            type="request.erased",
            api_version=API_VERSION,
            recipient=self.recipient,
            reference=reference,
            gru_reference=gru_reference,
        )

    async def _files(self, sent: Submission | Amendment, now: datetime) -> tuple[PivotFile, ...]:
        left = self.inline_bytes
        found: list[PivotFile] = []
        for file in sent.files:
            place: dict[str, str | datetime]
            if file.size <= left:
                left -= file.size
                raw = await file.read()
                place = {"content": await beside(len(raw), partial(_base64, raw))}
            else:
                link = self.links.link(sent.reference, file, now)
                place = {"url": link.url, "expires_at": link.expires_at}
            found.append(
                PivotFile.model_validate(
                    {
                        "field": file.field,
                        "filename": _clean(file.filename),
                        "content_type": file.content_type,
                        "size": file.size,
                        "sha256": file.sha256,
                        **place,
                    }
                )
            )
        return tuple(found)


def message_weight(message: PivotEvent | PivotErasure) -> int:
    """Return the size of a message for `beside`."""
    if isinstance(message, PivotErasure):
        return 0
    return weight(message.data) + sum(len(file.content or "") for file in message.files)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _clean(value: Any) -> Any:
    """Return the value without text that JSON readers refuse: U+0000, and half a surrogate pair."""
    if isinstance(value, str):
        return value if value.isprintable() else clean_text(value)
    if isinstance(value, Mapping):
        return {_clean(str(name)): _clean(inner) for name, inner in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value
