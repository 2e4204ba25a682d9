"""The bodies of the HTTP surface, as the published contract describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.status import Status


class StrictBody(BaseModel):
    """Base: nothing that is not described."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StatusBody(StrictBody):
    """A request as it stands, for the portal's workflow."""

    id: str = Field(description="Our identifier, also the reference kept in the GRU.")
    reference: str = Field(description="The same as `id`.")
    status: Status = Field(description="Canonical status.")
    statut: str = Field(description="The word for the workflow, as the mapping has it.")
    url: str = Field(description="Where the current status can be read (signed GET).")
    gru_reference: str | None = Field(description="The GRU's own number, once it is known.")


class AcceptedData(StatusBody):
    """A request or an event that was kept."""

    created: bool = Field(description="False when it was here already.")
    display_id: str | None = Field(
        None, description="Only for a teleservice that adopts our number as its own."
    )


class StandingData(StatusBody):
    """A request as it stands, with its latest change."""

    link: str | None = Field(description="Where agents see it in the GRU.")
    status_at: datetime = Field(description="Since when it has this status (UTC).")
    waiting: bool = Field(description="Something is still owed to the GRU or to the portal.")


class AcceptedAnswer(StrictBody):
    """On disk: the portal need not send it again."""

    err: Literal[0]
    data: AcceptedData


class StandingAnswer(StrictBody):
    """The current status, for workflows that ask."""

    err: Literal[0]
    data: StandingData


class PublikFailure(StrictBody):
    """Nothing was kept. Texts are French, for agents.

    It has no `err`, so that w.c.s. takes the branch of the HTTP status: 4xx or 5xx.
    """

    err_class: str
    err_code: str = Field(description="A constant word.")
    err_desc: str


class ProblemDetails(StrictBody):
    """RFC 9457, with a constant `code` and the `correlation` to look for in the logs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    correlation: str


class PushBody(BaseModel):
    """A formdata of w.c.s., complete, complete with `extra`, or an explicit payload with `id`."""

    model_config = ConfigDict(extra="allow")

    id: str | int = Field(description="The formdata's id, unique within its form.")
    uuid: str | None = None
    display_id: str | None = None
    api_url: str | None = None
    receipt_time: str | None = None
    user: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    extra: dict[str, Any] | None = Field(
        None, description="`action`, `event` and `message` tell later events."
    )


class EventBody(BaseModel):
    """A later event; `id` may be left out, or must be the one in the address."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = None
    action: str | None = Field(
        None, description="message, document, modification or annulation (or in `extra`)."
    )
    event: str | None = Field(None, description="The event's key: the same key is taken once.")
    message: str | None = None
    fields: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


class Live(StrictBody):
    """The process runs."""

    live: Literal[True] = True


class Ready(StrictBody):
    """The gateway takes requests, or not."""

    ready: bool
    database: bool = Field(description="The database answered in time.")


class CauseBody(StrictBody):
    """One link of the chain of causes."""

    code: str
    text: str
    who: str = Field(description="gateway, gru, portal, operator or integrator: who can act.")
    delivery: str | None
    since: datetime | None
    next_at: datetime | None = Field(description="When the gateway acts by itself.")
    action: str
    detail: str = Field(description="What the attempt itself said.")


class Why(StrictBody):
    """The causes for which a request waits, nearest first."""

    id: str
    causes: list[CauseBody]
