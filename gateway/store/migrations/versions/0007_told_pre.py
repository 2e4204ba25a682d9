"""What GRUs have told: their last words, what was told for good, what waits to be told.

Revision ID: 0007
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ASKABLE = sa.text("gru_reference IS NOT NULL AND ask_at IS NOT NULL AND erased_at IS NULL")
#: Requests that ended longer ago, in microseconds, are not followed any more.
FOLLOWED = 90 * 86_400 * 1_000_000


def upgrade() -> None:
    op.drop_index("ix_request_open", "request")
    op.add_column("request", sa.Column("ask_at", sa.BigInteger(), nullable=True))
    op.add_column("request", sa.Column("unseen", sa.Integer(), nullable=True))
    op.add_column("request", sa.Column("word", sa.String(), nullable=True))
    op.add_column("request", sa.Column("heard_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_request_ask",
        "request",
        ["commune", "gru", "ask_at"],
        sqlite_where=ASKABLE,
        postgresql_where=ASKABLE,
    )
    op.add_column("cursor", sa.Column("fault", sa.String(), nullable=True))
    op.create_table(
        "heard",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"]),
        sa.PrimaryKeyConstraint("request_id", "name"),
    )
    op.create_table(
        "untold",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column("gru", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("gru_reference", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("person", sa.Boolean(), nullable=False),
        sa.Column("judged_by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id", "name", name="uq_untold_name"),
    )
    op.create_index("ix_untold_gru", "untold", ["commune", "gru"])
    op.create_index(
        "ix_untold_person",
        "untold",
        ["received_at"],
        sqlite_where=sa.text("person"),
        postgresql_where=sa.text("person"),
    )
    op.execute(
        sa.text(
            "UPDATE request SET ask_at = status_at WHERE erased_at IS NULL"
            " AND (status NOT IN ('done', 'refused', 'cancelled') OR status_at > :since)"
        ).bindparams(since=int(time.time() * 1_000_000) - FOLLOWED)
    )
    # What was told before is not told again: notes are known by the GRU's number of them.
    op.execute(
        "INSERT INTO heard (request_id, name)"
        " SELECT e.request_id, 'key:' || e.key FROM event e JOIN request r ON r.id = e.request_id"
        " WHERE e.origin = 'gru' AND e.kind <> 'unreported' AND r.erased_at IS NULL"
    )
    op.execute(
        "INSERT INTO heard (request_id, name)"
        " SELECT DISTINCT a.request_id, 'file:' || substr(a.sha256, 1, 32)"
        " FROM attachment a JOIN event e ON e.id = a.event_id WHERE e.origin = 'gru'"
    )
