"""Incidents, and counts of refused calls.

Revision ID: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0025"
branch_labels = None
depends_on = None

_WAITING = "state = 'waiting'"


def upgrade() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("party", sa.String(), nullable=False),
        sa.Column("worst", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("returns", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("severity_by", sa.String(), nullable=True),
        sa.Column("party_by", sa.String(), nullable=True),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.Column("acked_by", sa.String(), nullable=True),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("warned_at", sa.BigInteger(), nullable=True),
        sa.Column("breached_at", sa.BigInteger(), nullable=True),
        sa.Column("notified_at", sa.BigInteger(), nullable=True),
        sa.Column("notified_by", sa.String(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("because", sa.Text(), nullable=True),
        sa.Column("post_mortem", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('service', 'securite')", name="ck_incident_kind"),
        sa.CheckConstraint(
            "severity IN ('bloquant', 'majeur', 'mineur')", name="ck_incident_severity"
        ),
        sa.CheckConstraint(
            "party IN ('gateway', 'portal', 'glc', 'commune', 'network')", name="ck_incident_party"
        ),
        sa.CheckConstraint(
            "state IN ('suspected', 'open', 'resolved', 'closed')", name="ck_incident_state"
        ),
        sa.CheckConstraint(
            "state = 'suspected' OR opened_at IS NOT NULL", name="ck_incident_opened"
        ),
        sa.CheckConstraint("state <> 'closed' OR closed_at IS NOT NULL", name="ck_incident_closed"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_incident_live",
        "incident",
        ["cause", "kind"],
        unique=True,
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )
    op.create_index("ix_incident_opened", "incident", ["opened_at"])
    op.create_table(
        "incident_commune",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("incident_id", "commune"),
    )
    op.create_table(
        "incident_pause",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("commune", sa.String(), nullable=True),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("incident_id", "n"),
    )
    op.create_table(
        "incident_notice",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'superseded')", name="ck_notice_state"),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="ck_notice_sent"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("incident_id", "audience", "step", "n"),
    )
    op.create_index(
        "ix_incident_notice_due",
        "incident_notice",
        ["next_at"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    op.create_table(
        "refusal",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "minute"),
    )
