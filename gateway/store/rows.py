"""Values that leave the store: what the rooms above know of requests, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.core.content import Content
from gateway.core.delivery import Kind, Progress, Settlement, State
from gateway.core.request import Attachment, ServiceRequest
from gateway.core.status import Status


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery to enqueue. `attachment` is the index of the one file it carries, if it does."""

    id: str
    kind: Kind
    lane: str
    attachment: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified event of the portal, ready to be kept with what it makes us owe.

    `digest` is a hash of what it says, `told_key` what the workflow calls it, and `entry_at` the
    instant of its entry in the formdata's history: by these it is told from others.
    """

    request: ServiceRequest
    event_id: str
    digest: str
    gru: str
    received_at: datetime
    deliveries: tuple[Planned, ...]
    blobs: Mapping[str, Content]
    told_key: str | None = None
    entry_at: datetime | None = None
    nonce: str | None = None
    nonce_until: datetime | None = None
    #: The keyed hashes of the account it comes from; none while nobody was ever erased.
    marks: tuple[str, ...] = ()


class Reception(StrEnum):
    """How an incoming event was taken."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
    REPLAYED = "replayed"
    UNKNOWN = "unknown"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Kept:
    """A request as it stands."""

    id: str
    portal: str
    commune: str
    teleservice: str
    ref: str
    number: str | None
    api_url: str | None
    gru: str
    status: Status
    status_at: datetime
    changed_at: datetime | None
    gru_reference: str | None
    gru_link: str | None
    received_at: datetime
    submitted_at: datetime
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The answer of `receive`: how it was taken, and the request where there is one."""

    reception: Reception
    request: Kept | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it stands."""

    id: str
    request_id: str
    event_id: str
    attachment_id: str | None
    kind: Kind
    lane: str
    seq: int
    state: State
    head: bool
    asking: bool
    next_at: datetime
    failures: int
    attempts: int
    reason: str
    detail: str
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    created_at: datetime
    settled_at: datetime | None
    sent_at: datetime | None = None

    @property
    def progress(self) -> Progress:
        return Progress(self.created_at, self.failures, self.reason, self.sent_at)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until the lease ends, with all that its far end needs.

    `body` is None when what is kept of its event cannot be decoded.
    """

    delivery: Delivery
    request: Kept
    event_key: str
    event_kind: str
    body: Mapping[str, Any] | None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt, as it is kept."""

    action: str
    started_at: datetime
    ms: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Report:
    """Something to tell the portal: an event of ours, or of the GRU, with its report delivery.

    `origin` and `key` make it unique within the request. `status` is canonical, None for a note.
    `body` is what travels, personal data allowed. `due`: it is not sent before.
    """

    event_id: str
    delivery_id: str
    request_id: str
    lane: str
    origin: str
    key: str
    at: datetime
    body: Mapping[str, Any]
    status: Status | None = None
    documents: tuple[tuple[Attachment, Content], ...] = ()
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """A change that a GRU told, with the (event, delivery) ids of the reports it may cause.

    `dated`: `at` is by the GRU's clock, and orders its changes. By ours it orders nothing.
    """

    key: str
    gru_reference: str | None
    reference: str | None
    status: str | None
    message: str | None
    public: bool
    at: datetime
    documents: tuple[tuple[Attachment, Content], ...]
    ids: tuple[tuple[str, str], ...]
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What to write when an attempt is over: the move, the attempt, and what follows from it."""

    delivery_id: str
    request_id: str
    lane: str
    fence: int
    settlement: Settlement
    tried: Tried
    now: datetime
    reports: tuple[Report, ...] = ()
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt as it was."""

    n: int
    action: str
    started_at: datetime
    ms: int
    outcome: str
    reason: str
    detail: str
    state: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a request without its body: what `request show` may print."""

    id: str
    origin: str
    key: str
    kind: str
    status: str | None
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Trace:
    """A request with all that happened to it."""

    request: Kept
    events: tuple[Told, ...]
    deliveries: tuple[Delivery, ...]
    attempts: Mapping[str, tuple[Attempt, ...]]
