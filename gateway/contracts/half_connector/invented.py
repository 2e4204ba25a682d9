"""Messages of our side about invented citizens."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.sdk.pivot_models import API_VERSION, PivotErasure, PivotEvent, PivotEventType

SERVICE: Final = {"name": "Relations usagers", "email": "mairie@exemple.invalid"}
DATA: Final[Mapping[str, Any]] = {
    "title": "Lampadaire éteint (essai de recette)",
    "description": "Demande inventée pour la recette : à ne pas traiter.",
}
#: A red dot: the smallest PNG that programs accept.
PICTURE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@dataclass(slots=True)
class Citizens:
    """Invents requests of one commune; no two runs share a reference."""

    commune: str
    teleservice: str
    data: Mapping[str, Any]
    run: str = field(default_factory=lambda: secrets.token_hex(3).upper())
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def reference(self) -> str:
        """Return the reference of a new request."""
        return f"TDG-ESSAI-{self.run}-{next(self._count)}"

    def created(self, reference: str, **changes: Any) -> dict[str, Any]:
        """Return the message that begins a request."""
        return self.event(reference, PivotEventType.CREATED, 1, **changes)

    def wrote(self, reference: str, text: str, sequence: int = 2, **changes: Any) -> dict[str, Any]:
        """Return the message of a text that a citizen added."""
        changes = {"message": text, "data": {}, **changes}
        return self.event(reference, PivotEventType.MESSAGE, sequence, **changes)

    def event(
        self, reference: str, kind: PivotEventType, sequence: int, **changes: Any
    ) -> dict[str, Any]:
        """Return any message of a request. `changes` replace its fields."""
        now = datetime.now(UTC)
        said: dict[str, Any] = {
            "id": f"{reference}-{kind.value.rpartition('.')[2]}-{sequence}",
            "type": kind.value,
            "api_version": API_VERSION,
            "recipient": {"commune": self.commune, "environment": "test"},
            "sequence": sequence,
            "request": {
                "reference": reference,
                "gru_reference": None,
                "portal": "toodego",
                "teleservice": self.teleservice,
                "number": reference.rpartition("-")[2],
                "commune": self.commune,
                "service": SERVICE,
                "filed_at": now - timedelta(minutes=1),
                "received_at": now,
            },
            "message": None,
            "data": self.data,
            "files": [],
        }
        whole = PivotEvent.model_validate(said).model_dump(mode="json")
        return {**whole, **changes}

    def erased(self, reference: str) -> dict[str, Any]:
        """Return the message that asks for an erasure."""
        told = PivotErasure.model_validate(
            {
                "id": f"{reference}-erase",
                "type": "request.erased",
                "api_version": API_VERSION,
                "recipient": {"commune": self.commune, "environment": "test"},
                "reference": reference,
                "gru_reference": None,
            }
        )
        return told.model_dump(mode="json")


def file_told(content: bytes, *, url: str | None = None) -> dict[str, Any]:
    """Return a file of a message: within it, or with a link."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return {
        "field": "photo",
        "filename": "éclairage public.png",
        "content_type": "image/png",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "content": None if url else base64.b64encode(content).decode(),
        "url": url,
        "expires_at": until if url else None,
    }
