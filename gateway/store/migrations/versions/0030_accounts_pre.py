"""Accounts are kept as keyed hashes, beside a sealed one; a start hashes those of before.

Revision ID: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request", sa.Column("sealed_account", sa.String(), nullable=True))
    op.add_column("erasure", sa.Column("sealed_account", sa.String(), nullable=True))
