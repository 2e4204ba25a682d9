"""Values that leave the store: requests, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.core.content import Content
from gateway.core.lane_name import GruLane, PortalLane
from gateway.core.request import Attachment, ServiceRequest
from gateway.core.status import Status
from gateway.store.outbox.rows import Delivery, NewDelivery, NewReport


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified event of the portal, to be stored with its deliveries.

    `digest` is a hash of its content, `told_key` the workflow's name of it, and `entry_at` the
    instant of its entry in the formdata's history: these tell events apart.
    """

    request: ServiceRequest
    event_id: str
    digest: str
    gru: str
    received_at: datetime
    deliveries: tuple[NewDelivery, ...]
    blobs: Mapping[str, Content]
    told_key: str | None = None
    entry_at: datetime | None = None
    nonce: str | None = None
    nonce_until: datetime | None = None
    #: The keyed hashes of its account; none while nobody was ever erased.
    marks: tuple[str, ...] = ()
    #: The keyed hash of the request itself, which a backup may have brought back.
    mark: str | None = None
    #: The portal itself confirms its commune.
    vouched: bool = True
    #: The request's id should its own be taken, which only a false claim brings about.
    spare_id: str = ""
    #: The caller's place in a trace, to be stored with a new request.
    traceparent: str | None = None


class Reception(StrEnum):
    """The answer to an incoming event."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
    REPLAYED = "replayed"
    UNKNOWN = "unknown"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The state of a request."""

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
    #: The portal itself confirms its commune; otherwise only the commune's key does.
    vouched: bool = True
    #: The caller's place in a trace, if its first push named one.
    traceparent: str | None = None

    @property
    def gru_lane(self) -> str:
        """The lane to its GRU."""
        return str(GruLane(self.commune, self.gru))

    @property
    def portal_lane(self) -> str:
        """The lane to its portal."""
        return str(PortalLane(self.portal, self.commune))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The result of `accept`: the reception, and the request where there is one."""

    reception: Reception
    request: StoredRequest | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class IncomingChange:
    """A change that a GRU told, checked and bounded.

    `key` is the GRU's own number of it, None for the present state. `at` is when it happened, by
    the GRU's clock if `dated`, never later than it came; `doubtful`: the GRU's date is impossible.
    `present`: a poll has just read it. `again`: stored before, and judged anew.
    """

    key: str | None
    gru_reference: str | None
    reference: str | None
    status: str | None
    message: str | None
    public: bool
    at: datetime
    documents: tuple[tuple[Attachment, Content], ...] = ()
    dated: bool = True
    doubtful: bool = False
    present: bool = False
    again: bool = False
    sender_key: str | None = None
    unreadable: int = 0
    #: SHA-256 of those of its files in which a virus was found.
    infected: frozenset[str] = frozenset()
    #: SHA-256 of those that are a page or a program under another type.
    disguised: frozenset[str] = frozenset()
    #: Returns the whole change, parts of which have to be fetched: see `gateway.sdk.Change`.
    more: Callable[[], Awaitable[Any]] | None = field(default=None, compare=False)

    @property
    def barred(self) -> frozenset[str]:
        """Return the SHA-256 of the files that are not kept, and never handed on."""
        return self.infected | self.disguised


@dataclass(frozen=True, slots=True)
class Untold:
    """A change that the citizen was not told yet. `name` says which of the GRU's words it is.

    `person`: somebody has to act on it. `judged_by` names the rules that judged it: other rules
    judge it again. `body` is the change. Without a request, it is for the one that will have the
    number `gru_reference`.
    """

    id: str
    commune: str
    gru: str
    request_id: str | None
    gru_reference: str | None
    name: str
    reason: str
    detail: str
    person: bool
    judged_by: str
    at: datetime
    received_at: datetime

    @property
    def lane(self) -> str:
        return str(GruLane(self.commune, self.gru))


@dataclass(frozen=True, slots=True)
class WithheldPart:
    """A part of a change that cannot be told now: see `Untold`."""

    name: str
    reason: str
    body: Mapping[str, Any] | None = None
    detail: str = ""
    person: bool = False


@dataclass(frozen=True, slots=True)
class ChangeEffects:
    """The judgement of a change: what it makes us do.

    `names` count as told from now on, `word` is the last one heard, `changed_at` when the GRU says
    that it changed. `settled` are names of untold things that wait no more. `unread`: it gave way
    to something newer, and is to be read again.
    """

    reports: tuple[NewReport, ...] = ()
    names: tuple[str, ...] = ()
    word: str | None = None
    changed_at: datetime | None = None
    withheld: tuple[WithheldPart, ...] = ()
    settled: tuple[str, ...] = ()
    judged_by: str = ""
    unread: bool = False
    unfetched: bool = False

    @property
    def nothing(self) -> bool:
        return not (
            self.reports
            or self.names
            or self.word is not None
            or self.changed_at is not None
            or self.withheld
            or self.settled
            or self.unfetched
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. It was made with the release of `release_digest` (None: no release runs) and
    the `mapping`, with its version; an attempt of before 0016 has neither."""

    n: int
    action: str
    started_at: datetime
    ms: int
    outcome: str
    reason: str
    detail: str
    state: str
    next_at: datetime | None
    release_digest: str | None = None
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A far end's answer to an attempt: shown on demand alone."""

    delivery_id: str
    n: int
    action: str
    started_at: datetime
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event of a request without its body, as `request show` may print it."""

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

    request: StoredRequest
    events: tuple[EventSummary, ...]
    deliveries: tuple[Delivery, ...]
    attempts: Mapping[str, tuple[Attempt, ...]]
    untold: tuple[Untold, ...] = ()
