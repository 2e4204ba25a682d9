"""What made a delivery: each attempt bears the release and the mapping that it was made with.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("release_digest", sa.String(), nullable=True))
    op.add_column("attempt", sa.Column("mapping", sa.String(), nullable=True))
