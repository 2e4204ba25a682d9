"""Find the erasures of a single request: asked about each that the portal has no more.

Revision ID: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0029"
branch_labels = None
depends_on = None

_SINGLE = sa.text("request_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_erasure_request",
        "erasure",
        ["request_id"],
        sqlite_where=_SINGLE,
        postgresql_where=_SINGLE,
    )
