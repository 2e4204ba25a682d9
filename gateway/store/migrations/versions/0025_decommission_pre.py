"""The communes that leave, or have left.

Revision ID: 0025
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.dialect import Moment

revision = "0025"
down_revision = "0026"
branch_labels = None
depends_on = None

_CURRENT = sa.text("reopened_at IS NULL AND step <> 'cancelled'")
_STEPS = ("announced", "draining", "telling", "erasing", "ended", "cancelled")


def upgrade() -> None:
    op.create_table(
        "decommission",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("portal", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("announced_at", Moment(), nullable=False),
        sa.Column("stop_at", Moment(), nullable=False),
        sa.Column("drain", sa.Integer(), nullable=False),
        sa.Column("tell", sa.Integer(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("erasing_at", Moment(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("reopened_at", Moment(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("markers", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "step IN (" + ", ".join(f"'{one}'" for one in _STEPS) + ")",
            name="ck_decommission_step",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_decommission_commune",
        "decommission",
        ["commune"],
        unique=True,
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    )
