"""The bodies of the pivot contract, `/pivot/v1`: what a commune's own half-connector is sent, and
what it answers and tells. The OpenAPI document is generated from these.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

#: Of the contract: major in the address, minor for what is added, patch for words.
API_VERSION = "1.2.0"
LONGEST_KEY = 100
#: Items of a claim, of a page of events, of what is settled at once.
MOST_ITEMS = 100
#: Faults of one body that are told at once.
MOST_ERRORS = 20
#: Documents of one change.
MOST_DOCUMENTS = 20

Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY, pattern=r"^[\x21-\x7e]+$")]
Number = Annotated[str, Field(min_length=1, max_length=200)]


def _has_place(told: datetime) -> datetime:
    """Return the time. Raises PydanticCustomError at the edge of the calendar."""
    try:
        told.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("no_such_time", "it has no place in UTC") from None
    return told


#: A time of outside, with its offset, which can be told in UTC.
Instant = Annotated[AwareDatetime, AfterValidator(_has_place)]


class OutgoingModel(BaseModel):
    """Base of what we send: there may be more in it one day."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class IncomingModel(BaseModel):
    """Base of what a commune tells: nothing that is not described, lest it be lost in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PivotEventType(StrEnum):
    """The things that happen to a request, as the commune is told of them."""

    CREATED = "request.created"
    MESSAGE = "request.message"
    DOCUMENT = "request.document"
    CHANGED = "request.changed"
    CANCELLED = "request.cancelled"


class PivotStatus(StrEnum):
    """The statuses that a commune may tell. `done`, `refused` and `cancelled` end a request."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    PLANNED = "planned"
    WAITING_CITIZEN = "waiting_citizen"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Recipient(OutgoingModel):
    """The one that a message is meant for: refuse what names another."""

    commune: str = Field(description="INSEE code, five characters.")
    environment: Literal["production", "test"]


class PivotService(OutgoingModel):
    """The service in charge of the request, and how it is reached (CRPA, R112-11-1)."""

    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(None, max_length=200)
    phone: str | None = Field(None, max_length=50)
    address: str | None = Field(None, max_length=500)


class PivotRequest(OutgoingModel):
    """A citizen's request, as it was filed."""

    reference: str = Field(description="Ours, for ever: the key of everything about the request.")
    gru_reference: str | None = Field(description="The commune's own number, once it has given it.")
    portal: str
    teleservice: str = Field(description="The form's slug at the portal.")
    number: str | None = Field(description="The number that the citizen reads.")
    commune: str = Field(description="INSEE code of the commune that the request is for.")
    service: PivotService
    filed_at: datetime = Field(description="When the citizen filed it (UTC).")
    received_at: datetime = Field(description="When the gateway took it (UTC).")


class PivotFile(OutgoingModel):
    """A citizen's file: its bytes in `content`, or to be read at `url`, never both."""

    field: str = Field(description="The form's field.")
    filename: str
    content_type: str = Field(description="Its true type, found in its bytes.")
    size: int = Field(description="Bytes.")
    sha256: str = Field(
        description="Of the bytes, 64 hexadecimal digits. Where what came has another, read the"
        " file again."
    )
    content: str | None = Field(None, description="Base64, for a small file.")
    url: str | None = Field(
        None, description="A signed link, good until `expires_at`; it takes `Range`."
    )
    expires_at: datetime | None = None


class PivotEvent(OutgoingModel):
    """One event of a request. `id` is the same however often it is sent: take each `id` once."""

    id: str
    type: PivotEventType
    api_version: str
    recipient: Recipient
    sequence: int = Field(description="Its place among the events of its request: 1, 2, 3...")
    request: PivotRequest
    message: str | None = Field(description="What the citizen wrote, plain text.")
    data: dict[str, Any] = Field(description="What the commune's mapping makes of it.")
    files: tuple[PivotFile, ...]


class PivotErasure(OutgoingModel):
    """A person is to be forgotten: erase what is held of this request, and answer a receipt."""

    id: str
    type: Literal["request.erased"]
    api_version: str
    recipient: Recipient
    reference: str
    gru_reference: str | None


class ErasureReceipt(IncomingModel):
    """The end of a person's data at the commune. `kept` needs its ground and, if known, its end."""

    outcome: Literal["erased", "anonymised", "kept", "absent"]
    ground: str | None = Field(None, max_length=500)
    until: Instant | None = None


class Acknowledgement(OutgoingModel):
    """The answer to a pushed event: a 2xx, with this body or none. Anything else is tried again
    or, for 4xx, shown to a person. What else it says is passed over."""

    reference: Number | None = Field(None, description="The commune's own number.")
    link: str | None = Field(None, max_length=2000, description="Where agents see it.")
    erasure: ErasureReceipt | None = None


class PivotDocument(IncomingModel):
    """A file for the citizen."""

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(min_length=1, max_length=100)
    content: str = Field(min_length=1, description="Base64.")


class PivotChange(IncomingModel):
    """Something that the commune tells of a request: all of it is taken, or nothing.

    `key` is the commune's own, once per request: the same key with the same content is known
    already, with another content it is refused. All but `key` may be left out. The citizen
    may still be told something after a change that ended the request.
    """

    key: Key
    status: PivotStatus | None = None
    public: str | None = Field(
        None, min_length=1, max_length=20_000, description="The citizen reads it: plain text."
    )
    internal: str | None = Field(
        None, min_length=1, max_length=20_000, description="Stays inside; no citizen reads it."
    )
    documents: tuple[PivotDocument, ...] = Field((), max_length=MOST_DOCUMENTS)
    at: Instant | None = Field(
        None, description="When it happened, if not now, with its offset from UTC."
    )
    gru_reference: Number | None = Field(
        None, description="The commune's own number, where it is given only now."
    )


class ChangeReceipt(OutgoingModel):
    """The change is on disk."""

    reference: str
    key: str
    known: bool = Field(description="True when this key had come before, with the same content.")


class ClaimResultTold(IncomingModel):
    """A result of what was fetched before. `token` is the one that the item bore.

    `done`: kept, with the commune's number if it has one. `refused`: it will never be taken as it
    is, because of `problems`; a person has to look. `later`: to be fetched again after `after`
    seconds. `release`: given back, untried. `extend`: still at work; it is kept for `lease` seconds
    more from now, as this call says, and twelve hours in all from when it was fetched.
    """

    token: Annotated[str, Field(min_length=1, max_length=200)]
    result: Literal["done", "refused", "later", "release", "extend"]
    reference: Number | None = None
    link: str | None = Field(None, max_length=2000)
    problems: tuple[Annotated[str, Field(max_length=500)], ...] = Field(
        (), max_length=20, validate_default=True, description="At least one with `refused`."
    )
    after: int | None = Field(None, ge=0, le=86_400)
    erasure: ErasureReceipt | None = None

    @field_validator("problems")
    @classmethod
    def _why(cls, problems: tuple[str, ...], told: ValidationInfo) -> tuple[str, ...]:
        if told.data.get("result") == "refused" and not any(one.strip() for one in problems):
            raise PydanticCustomError("problems_missing", "a refusal says why")
        return problems


class PivotClaim(IncomingModel):
    """Settles what was fetched before, and takes what is next: one call does both.

    `lease`: seconds within which the results are told; then it may be fetched again. It counts for
    what is taken, and for what is kept by `extend`. `wait`: seconds that the call may stay open
    while there is nothing.
    """

    max: int = Field(10, ge=0, le=MOST_ITEMS)
    lease: int = Field(600, ge=60, le=3600)
    wait: int = Field(0, ge=0, le=25)
    settled: tuple[ClaimResultTold, ...] = Field((), max_length=MOST_ITEMS)


class SettledClaim(OutgoingModel):
    """The fate of a result. `recorded`: kept. `known`: it was over already, with the same number.
    `lost`: somebody else has fetched it since, or it is over otherwise, or it is none of yours; of
    an `extend` also: it cannot be kept any longer, though a result still counts."""

    token: str
    outcome: Literal["recorded", "known", "lost"]
    lease_until: datetime | None = Field(None, description="Of an `extend`: its end now.")


class ClaimedItem(OutgoingModel):
    """A message to take. Of each request one at a time, in its order."""

    token: str = Field(description="To be told with the result. It outlives our restarts.")
    lease_until: datetime
    attempt: int = Field(description="How often it has been fetched: 1 the first time.")
    event: PivotEvent | PivotErasure


class Heartbeat(OutgoingModel):
    """The state of the mailbox: told each time, also when there is nothing to take."""

    at: datetime
    waiting: int = Field(description="Messages that may be fetched now, besides these.")
    oldest_at: datetime | None = Field(description="Since when the oldest of them waits.")
    last_seq: int = Field(description="The last number in the feed; 0 while there is none.")


class ClaimAnswer(OutgoingModel):
    """The fate of each result, what is next, and whether there is more."""

    settled: tuple[SettledClaim, ...]
    items: tuple[ClaimedItem, ...]
    more: bool
    heartbeat: Heartbeat


class FedEvent(OutgoingModel):
    """A message in the feed. `event` is None for one that was erased since, whose number stays, and
    for one that cannot be made as things are now."""

    seq: int = Field(description="Its number: larger than any before it; some may be missing.")
    reference: str
    taken: bool = Field(description="You have acknowledged it.")
    erased: bool
    event: PivotEvent | PivotErasure | None


class EventsPage(OutgoingModel):
    """A part of the feed. Go on from the last `seq` that you read, while there is `more`."""

    items: tuple[FedEvent, ...]
    more: bool
    last_seq: int = Field(description="The last number in the feed; 0 while there is none.")


class FieldFault(OutgoingModel):
    """One fault of a body: its problem, and where it is (JSON Pointer)."""

    type: str
    detail: str
    pointer: str


class PivotFailure(OutgoingModel):
    """RFC 9457, with who is at fault and whether to send it again.

    `type` is constant; the registry of problems lists all of them. `pointer` is the field (JSON
    Pointer), where one is at fault; `errors` are all such faults, of which the first is told above.
    Give `correlation` when you ask us.
    """

    type: str
    title: str
    status: int
    detail: str
    fault: Literal["yours", "ours", "portal", "nobody"]
    retry: Literal["never", "after", "now"]
    pointer: str | None
    errors: tuple[FieldFault, ...] = Field((), max_length=MOST_ERRORS)
    correlation: str


class AccessToken(OutgoingModel):
    """RFC 6749, 5.1."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.")
