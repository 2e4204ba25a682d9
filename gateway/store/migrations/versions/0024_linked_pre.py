"""Accounts at GLC that are linked with those of communes' own portals.

Revision ID: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_link",
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("account_mark", sa.String(), nullable=False),
        sa.Column("portal_mark", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("commune", "identity", "confirmed"),
    )
    op.create_index("ix_account_link_account", "account_link", ["account_mark"])
    op.create_index("ix_account_link_portal", "account_link", ["portal_mark"])
    op.create_index(
        "ix_account_link_pending",
        "account_link",
        ["linked_at"],
        sqlite_where=sa.text("NOT confirmed"),
        postgresql_where=sa.text("NOT confirmed"),
    )
    op.create_table(
        "link_session",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("subject_mark", sa.String(), nullable=False),
        sa.Column("session_mark", sa.String(), nullable=True),
        sa.Column("account_mark", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.create_index("ix_link_session_subject_mark", "link_session", ["subject_mark"])
    op.create_index("ix_link_session_session_mark", "link_session", ["session_mark"])
    op.create_index("ix_link_session_account_mark", "link_session", ["account_mark"])
