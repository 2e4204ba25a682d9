"""When a delivery was last claimed: what a commune fetched is kept for so long from then.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("claimed_at", sa.BigInteger(), nullable=True))
    # Of claims of before, the end of the lease or of the claim is what is known.
    op.execute(
        "UPDATE delivery SET claimed_at = coalesce(lease_until, next_at)"
        " WHERE fence > 0 AND state NOT IN ('done', 'discarded')"
    )
