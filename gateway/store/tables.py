"""The tables. CHECKs and indexes repeat the state machine of `gateway.core.delivery`. Only
`event.body`, `untold.body`, `attempt.answer`, `attachment`, `blob` and `sealed_account` hold
personal data, and it is sealed (`gateway.store.sealed`)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlmodel import Field, SQLModel

from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from gateway.store.conditions import (
    ASKABLE,
    DUE,
    FAILING,
    FED,
    FOR_A_PERSON,
    PERSON,
    PURGEABLE,
    SENDING,
)
from gateway.store.dialect import Moment, moment_column


def _one_of(column: str, values: Any) -> CheckConstraint:
    words = ", ".join(f"'{v.value}'" for v in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"ck_{column}")


class Request(SQLModel, table=True):
    __tablename__ = "request"
    id: str = Field(primary_key=True)
    portal: str
    commune: str
    teleservice: str
    ref: str
    uuid: str | None = None
    number: str | None = None
    api_url: str | None = None
    account: str | None = None
    digest: str
    gru: str
    status: str
    status_at: datetime = Field(sa_column=moment_column())
    changed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    gru_reference: str | None = None
    gru_link: str | None = None
    received_at: datetime = Field(sa_column=moment_column())
    submitted_at: datetime = Field(sa_column=moment_column())
    erased_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    #: The time of the next question to its GRU; NULL: never again.
    ask_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    #: The number of questions in a row that its GRU did not answer.
    unseen: int | None = None
    #: The last word of its GRU, and when it came.
    word: str | None = None
    heard_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    #: The portal itself confirms its commune. False: only the commune's key does; nobody asked.
    vouched: bool = Field(
        default=True, sa_column=Column(Boolean, nullable=False, server_default=true())
    )
    #: The time at which its content went; NULL while it has any. See `gateway.store.retention`.
    purged_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    #: The id of the key with which all of it is sealed; NULL: it has none.
    key_id: str | None = None
    #: The account that `account` is the keyed hash of, sealed: see `gateway.store.accounts`.
    sealed_account: str | None = None
    #: The caller's place in a trace, where its first push named one: see `gateway.core.tracing`.
    traceparent: str | None = None

    __table_args__ = (
        UniqueConstraint("portal", "teleservice", "ref", name="uq_request_ref"),
        _one_of("status", Status),
        Index(
            "ix_request_account",
            "account",
            sqlite_where=text("account IS NOT NULL"),
            postgresql_where=text("account IS NOT NULL"),
        ),
        Index("ix_request_gru_reference", "gru", "gru_reference"),
        Index("ix_request_received", "received_at"),
        Index(
            "ix_request_purgeable",
            "status_at",
            sqlite_where=PURGEABLE,
            postgresql_where=PURGEABLE,
        ),
        Index(
            "ix_request_ask",
            "commune",
            "gru",
            "ask_at",
            sqlite_where=ASKABLE,
            postgresql_where=ASKABLE,
        ),
    )


class EventRow(SQLModel, table=True):
    """An event of a request, told by the portal, by the GRU, or by the gateway itself."""

    __tablename__ = "event"
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id")
    origin: str
    key: str
    kind: str
    digest: str = ""
    status: str | None = None
    at: datetime = Field(sa_column=moment_column())
    received_at: datetime = Field(sa_column=moment_column())
    body: str | None = Field(default=None, sa_column=Column(Text))
    #: Of the portal's events: the workflow's name of it, and when it entered the history.
    told_key: str | None = None
    entry_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    __table_args__ = (
        UniqueConstraint("request_id", "origin", "key", name="uq_event_key"),
        CheckConstraint("origin IN ('portal', 'gru', 'gateway')", name="ck_event_origin"),
    )


class HeardRow(SQLModel, table=True):
    """A note, text or file of a GRU that counts as told, by its number or its hash."""

    __tablename__ = "heard"
    request_id: str = Field(primary_key=True, foreign_key="request.id")
    name: str = Field(primary_key=True)


class UntoldRow(SQLModel, table=True):
    """A change that the citizen was not told yet: see `gateway.store.rows.Untold`."""

    __tablename__ = "untold"
    id: str = Field(primary_key=True)
    commune: str
    gru: str
    request_id: str | None = Field(default=None, foreign_key="request.id")
    gru_reference: str | None = None
    name: str
    reason: str
    detail: str
    person: bool
    judged_by: str
    at: datetime = Field(sa_column=moment_column())
    received_at: datetime = Field(sa_column=moment_column())
    body: str | None = Field(default=None, sa_column=Column(Text))
    size: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))

    __table_args__ = (
        UniqueConstraint("request_id", "name", name="uq_untold_name"),
        Index("ix_untold_gru", "commune", "gru"),
        Index(
            "ix_untold_early",
            "commune",
            "gru",
            sqlite_where=text("request_id IS NULL"),
            postgresql_where=text("request_id IS NULL"),
        ),
        Index(
            "ix_untold_person",
            "received_at",
            sqlite_where=FOR_A_PERSON,
            postgresql_where=FOR_A_PERSON,
        ),
    )


class AttachmentRow(SQLModel, table=True):
    __tablename__ = "attachment"
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id", index=True)
    event_id: str = Field(foreign_key="event.id", index=True)
    field: str
    filename: str
    content_type: str
    size: int
    #: Of its bytes: a keyed hash of the request and what is in them.
    address: str = Field(index=True)


class BlobChunk(SQLModel, table=True):
    """A piece of a file's bytes: a large file is never whole in memory. With a `place` the bytes
    lie in the object store, and piece 0 stands for all of them. It bears the file's `key`, sealed
    with that of the request; NULL: the bytes are in clear."""

    __tablename__ = "blob"
    address: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    place: str | None = None
    key: str | None = None

    __table_args__ = (
        Index(
            "ix_blob_place",
            "place",
            unique=True,
            sqlite_where=text("place IS NOT NULL"),
            postgresql_where=text("place IS NOT NULL"),
        ),
    )


class PendingObject(SQLModel, table=True):
    """A place of the object store that no file refers to. `until` NULL: no file can any more."""

    __tablename__ = "doomed"
    place: str = Field(primary_key=True)
    until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    erasure_id: str | None = Field(default=None, index=True)


class CondemnedKey(SQLModel, table=True):
    """A key that nothing needs any more, and that is to be destroyed: `gateway.store.condemned`."""

    __tablename__ = "condemned_key"
    id: str = Field(primary_key=True)


class DeliveryRow(SQLModel, table=True):
    """One delivery for one far end.

    `head`: no earlier delivery of its request blocks it. `asking`: it was claimed to ask the far
    end, not to send. `sent_at`: when the far end may have taken it; NULL when there is no doubt.
    """

    __tablename__ = "delivery"
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="request.id")
    event_id: str = Field(foreign_key="event.id", index=True)
    attachment_id: str | None = None
    kind: str
    lane: str
    seq: int
    state: str
    head: bool
    asking: bool = False
    next_at: datetime = Field(sa_column=moment_column())
    failures: int = 0
    attempts: int = 0
    reason: str = ""
    detail: str = ""
    lease_owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    fence: int = 0
    created_at: datetime = Field(sa_column=moment_column())
    settled_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    sent_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    #: Its number in its lane's feed; NULL where the lane has none.
    feed: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    #: When it was last claimed; NULL: never.
    claimed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    __table_args__ = (
        UniqueConstraint("request_id", "lane", "seq", name="uq_delivery_seq"),
        Index(
            "uq_delivery_feed",
            "lane",
            "feed",
            unique=True,
            sqlite_where=FED,
            postgresql_where=FED,
        ),
        _one_of("kind", Kind),
        _one_of("state", State),
        CheckConstraint(
            "(state = 'sending') = (lease_owner IS NOT NULL)", name="ck_delivery_lease"
        ),
        CheckConstraint(
            "(state = 'sending') = (lease_until IS NOT NULL)", name="ck_delivery_lease_until"
        ),
        CheckConstraint(
            "(state IN ('done', 'discarded')) = (settled_at IS NOT NULL)",
            name="ck_delivery_settled",
        ),
        CheckConstraint(
            "state NOT IN ('done', 'discarded') OR NOT head", name="ck_delivery_final_head"
        ),
        CheckConstraint("state <> 'sending' OR head", name="ck_delivery_sending_head"),
        Index(
            "ix_delivery_due",
            "lane",
            "next_at",
            sqlite_where=DUE,
            postgresql_where=DUE,
        ),
        Index(
            "ix_delivery_stuck",
            "created_at",
            sqlite_where=FAILING,
            postgresql_where=FAILING,
        ),
        Index(
            "ix_delivery_sending",
            "lease_until",
            sqlite_where=SENDING,
            postgresql_where=SENDING,
        ),
        Index(
            "uq_delivery_one_sending",
            "request_id",
            "lane",
            unique=True,
            sqlite_where=SENDING,
            postgresql_where=SENDING,
        ),
        Index(
            "ix_delivery_person",
            "state",
            "lane",
            sqlite_where=PERSON,
            postgresql_where=PERSON,
        ),
    )


class AttemptRow(SQLModel, table=True):
    """One try at a delivery. Rows are only added; only the last few have their `answer`.

    `release_digest` and `mapping` (with its version) are those that it was made with.
    """

    __tablename__ = "attempt"
    id: int | None = Field(
        default=None,
        sa_column=Column(
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
    )
    delivery_id: str = Field(foreign_key="delivery.id", index=True)
    n: int
    action: str
    started_at: datetime = Field(sa_column=moment_column())
    ms: int
    outcome: str
    reason: str
    detail: str = ""
    state: str
    next_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    answer: str | None = Field(default=None, sa_column=Column(Text))
    release_digest: str | None = None
    mapping: str | None = None

    __table_args__ = (CheckConstraint("action IN ('send', 'find')", name="ck_attempt_action"),)


class Nonce(SQLModel, table=True):
    __tablename__ = "nonce"
    key: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(Moment, nullable=False, index=True))


class Cursor(SQLModel, table=True):
    """A poll's progress, moved in the transaction that stores what was read."""

    __tablename__ = "cursor"
    name: str = Field(primary_key=True)
    value: str | None = None
    updated_at: datetime = Field(sa_column=moment_column())
    failure: str | None = None
    #: The far end's fault in what it says, though it can be read.
    fault: str | None = None


class ConnectedRow(SQLModel, table=True):
    """The time since which a commune's teleservice has a route: earlier requests are not ours."""

    __tablename__ = "connected"
    portal: str = Field(primary_key=True)
    commune: str = Field(primary_key=True)
    teleservice: str = Field(primary_key=True)
    since: datetime = Field(sa_column=moment_column())


class PassedOverRow(SQLModel, table=True):
    """A request of the portal that could not be taken; deleted once it is here. `later`: the
    request is here; a later event of it could not be taken."""

    __tablename__ = "passed_over"
    portal: str = Field(primary_key=True)
    teleservice: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    code: str
    commune: str | None = None
    first_at: datetime = Field(sa_column=moment_column())
    at: datetime = Field(sa_column=moment_column())
    times: int = 1
    later: bool = False


class LaneRow(SQLModel, table=True):
    """A lane's memory: its breaker, a person's pause, the break that its far end asked for."""

    __tablename__ = "lane"
    name: str = Field(primary_key=True)
    paused: bool = False
    breaker: str = "closed"
    reason: str = ""
    opened_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    probe_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    trips: int = 0
    hold_until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    __table_args__ = (
        CheckConstraint("breaker IN ('closed', 'open', 'half_open')", name="ck_lane_breaker"),
    )


class Tick(SQLModel, table=True):
    """One run of one timer: its row lets one replica win it."""

    __tablename__ = "tick"
    job: str = Field(primary_key=True)
    tick: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=moment_column())


class Installation(SQLModel, table=True):
    """A value of the whole database; see `gateway.store.installation`."""

    __tablename__ = "installation"
    name: str = Field(primary_key=True)
    value: str


class Replica(SQLModel, table=True):
    """A process that works on lanes, and the time of its last sign of life."""

    __tablename__ = "replica"
    owner: str = Field(primary_key=True)
    seen_at: datetime = Field(sa_column=moment_column())


REQUEST: Table = SQLModel.metadata.tables["request"]
DELIVERY: Table = SQLModel.metadata.tables["delivery"]
EVENT: Table = SQLModel.metadata.tables["event"]
ATTACHMENT: Table = SQLModel.metadata.tables["attachment"]
ATTEMPT: Table = SQLModel.metadata.tables["attempt"]
BLOB: Table = SQLModel.metadata.tables["blob"]
PENDING_OBJECT: Table = SQLModel.metadata.tables["doomed"]
CONDEMNED_KEY: Table = SQLModel.metadata.tables["condemned_key"]
NONCE: Table = SQLModel.metadata.tables["nonce"]
CURSOR: Table = SQLModel.metadata.tables["cursor"]
LANE: Table = SQLModel.metadata.tables["lane"]
TICK: Table = SQLModel.metadata.tables["tick"]
CONNECTED: Table = SQLModel.metadata.tables["connected"]
PASSED_OVER: Table = SQLModel.metadata.tables["passed_over"]
INSTALLATION: Table = SQLModel.metadata.tables["installation"]
REPLICA: Table = SQLModel.metadata.tables["replica"]
HEARD: Table = SQLModel.metadata.tables["heard"]
UNTOLD: Table = SQLModel.metadata.tables["untold"]
