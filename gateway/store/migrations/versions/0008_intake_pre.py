"""How events of the portal are told apart, and since when communes are connected.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("told_key", sa.String(), nullable=True))
    op.add_column("event", sa.Column("entry_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "connected",
        sa.Column("portal", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("teleservice", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("portal", "commune", "teleservice"),
    )
    # What became due since then is theirs, while this upgrade is made as well.
    op.execute(
        "INSERT INTO connected (portal, commune, teleservice, since)"
        " SELECT portal, commune, teleservice, MIN(received_at) FROM request"
        " GROUP BY portal, commune, teleservice"
    )
    op.create_table(
        "passed_over",
        sa.Column("portal", sa.String(), nullable=False),
        sa.Column("teleservice", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=True),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("later", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("portal", "teleservice", "ref"),
    )
