"""The deliveries to the GRU that an event of the portal requires."""

from __future__ import annotations

from collections.abc import Callable

from gateway.catalogue.catalogue import Route
from gateway.core.delivery import Kind
from gateway.core.render import Rendered, render
from gateway.core.request import EventKind, ServiceRequest
from gateway.sdk import Capabilities, Files
from gateway.store.outbox.rows import NewDelivery
from gateway.wire.event_content import sent_along


def owed(
    route: Route,
    request: ServiceRequest,
    capabilities: Capabilities | None,
    new_id: Callable[[], str],
    *,
    asks: bool,
) -> tuple[NewDelivery, ...]:
    """Return the deliveries of an event, in order. `capabilities` is None when the GRU is not open
    now. `asks`: the GRU may have the event already, and is asked first."""
    lane, kind = route.gru.lane_name, request.event.kind
    fed = capabilities is not None and capabilities.fed

    def one(kind: Kind, attachment: int | None = None) -> NewDelivery:
        return NewDelivery(new_id(), kind, lane, attachment, asks, fed)

    files = list(enumerate(request.attachments))
    if kind is EventKind.DOCUMENT and files:
        return tuple(one(Kind.AMEND, n) for n, _ in files)
    deliveries = []
    if kind is not EventKind.MESSAGE or request.event.message:
        deliveries.append(one(Kind.SUBMIT if kind is EventKind.CREATION else Kind.AMEND))
    if kind is EventKind.MESSAGE:
        deliveries += [one(Kind.AMEND, n) for n, file in files if sent_along(file.field)]
    if capabilities is not None and _go_apart(kind, capabilities):
        # Files come before any later event. Unmappable now: all of them, for a mended mapping
        # passes over those that it does not send.
        rendered = render(route.mapping, request.document(), EventKind.DOCUMENT)
        chosen = None
        if isinstance(rendered, Rendered):
            chosen = {file["field"] for file in rendered.attachments}
        deliveries += [
            one(Kind.AMEND, n)
            for n, file in files
            if chosen is None or file.field in chosen
            # The creation's own report names its empty files.
            if file.size or kind is not EventKind.CREATION
        ]
    return tuple(deliveries)


def _go_apart(kind: EventKind, capabilities: Capabilities) -> bool:
    """Does each file go in a delivery of its own, after its event?"""
    if kind is EventKind.CREATION:
        return capabilities.files is Files.AFTER
    # Only the files that an edit adds.
    return kind is EventKind.CHANGE and EventKind.DOCUMENT in capabilities.amends
