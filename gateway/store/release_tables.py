"""Tables of releases, the trail, and accepted forms. A release's content and a trail's entry are
written once: the database itself refuses to change or remove what a commune agreed to."""

from datetime import datetime
from typing import Any

from sqlalchemy import DDL, CheckConstraint, Column, Table, Text, event
from sqlmodel import Field, SQLModel

from gateway.store.dialect import moment_column


class ReleaseRow(SQLModel, table=True):
    """A release by its digest: the texts of a commune's files, and what they ran with (JSON)."""

    __tablename__ = "release"
    digest: str = Field(primary_key=True)
    commune: str = Field(index=True)
    content: str = Field(sa_column=Column(Text, nullable=False))
    kept_at: datetime = Field(sa_column=moment_column())


class AppliedFileRow(SQLModel, table=True):
    """A commune's file as it was last applied."""

    __tablename__ = "applied_file"
    commune: str = Field(primary_key=True)
    content: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime = Field(sa_column=moment_column())


class TrailRow(SQLModel, table=True):
    """One entry of a hash-chained trail; `n` counts from 1 within its stream."""

    __tablename__ = "trail"
    stream: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    at: datetime = Field(sa_column=moment_column())
    kind: str
    data: str = Field(sa_column=Column(Text, nullable=False))
    previous: str
    hash: str

    __table_args__ = (CheckConstraint("n > 0", name="ck_trail_n"),)


class FormSchemaRow(SQLModel, table=True):
    """A portal's form as last accepted (JSON), and its drift since (JSON)."""

    __tablename__ = "form_schema"
    portal: str = Field(primary_key=True)
    teleservice: str = Field(primary_key=True)
    accepted: str = Field(sa_column=Column(Text, nullable=False))
    accepted_at: datetime = Field(sa_column=moment_column())
    drift: str = Field(sa_column=Column(Text, nullable=False))
    read_at: datetime = Field(sa_column=moment_column())
    failure: str | None = None


_SQLITE = (
    "CREATE TRIGGER {table}_no_{verb} BEFORE {upper} ON {table}"
    " BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
)
_FUNCTION = (
    "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only',"
    " ERRCODE = 'integrity_constraint_violation'; END $$"
)
_POSTGRES = (
    "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
)


def _ddl(text: str, dialect: str) -> Any:
    made: Any = DDL(text)  # type: ignore[no-untyped-call]
    return made.execute_if(dialect=dialect)


def _append_only(name: str) -> None:
    """Have the database refuse changes; the table's migration says it again."""
    table: Table = SQLModel.metadata.tables[name]
    # These texts have no percent sign, which would be taken for a parameter.
    for verb in ("update", "delete"):
        text = _SQLITE.format(table=name, verb=verb, upper=verb.upper())
        event.listen(table, "after_create", _ddl(text, "sqlite"))
    for text in (_FUNCTION, _POSTGRES.format(table=name)):
        event.listen(table, "after_create", _ddl(text, "postgresql"))


_append_only("release")
_append_only("trail")

RELEASE: Table = SQLModel.metadata.tables["release"]
APPLIED_FILE: Table = SQLModel.metadata.tables["applied_file"]
TRAIL: Table = SQLModel.metadata.tables["trail"]
FORM_SCHEMA: Table = SQLModel.metadata.tables["form_schema"]
