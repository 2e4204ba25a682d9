"""Values of the outbox: deliveries, claims, attempts and settlements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.core.content import Content
from gateway.core.delivery import Kind, Progress, Settlement, State
from gateway.core.request import Attachment
from gateway.core.status import Status


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to enqueue. `attachment` is the index of the one file that it sends, if any.
    `asks`: its far end may have it already, and is asked first. `fed`: it gets a number in its
    lane's feed."""

    id: str
    kind: Kind
    lane: str
    attachment: int | None = None
    asks: bool = False
    fed: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """The state of a delivery."""

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
class AttemptRecord:
    """One attempt to store. `answer`: the far end's, when it did not take the delivery.

    `release_digest` and `mapping` (with its version) are those that it was made with.
    """

    action: str
    started_at: datetime
    ms: int
    outcome: str
    answer: str | None = field(default=None, repr=False)
    release_digest: str | None = None
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report to the portal: an event of ours or of the GRU, with its delivery.

    `origin` and `key` make it unique within the request. `status` is canonical, None for a note.
    `body` is sent, and may hold personal data. It is not sent before `due`. `asks`: the portal may
    have it already, and is asked first.
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
    asks: bool = False


@dataclass(frozen=True, slots=True)
class SettlementWrite:
    """The write that ends an attempt: the new state, the attempt, and what follows from it."""

    delivery_id: str
    request_id: str
    lane: str
    fence: int
    settlement: Settlement
    tried: AttemptRecord
    now: datetime
    reports: tuple[NewReport, ...] = ()
    status: Status | None = None
