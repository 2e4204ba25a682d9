"""Tables of incidents: their communes, pauses and notices; and counts of refused calls. No personal
data but the names of the people who act."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, false
from sqlmodel import Field, SQLModel

from gateway.core.incident import IncidentKind, IncidentState, Party, Severity
from gateway.store.conditions import LIVE_INCIDENT, OWED_NOTICE
from gateway.store.dialect import Moment, moment_column


def _one_of(column: str, values: Any) -> CheckConstraint:
    words = ", ".join(f"'{v.value}'" for v in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"ck_incident_{column}")


class IncidentRow(SQLModel, table=True):
    """An incident. `live`: what is seen of its cause belongs to it; a cause has one such incident.

    `worst` is the symptom that weighs most, `words` are all that showed. `gone_at`: when the last
    one was seen no more. `returns`: how often it was resolved and came back; `times`: how often the
    symptoms showed anew. `severity_by` and `party_by`: the person who said so.
    """

    __tablename__ = "incident"
    id: str = Field(primary_key=True)
    cause: str
    kind: str
    severity: str
    party: str
    worst: str
    words: str
    reason: str = ""
    state: str
    live: bool = True
    first_seen_at: datetime = Field(sa_column=moment_column())
    opened_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    last_seen_at: datetime = Field(sa_column=moment_column())
    gone_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    resolved_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    returns: int = 0
    times: int = 1
    severity_by: str | None = None
    party_by: str | None = None
    acked_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    acked_by: str | None = None
    assigned_to: str | None = None
    warned_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    breached_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    notified_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    notified_by: str | None = None
    closed_by: str | None = None
    because: str | None = Field(default=None, sa_column=Column(Text))
    post_mortem: str | None = Field(default=None, sa_column=Column(Text))

    __table_args__ = (
        _one_of("kind", IncidentKind),
        _one_of("severity", Severity),
        _one_of("party", Party),
        _one_of("state", IncidentState),
        CheckConstraint("state = 'suspected' OR opened_at IS NOT NULL", name="ck_incident_opened"),
        CheckConstraint("state <> 'closed' OR closed_at IS NOT NULL", name="ck_incident_closed"),
        Index(
            "uq_incident_live",
            "cause",
            "kind",
            unique=True,
            sqlite_where=LIVE_INCIDENT,
            postgresql_where=LIVE_INCIDENT,
        ),
        Index("ix_incident_opened", "opened_at"),
    )


class IncidentCommuneRow(SQLModel, table=True):
    """A commune that an incident hits."""

    __tablename__ = "incident_commune"
    incident_id: str = Field(primary_key=True, foreign_key="incident.id")
    commune: str = Field(primary_key=True)
    since: datetime = Field(sa_column=moment_column())


class IncidentPauseRow(SQLModel, table=True):
    """A time in which an incident's clock stands still. `commune`: who must act; None: it was
    resolved meanwhile."""

    __tablename__ = "incident_pause"
    incident_id: str = Field(primary_key=True, foreign_key="incident.id")
    n: int = Field(primary_key=True)
    started_at: datetime = Field(sa_column=moment_column())
    ended_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    commune: str | None = None
    because: str
    by: str


class IncidentNoticeRow(SQLModel, table=True):
    """A note owed to a commune, to the operators (`audience` empty), or to the tool of the tickets:
    one for each step. `n` counts how often the incident came back; of a ticket it is the number of
    the trail's entry. superseded: a later step says it all. `unsure`: it may have been taken.

    `incident_id` is that of an incident, or of an announcement: one queue sends both."""

    __tablename__ = "incident_notice"
    incident_id: str = Field(primary_key=True)
    audience: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    state: str
    created_at: datetime = Field(sa_column=moment_column())
    next_at: datetime = Field(sa_column=moment_column())
    attempts: int = 0
    failure: str | None = None
    sent_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    unsure: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'superseded')", name="ck_notice_state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="ck_notice_sent"),
        Index(
            "ix_incident_notice_due",
            "next_at",
            sqlite_where=OWED_NOTICE,
            postgresql_where=OWED_NOTICE,
        ),
    )


class IncidentTicketRow(SQLModel, table=True):
    """The ticket of an incident in the Métropole's tool. `number`: None until the tool has it.
    `word` is the tool's own for its state; `over_at`: when it was over there."""

    __tablename__ = "incident_ticket"
    incident_id: str = Field(primary_key=True, foreign_key="incident.id")
    reference: str = Field(unique=True)
    number: str | None = None
    link: str | None = None
    word: str | None = None
    begun_at: datetime = Field(sa_column=moment_column())
    taken_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    over_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    __table_args__ = (Index("ix_incident_ticket_number", "number"),)


class IncidentAnswerRow(SQLModel, table=True):
    """A text that a person wrote in the tool, under the tool's `key` for it; masked and cut."""

    __tablename__ = "incident_answer"
    incident_id: str = Field(primary_key=True, foreign_key="incident.id")
    key: str = Field(primary_key=True)
    at: datetime = Field(sa_column=moment_column())
    text: str = Field(sa_column=Column(Text, nullable=False))


class RefusalRow(SQLModel, table=True):
    """The number of calls of one kind that all replicas together refused in one minute."""

    __tablename__ = "refusal"
    kind: str = Field(primary_key=True)
    minute: datetime = Field(sa_column=Column(Moment, primary_key=True, autoincrement=False))
    count: int


INCIDENT: Table = SQLModel.metadata.tables["incident"]
COMMUNE: Table = SQLModel.metadata.tables["incident_commune"]
PAUSE: Table = SQLModel.metadata.tables["incident_pause"]
NOTICE: Table = SQLModel.metadata.tables["incident_notice"]
TICKET: Table = SQLModel.metadata.tables["incident_ticket"]
ANSWER: Table = SQLModel.metadata.tables["incident_answer"]
REFUSAL: Table = SQLModel.metadata.tables["refusal"]
