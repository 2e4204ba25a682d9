"""Gives a formdata to the gateway as a push of the portal does."""

from __future__ import annotations

from typing import Any

from gateway.flow.engine import Engine
from gateway.store.rows import Acceptance
from gateway.wire.event import AnnouncedEvent, read_event
from gateway.wire.formdata import Formdata


async def take_in(
    engine: Engine,
    portal: str,
    commune: str,
    slug: str,
    formdata: Formdata,
    event: AnnouncedEvent | None = None,
    **how: Any,
) -> Acceptance:
    """Have the receiver store a formdata. `event` None: the one that its `extra` names.

    `how` are keywords of `receive`.
    """
    route = engine.catalogue.route(portal, commune, slug)
    told = event or read_event(formdata.extra)
    return await engine.receiver.receive(route, formdata, told, **how)
