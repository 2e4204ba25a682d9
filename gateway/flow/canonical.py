"""Turns a formdata of w.c.s. into the canonical request."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.core.content import Content, InMemory
from gateway.core.ids import displaced_ref
from gateway.core.request import Attachment, Event, EventKind, ServiceRequest
from gateway.wire.event import AnnouncedEvent
from gateway.wire.event_content import placed
from gateway.wire.files import IncomingFile
from gateway.wire.formdata import Formdata


def attachments_of(
    files: Sequence[IncomingFile],
) -> tuple[tuple[Attachment, ...], dict[str, Content]]:
    """Return the files by reference, and their bytes by SHA-256."""
    attachments: list[Attachment] = []
    blobs: dict[str, Content] = {}
    for file in files:
        content = file.content or InMemory(b"")
        blobs[content.sha256] = content
        attachments.append(
            Attachment(file.field, file.filename, file.content_type, content.size, content.sha256)
        )
    return tuple(attachments), blobs


def request_of(
    new_id: str,
    place: tuple[str, str, str],
    formdata: Formdata,
    event: Event,
    attachments: tuple[Attachment, ...],
    now: datetime,
) -> ServiceRequest:
    """Return the canonical request of a formdata; `place` is (portal, commune, teleservice)."""
    portal, commune, teleservice = place
    places = [attachment.as_json() for attachment in attachments]
    return ServiceRequest(
        id=new_id,
        portal=portal,
        commune=commune,
        teleservice=teleservice,
        ref=formdata.ref,
        event=event,
        submitted_at=formdata.receipt_time or now,
        uuid=formdata.uuid,
        number=formdata.display_id,
        channel=formdata.channel,
        url=formdata.url,
        api_url=formdata.api_url,
        user=formdata.user,
        fields=placed(formdata.fields, places),
        workflow_fields=placed(formdata.workflow_fields, places),
        extra=placed(formdata.extra, places),
        location=formdata.location,
        attachments=attachments,
    )


def set_aside(request: ServiceRequest) -> ServiceRequest:
    """Return the request under a number that no formdata of the portal has."""
    return dataclasses.replace(
        request, ref=displaced_ref(request.ref, request.commune), api_url=None, url=None
    )


def event_key(event: AnnouncedEvent, content: str, at: datetime | None) -> str:
    """Return the key of an event, by which GRUs are asked about it too.

    The instant in the history makes the key, where it is known. So push and reconcile give the same
    key, before and after a loss of data.
    """
    if event.kind is EventKind.CREATION:
        return event.kind.value  # a request is created once, whatever the action is called
    if at is None and event.key is not None:
        return event.key
    said = content if at is None else at.astimezone(UTC).isoformat()
    return f"{event.kind.value}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
