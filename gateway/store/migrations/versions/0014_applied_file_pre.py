"""A commune's file as it was applied: what of it is a matter of operation runs as it was then.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.dialect import Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applied_file",
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("commune"),
    )
