"""Deliveries that go on failing are found at once.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

_FAILS_ON = "head AND state IN ('waiting', 'unsure') AND failures >= 4"


def upgrade() -> None:
    op.create_index(
        "ix_delivery_stuck",
        "delivery",
        ["created_at"],
        sqlite_where=sa.text(_FAILS_ON),
        postgresql_where=sa.text(_FAILS_ON),
    )
