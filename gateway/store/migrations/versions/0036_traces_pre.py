"""The caller's place in a trace, with the request.

Revision ID: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request", sa.Column("traceparent", sa.String(), nullable=True))
