"""When the content of a request went, its delay being over.

Revision ID: 0023
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.dialect import Moment

revision = "0023"
down_revision = "0017"
branch_labels = None
depends_on = None

_PURGEABLE = sa.text("purged_at IS NULL AND erased_at IS NULL")


def upgrade() -> None:
    op.add_column("request", sa.Column("purged_at", Moment(), nullable=True))
    op.create_index(
        "ix_request_purgeable",
        "request",
        ["status_at"],
        sqlite_where=_PURGEABLE,
        postgresql_where=_PURGEABLE,
    )
