"""Whether the portal says that a request is its commune's.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What is here already was taken at its word, and goes on.
    op.add_column(
        "request", sa.Column("vouched", sa.Boolean(), nullable=False, server_default=sa.true())
    )
