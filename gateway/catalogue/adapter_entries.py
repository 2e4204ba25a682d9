"""Far ends that an adapter speaks to, as they are written in our files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gateway.catalogue.network import TIMEOUT, NetworkEntry
from gateway.catalogue.scalars import Slug, StrictModel, Text
from gateway.core.ticket import TicketField
from gateway.sdk.duration import Duration


class AdapterEntry(StrictModel):
    """A far end that an adapter speaks to."""

    adapter: Slug
    environment: Literal["production", "test"] = "production"
    options: dict[str, Any] = Field(
        default_factory=dict, description="The adapter's own; see its documentation."
    )
    timeout: Duration = Field(TIMEOUT, description="Of one call to it, as a whole.")
    network: NetworkEntry = NetworkEntry()
    poll: Duration | None = Field(
        60.0, description="How often it is asked for news, where the adapter can; null: never."
    )


class TicketingEntry(AdapterEntry):
    """The tool in which each incident has a ticket. `options` read `payload`, whose names are those
    of `fields`."""

    fields: dict[Slug, TicketField] = Field(
        default_factory=lambda: {name.value: name for name in TicketField},
        min_length=1,
        description="What a ticket is made of: the name under which `options` read it, and ours.",
    )
    closed: tuple[Text, ...] = Field(
        (), max_length=50, description="The tool's words for a ticket that is over."
    )
    closes: bool = Field(
        False, description="true: an incident is closed here once its ticket is over there."
    )
    lost_answer: Literal["ask", "send_again"] = Field(
        "ask",
        description="ask: the tool is asked before anything is sent again; it needs `find`."
        " send_again: a ticket may come twice.",
    )


__all__ = ["AdapterEntry", "TicketingEntry"]
