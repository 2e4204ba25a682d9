"""What communes answer to an erasure, and erasures of a single request.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("erasure", sa.Column("request_id", sa.String(), nullable=True))
    op.add_column("erasure", sa.Column("because", sa.String(), nullable=True))
    for name, kind in (
        ("answer", sa.String()),
        ("ground", sa.String()),
        ("until", sa.BigInteger()),
        ("decided_by", sa.String()),
    ):
        op.add_column("erasure_target", sa.Column(name, kind, nullable=True))
    op.create_index("ix_erasure_target_delivery_id", "erasure_target", ["delivery_id"])
