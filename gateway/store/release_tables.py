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


class TrailStartRow(SQLModel, table=True):
    """The last entry that a stream of the trail lost at its beginning, and when: what follows is
    chained to its hash."""

    __tablename__ = "trail_start"
    stream: str = Field(primary_key=True)
    n: int
    hash: str
    cut_at: datetime = Field(sa_column=moment_column())


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
    "CREATE TRIGGER {table}_no_{verb} BEFORE {upper} ON {table}{when}"
    " BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
)
#: The beginning of a stream may go, up to where it says that it begins.
_KEPT = (
    " WHEN NOT EXISTS (SELECT 1 FROM trail_start AS s WHERE s.stream = OLD.stream AND s.n >= OLD.n)"
)
_FUNCTION = (
    "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only',"
    " ERRCODE = 'integrity_constraint_violation'; END $$"
)
_POSTGRES = (
    "CREATE TRIGGER {table}_append_only BEFORE {verbs} ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
)
_POSTGRES_TRAIL = (
    "CREATE OR REPLACE FUNCTION trail_kept() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF EXISTS (SELECT 1 FROM trail_start AS s WHERE s.stream = OLD.stream"
    " AND s.n >= OLD.n) THEN RETURN OLD; END IF;"
    " RAISE EXCEPTION USING MESSAGE = 'trail is append-only',"
    " ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE TRIGGER trail_kept BEFORE DELETE ON trail FOR EACH ROW EXECUTE FUNCTION trail_kept()",
)


def _ddl(text: str, dialect: str) -> Any:
    made: Any = DDL(text)  # type: ignore[no-untyped-call]
    return made.execute_if(dialect=dialect)


def _append_only(name: str, *, beginning: bool = False) -> None:
    """Have the database refuse changes, but where the `beginning` may go; the table's migration
    says it again."""
    table: Table = SQLModel.metadata.tables[name]
    # These texts have no percent sign, which would be taken for a parameter.
    for verb in ("update", "delete"):
        when = _KEPT if beginning and verb == "delete" else ""
        text = _SQLITE.format(table=name, verb=verb, upper=verb.upper(), when=when)
        event.listen(table, "after_create", _ddl(text, "sqlite"))
    verbs = "UPDATE OR TRUNCATE" if beginning else "UPDATE OR DELETE OR TRUNCATE"
    texts = [_FUNCTION, _POSTGRES.format(table=name, verbs=verbs)]
    for text in [*texts, *(_POSTGRES_TRAIL if beginning else ())]:
        event.listen(table, "after_create", _ddl(text, "postgresql"))


_append_only("release")
_append_only("trail", beginning=True)

RELEASE: Table = SQLModel.metadata.tables["release"]
APPLIED_FILE: Table = SQLModel.metadata.tables["applied_file"]
TRAIL: Table = SQLModel.metadata.tables["trail"]
TRAIL_START: Table = SQLModel.metadata.tables["trail_start"]
FORM_SCHEMA: Table = SQLModel.metadata.tables["form_schema"]
