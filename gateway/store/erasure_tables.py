"""Tables of deleted accounts and their erasures.

Accounts are keyed hashes (`gateway.store.accounts`), beside a sealed one until the person is erased
or cleared. The keyed hash of the erasure key (`mark`) and the gateway's own ids remain.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Table, text
from sqlmodel import Field, SQLModel

from gateway.core.erasure import Phase
from gateway.store.conditions import LIVE
from gateway.store.dialect import moment_column


class SuspectRow(SQLModel, table=True):
    """An account that the provider does not know, and since when."""

    __tablename__ = "suspect"
    account: str = Field(primary_key=True)
    first_unknown_at: datetime = Field(sa_column=moment_column())
    confirmed_at: datetime = Field(sa_column=moment_column())
    confirmations: int


class ErasureRow(SQLModel, table=True):
    """The erasure of one person, or of one request (`request_id`) where no account is gone. `run`
    is the poll or the order that it came of: `erasure approve` takes both. `because`: why a person
    asked for it. `account` of a single request is its id, so that it is in one erasure at a time.
    """

    __tablename__ = "erasure"
    id: str = Field(primary_key=True)
    run: str = Field(index=True)
    account: str | None = None
    mark: str = Field(index=True)
    source: str
    state: str
    reason: str = ""
    found_at: datetime = Field(sa_column=moment_column())
    opened_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    due_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    erased_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    first_by: str | None = None
    second_by: str | None = None
    requests: int = 0
    files: int = 0
    #: Communes whose acknowledgement is in the trail.
    told: str = ""
    request_id: str | None = None
    because: str | None = None
    #: As that of a request.
    sealed_account: str | None = None

    __table_args__ = (
        CheckConstraint(
            "state IN (" + ", ".join(f"'{one.value}'" for one in Phase) + ")",
            name="ck_erasure_state",
        ),
        CheckConstraint(
            "(state IN ('held', 'open')) = (account IS NOT NULL)", name="ck_erasure_account"
        ),
        Index(
            "uq_erasure_account",
            "account",
            unique=True,
            sqlite_where=text("account IS NOT NULL"),
            postgresql_where=text("account IS NOT NULL"),
        ),
        Index(
            "ix_erasure_request",
            "request_id",
            sqlite_where=text("request_id IS NOT NULL"),
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index(
            "ix_erasure_live",
            "state",
            sqlite_where=LIVE,
            postgresql_where=LIVE,
        ),
    )


class ErasureTargetRow(SQLModel, table=True):
    """One request of an erasure. `delivery_id` is None when no GRU can have received it. What is
    kept has its ground, perhaps its end, and who decided."""

    __tablename__ = "erasure_target"
    erasure_id: str = Field(primary_key=True, foreign_key="erasure.id")
    request_id: str = Field(primary_key=True, foreign_key="request.id")
    commune: str
    gru: str
    delivery_id: str | None = Field(default=None, index=True)
    acknowledged_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    acknowledged_by: str | None = None
    #: One of `gateway.core.outcome.ErasureResult`, once it was answered.
    answer: str | None = None
    ground: str | None = None
    until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    decided_by: str | None = None


class TombstoneRow(SQLModel, table=True):
    """The keyed hash of an erased account, or of a single request that was erased: nothing about it
    is accepted any more."""

    __tablename__ = "tombstone"
    mark: str = Field(primary_key=True)
    made_at: datetime = Field(sa_column=moment_column())


SUSPECT: Table = SQLModel.metadata.tables["suspect"]
ERASURE: Table = SQLModel.metadata.tables["erasure"]
TARGET: Table = SQLModel.metadata.tables["erasure_target"]
TOMBSTONE: Table = SQLModel.metadata.tables["tombstone"]
