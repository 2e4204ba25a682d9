"""The feed of a commune that may read again what it was owed: a delivery's number in its lane's.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("feed", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_delivery_feed",
        "delivery",
        ["lane", "feed"],
        unique=True,
        sqlite_where=sa.text("feed IS NOT NULL"),
        postgresql_where=sa.text("feed IS NOT NULL"),
    )
