"""The table of communes that leave, or have left. It stays: it is the proof, and the refusal of
whatever comes later. Only `markers` may hold texts about people, sealed, and only until the end."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, text
from sqlmodel import Field, SQLModel

from gateway.core.decommission import DecommissionStep
from gateway.store.dialect import moment_column

_CURRENT = text("reopened_at IS NULL AND step <> 'cancelled'")


class DecommissionRow(SQLModel, table=True):
    """One commune's end. `drain` and `tell` bound two steps, in seconds. `counts` is JSON. A
    commune that is connected again has `reopened_at`. `codes` are its further INSEE codes."""

    __tablename__ = "decommission"
    id: str = Field(primary_key=True)
    commune: str
    name: str
    portal: str
    step: str
    by: str
    because: str
    announced_at: datetime = Field(sa_column=moment_column())
    stop_at: datetime = Field(sa_column=moment_column())
    drain: int = Field(sa_column=Column(Integer, nullable=False))
    tell: int = Field(sa_column=Column(Integer, nullable=False))
    closed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    settled_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    erasing_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    reopened_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    counts: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    markers: str | None = Field(default=None, sa_column=Column(Text))
    codes: str | None = Field(default=None, sa_column=Column(Text))

    __table_args__ = (
        CheckConstraint(
            "step IN (" + ", ".join(f"'{one.value}'" for one in DecommissionStep) + ")",
            name="ck_decommission_step",
        ),
        Index(
            "uq_decommission_commune",
            "commune",
            unique=True,
            sqlite_where=_CURRENT,
            postgresql_where=_CURRENT,
        ),
    )


DECOMMISSION: Table = SQLModel.metadata.tables["decommission"]
