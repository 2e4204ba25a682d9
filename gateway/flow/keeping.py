"""Converts untold changes to the JSON that is stored of them, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.core.content import InMemory
from gateway.core.request import Attachment
from gateway.store.rows import IncomingChange


def as_body(news: IncomingChange) -> Mapping[str, Any]:
    """Return the JSON of a change."""
    return {
        "key": news.key,
        "status": news.status,
        "message": news.message,
        "public": news.public,
        "at": news.at.isoformat(),
        "dated": news.dated,
        "doubtful": news.doubtful,
        "present": news.present,
        "sender_key": news.sender_key,
        "unreadable": news.unreadable + len(news.barred),
        "documents": [
            {
                "filename": file.filename,
                "content_type": file.content_type,
                "content": base64.b64encode(content.read(0, content.size)).decode(),
            }
            for file, content in news.documents
            if file.sha256 not in news.barred
        ],
    }


def from_body(
    body: Mapping[str, Any], request_id: str | None, gru_reference: str | None, *, again: bool
) -> IncomingChange:
    """Return the change of a stored JSON."""
    files = [
        (one["filename"], one["content_type"], InMemory(base64.b64decode(one["content"])))
        for one in body["documents"]
    ]
    return IncomingChange(
        key=body["key"],
        gru_reference=gru_reference,
        reference=request_id,
        status=body["status"],
        message=body["message"],
        public=body["public"],
        at=datetime.fromisoformat(body["at"]),
        documents=tuple(
            (Attachment("document", name, kind, content.size, content.sha256), content)
            for name, kind, content in files
        ),
        dated=body["dated"],
        doubtful=body["doubtful"],
        present=body["present"] or again,
        again=again,
        sender_key=body["sender_key"],
        unreadable=body["unreadable"],
    )


__all__ = ["as_body", "from_body"]
