"""Tickets of incidents, and what people wrote there.

Revision ID: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "incident_notice",
        sa.Column("unsure", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "incident_ticket",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("link", sa.String(), nullable=True),
        sa.Column("word", sa.String(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("over_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("incident_id"),
        sa.UniqueConstraint("reference"),
    )
    op.create_index("ix_incident_ticket_number", "incident_ticket", ["number"])
    op.create_table(
        "incident_answer",
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("incident_id", "key"),
    )
