"""Tables of linked accounts. Only `sealed` holds personal data; it is unreadable without its key.

All other columns are keyed hashes (`gateway.core.linking`), made for one commune each, so that rows
of two communes do not show that they are about one person.
"""

from datetime import datetime

from sqlalchemy import Column, Index, Table, Text, text
from sqlmodel import Field, SQLModel

from gateway.store.dialect import moment_column


class AccountLinkRow(SQLModel, table=True):
    """A link of a GLC account and an account at a commune's portal. It counts once it is
    `confirmed`; a new one waits beside the former until then."""

    __tablename__ = "account_link"
    commune: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    confirmed: bool = Field(primary_key=True)
    account_mark: str
    portal_mark: str
    sealed: str = Field(sa_column=Column(Text, nullable=False))
    linked_at: datetime = Field(sa_column=moment_column())

    __table_args__ = (
        Index("ix_account_link_account", "account_mark"),
        Index("ix_account_link_portal", "portal_mark"),
        Index(
            "ix_account_link_pending",
            "linked_at",
            sqlite_where=text("NOT confirmed"),
            postgresql_where=text("NOT confirmed"),
        ),
    )


class LinkSessionRow(SQLModel, table=True):
    """A citizen who has signed in, for some minutes."""

    __tablename__ = "link_session"
    mark: str = Field(primary_key=True)
    subject_mark: str = Field(index=True)
    session_mark: str | None = Field(default=None, index=True)
    account_mark: str = Field(index=True)
    sealed: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime = Field(sa_column=moment_column())


ACCOUNT_LINK: Table = SQLModel.metadata.tables["account_link"]
LINK_SESSION: Table = SQLModel.metadata.tables["link_session"]
