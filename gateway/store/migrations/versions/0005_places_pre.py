"""Files whose bytes lie in an object store, and the objects there that are to go.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blob", sa.Column("place", sa.String(), nullable=True))
    op.create_index(
        "ix_blob_place",
        "blob",
        ["place"],
        unique=True,
        sqlite_where=sa.text("place IS NOT NULL"),
        postgresql_where=sa.text("place IS NOT NULL"),
    )
    op.create_table(
        "doomed",
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("erasure_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("ix_doomed_erasure_id", "doomed", ["erasure_id"])
