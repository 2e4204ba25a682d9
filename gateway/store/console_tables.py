"""Tables of the console: accounts, sessions, browsers and tokens. Of secrets, hashes alone."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Table, Text
from sqlmodel import Field, SQLModel

from gateway.core.console import ConsoleRole
from gateway.store.dialect import moment_column

_ROLES = ", ".join(f"'{role.value}'" for role in ConsoleRole)


class ConsoleAccountRow(SQLModel, table=True):
    """A local account. `communes` are separated by spaces, empty for none. `setup_mark`: the hash
    of its one link by which a password is chosen."""

    __tablename__ = "console_account"
    name: str = Field(primary_key=True)
    role: str
    communes: str = ""
    password: str | None = Field(default=None, sa_column=Column(Text))
    setup_mark: str | None = Field(default=None, index=True)
    setup_until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    disabled: bool = False
    created_at: datetime = Field(sa_column=moment_column())
    signed_in_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    __table_args__ = (CheckConstraint(f"role IN ({_ROLES})", name="ck_console_account_role"),)


class ConsoleSessionRow(SQLModel, table=True):
    """A person who has signed in. Of a local account, role and communes are read from there."""

    __tablename__ = "console_session"
    mark: str = Field(primary_key=True)
    account: str = Field(index=True)
    shown_as: str
    role: str
    communes: str | None = None
    began_at: datetime = Field(sa_column=moment_column())
    seen_at: datetime = Field(sa_column=moment_column())
    ends_at: datetime = Field(sa_column=moment_column())


class ConsoleBrowserRow(SQLModel, table=True):
    """The failed sign-ins to an account from one browser that it knows, or from all others
    together: who guesses elsewhere locks nobody out of the browser that they use."""

    __tablename__ = "console_browser"
    mark: str = Field(primary_key=True)
    account: str = Field(index=True)
    failures: int = 0
    locked_until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    expires_at: datetime = Field(sa_column=moment_column())


class ConsoleTokenRow(SQLModel, table=True):
    """A token by which a program acts or reads."""

    __tablename__ = "console_token"
    name: str = Field(primary_key=True)
    mark: str = Field(index=True, unique=True)
    role: str
    communes: str | None = None
    created_at: datetime = Field(sa_column=moment_column())
    created_by: str
    ends_at: datetime = Field(sa_column=moment_column())


CONSOLE_ACCOUNT: Table = SQLModel.metadata.tables["console_account"]
CONSOLE_SESSION: Table = SQLModel.metadata.tables["console_session"]
CONSOLE_BROWSER: Table = SQLModel.metadata.tables["console_browser"]
CONSOLE_TOKEN: Table = SQLModel.metadata.tables["console_token"]
