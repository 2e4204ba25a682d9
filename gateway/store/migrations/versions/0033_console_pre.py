"""The console: accounts, sessions, browsers and tokens.

Revision ID: 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_account",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("communes", sa.String(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("setup_mark", sa.String(), nullable=True),
        sa.Column("setup_until", sa.BigInteger(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "role IN ('operator', 'agent', 'auditor')", name="ck_console_account_role"
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_console_account_setup_mark", "console_account", ["setup_mark"])
    op.create_table(
        "console_session",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("shown_as", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("communes", sa.String(), nullable=True),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.create_index("ix_console_session_account", "console_session", ["account"])
    op.create_table(
        "console_browser",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.create_index("ix_console_browser_account", "console_browser", ["account"])
    op.create_table(
        "console_token",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("communes", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_console_token_mark", "console_token", ["mark"], unique=True)
