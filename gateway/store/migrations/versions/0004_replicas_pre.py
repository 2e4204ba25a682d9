"""Who works on this database, and until when a far end asked to be left alone.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replica",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    hold_until = sa.Column("hold_until", sa.BigInteger(), nullable=True)
    if op.get_bind().dialect.name != "sqlite":
        op.add_column("lane", hold_until)
        return
    # SQLite writes a new column behind the constraints; the table is made anew instead.
    check = sa.CheckConstraint("breaker IN ('closed', 'open', 'half_open')", name="ck_lane_breaker")
    with op.batch_alter_table("lane", recreate="always", table_args=(check,)) as lane:
        lane.add_column(hold_until)
