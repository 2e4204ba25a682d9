"""Announcements; a note may be about one of them as well as about an incident.

Revision ID: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_WAITING = "state = 'waiting'"


def upgrade() -> None:
    op.create_table(
        "announcement",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("notice", sa.Integer(), nullable=False),
        sa.Column("announced_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.String(), nullable=True),
        sa.Column("because", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('maintenance', 'change')", name="ck_announcement_kind"),
        sa.CheckConstraint("(kind = 'change') = (ends_at IS NULL)", name="ck_announcement_ends"),
        sa.CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="ck_announcement_order"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_announcement_starts", "announcement", ["starts_at"])
    op.create_table(
        "announcement_commune",
        sa.Column("announcement_id", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("read_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["announcement_id"], ["announcement.id"]),
        sa.PrimaryKeyConstraint("announcement_id", "commune"),
    )
    # An older program goes on beside it: what it writes held before, and holds now.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE incident_notice DROP CONSTRAINT incident_notice_incident_id_fkey")
        return
    # SQLite drops no constraint: the table is made anew.
    op.execute("DROP INDEX ix_incident_notice_due")
    op.execute("ALTER TABLE incident_notice RENAME TO former_notice")
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
        sa.PrimaryKeyConstraint("incident_id", "audience", "step", "n"),
    )
    op.execute("INSERT INTO incident_notice SELECT * FROM former_notice")
    op.execute("DROP TABLE former_notice")
    op.create_index(
        "ix_incident_notice_due",
        "incident_notice",
        ["next_at"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
