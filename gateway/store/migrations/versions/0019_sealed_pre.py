"""What is stored of people is sealed, with a key per request; files are no more shared by requests.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request", sa.Column("key_id", sa.String(), nullable=True))
    op.add_column("blob", sa.Column("key", sa.String(), nullable=True))
    op.drop_index("ix_attachment_sha256", "attachment")
    op.execute("ALTER TABLE attachment RENAME COLUMN sha256 TO address")
    op.execute("ALTER TABLE blob RENAME COLUMN sha256 TO address")
    op.create_index("ix_attachment_address", "attachment", ["address"])
