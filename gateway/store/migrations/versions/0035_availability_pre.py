"""The availability ledger.

Revision ID: 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "availability",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('up', 'gateway', 'portal', 'glc', 'commune')",
            name="ck_availability_verdict",
        ),
        sa.CheckConstraint("ended > start", name="ck_availability_order"),
        sa.PrimaryKeyConstraint("service", "commune", "start"),
    )
    op.create_index("ix_availability_ended", "availability", ["ended"])
