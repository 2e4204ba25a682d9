"""A request's contents as a reader may see them: where each field came from, and the values for who
has said why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.catalogue.explain import PreviewRow, preview
from gateway.console.sight import Sight
from gateway.core.errors import Rejected
from gateway.core.render import Unmappable
from gateway.store import console, requests, trail
from gateway.store.rows import Trace

#: Characters of one value that are shown, and acts that are listed.
_LONGEST: Final = 2000
_ACTS: Final = 50


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """A field as it is sent to the GRU: its name there, what it is made of, and the line of the
    mapping that says so."""

    target: str
    source: str
    place: str


@dataclass(frozen=True, slots=True)
class RequestOrigins:
    """The fields of a request, without a value. `mapping` is the file; `why_none` says in French
    why there are none."""

    mapping: str
    fields: tuple[FieldOrigin, ...]
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class ActOnRequest:
    """An act of a person on a request or a delivery of its own, as the trail has it."""

    at: datetime
    kind: str
    by: str
    because: str
    target: str


@dataclass(frozen=True, slots=True)
class RevealedValue:
    """A field with its value: personal data."""

    target: str
    value: str = field(repr=False)


async def origins(sight: Sight, trace: Trace) -> RequestOrigins:
    """Return where the fields of a request that the reader sees came from. Raises NotFound."""
    found = await _preview(sight, trace)
    if isinstance(found, str):
        return RequestOrigins("", (), found)
    mapping, rows = found
    return RequestOrigins(mapping, tuple(FieldOrigin(r.target, r.source, r.place) for r in rows))


async def revealed(sight: Sight, trace: Trace) -> tuple[RevealedValue, ...]:
    """Return the values that were sent, and what the far ends answered, masked. For who has said
    why. Raises NotFound."""
    found = await _preview(sight, trace)
    rows = [] if isinstance(found, str) else found[1]
    values = [RevealedValue(row.target, _written(row.value)) for row in rows]
    answers = await sight.engine.store.read(requests.answers, trace.request.id)
    return (
        *values,
        *(RevealedValue(f"réponse {one.n} ({one.action})", one.answer) for one in answers),
    )


async def acts_on(sight: Sight, trace: Trace) -> tuple[ActOnRequest, ...]:
    """Return what people did with a request that the reader sees. Raises NotFound."""
    sight.theirs(trace.request.commune)
    targets = [trace.request.id, *(one.id for one in trace.deliveries)]
    targets += [one.id for one in trace.untold]
    entries = await sight.engine.store.read(trail.about, console.STREAM, targets, _ACTS)
    return tuple(
        ActOnRequest(
            one.at,
            one.kind,
            str(one.data.get("by", "")),
            str(one.data.get("because", "")),
            str(one.data.get("target", "")),
        )
        for one in entries
    )


async def _preview(sight: Sight, trace: Trace) -> tuple[str, list[PreviewRow]] | str:
    request = trace.request
    sight.theirs(request.commune)
    body: Mapping[str, Any] | None = await sight.engine.store.read(requests.first_body, request.id)
    if not body:
        return "Son contenu est effacé."
    try:
        route = sight.engine.catalogue.route(request.portal, request.commune, request.teleservice)
    except Rejected:
        return "La commune n'a plus de correspondance en service pour cette démarche."
    rows = await asyncio.to_thread(preview, route.mapping, body)
    if isinstance(rows, Unmappable):
        return f"La correspondance ne sait pas la rendre : {rows.summary()}"
    return route.mapping.file, rows


def _written(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


__all__ = ["acts_on", "origins", "revealed"]
