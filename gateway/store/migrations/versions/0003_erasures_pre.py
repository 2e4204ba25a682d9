"""Deleted accounts: suspects, erasures and what they owe, tombstones.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LIVE = "state NOT IN ('closed', 'withdrawn')"


def upgrade() -> None:
    op.create_table(
        "suspect",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("first_unknown_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmations", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "tombstone",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("first_by", sa.String(), nullable=True),
        sa.Column("second_by", sa.String(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state IN ('held', 'open', 'scrubbed', 'telling', 'closed', 'withdrawn')",
            name="ck_erasure_state",
        ),
        sa.CheckConstraint(
            "(state IN ('held', 'open')) = (account IS NOT NULL)", name="ck_erasure_account"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_erasure_run", "erasure", ["run"])
    op.create_index("ix_erasure_mark", "erasure", ["mark"])
    op.create_index(
        "uq_erasure_account",
        "erasure",
        ["account"],
        unique=True,
        sqlite_where=sa.text("account IS NOT NULL"),
        postgresql_where=sa.text("account IS NOT NULL"),
    )
    op.create_index(
        "ix_erasure_live",
        "erasure",
        ["state"],
        sqlite_where=sa.text(LIVE),
        postgresql_where=sa.text(LIVE),
    )
    op.create_table(
        "erasure_target",
        sa.Column("erasure_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("gru", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"]),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"]),
        sa.PrimaryKeyConstraint("erasure_id", "request_id"),
    )
