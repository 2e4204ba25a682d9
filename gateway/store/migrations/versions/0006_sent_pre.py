"""When what a far end may have taken was sent.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("sent_at", sa.BigInteger(), nullable=True))
    # What was in doubt stays so. A bug may have come after the call had left.
    op.execute(
        "UPDATE delivery SET sent_at = created_at WHERE state IN ('unsure', 'question')"
        " OR (state = 'parked' AND reason = 'bug') OR (state = 'sending' AND asking)"
    )
