"""How much is kept of what cannot be told, to be summed without reading it.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_EARLY = sa.text("request_id IS NULL")


def upgrade() -> None:
    op.add_column("untold", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE untold SET size = length(body) WHERE body IS NOT NULL")
    op.create_index(
        "ix_untold_early",
        "untold",
        ["commune", "gru"],
        sqlite_where=_EARLY,
        postgresql_where=_EARLY,
    )
