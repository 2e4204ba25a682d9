"""The further INSEE codes of communes that leave.

Revision ID: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decommission", sa.Column("codes", sa.Text(), nullable=True))
