"""Tables of announcements, and of the communes that they concern. No personal data but the names of
the people who act."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Table
from sqlmodel import Field, SQLModel

from gateway.store.dialect import moment_column


class AnnouncementRow(SQLModel, table=True):
    """An announcement. `ends_at` None: a change, which goes on. `notice`: the seconds beforehand
    that communes were owed when it was made."""

    __tablename__ = "announcement"
    id: str = Field(primary_key=True)
    kind: str
    title: str
    body: str
    starts_at: datetime = Field(sa_column=moment_column())
    ends_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    notice: int
    announced_at: datetime = Field(sa_column=moment_column())
    by: str
    cancelled_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    cancelled_by: str | None = None
    because: str | None = None

    __table_args__ = (
        CheckConstraint("kind IN ('maintenance', 'change')", name="ck_announcement_kind"),
        CheckConstraint("(kind = 'change') = (ends_at IS NULL)", name="ck_announcement_ends"),
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="ck_announcement_order"),
        Index("ix_announcement_starts", "starts_at"),
    )


class AnnouncementCommuneRow(SQLModel, table=True):
    """A commune that an announcement concerns; `read_by` None: nobody has read it."""

    __tablename__ = "announcement_commune"
    announcement_id: str = Field(primary_key=True, foreign_key="announcement.id")
    commune: str = Field(primary_key=True)
    read_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    read_by: str | None = None


ANNOUNCEMENT: Table = SQLModel.metadata.tables["announcement"]
CONCERNED: Table = SQLModel.metadata.tables["announcement_commune"]
