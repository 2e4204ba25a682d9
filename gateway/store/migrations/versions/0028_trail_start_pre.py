"""A stream of the trail may lose its beginning, and says where it begins then.

Revision ID: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trail_start",
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("cut_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER trail_no_delete")
        op.execute(
            "CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail WHEN NOT EXISTS (SELECT 1 FROM"
            " trail_start AS s WHERE s.stream = OLD.stream AND s.n >= OLD.n)"
            " BEGIN SELECT RAISE(ABORT, 'trail is append-only'); END"
        )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION trail_kept() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF EXISTS (SELECT 1 FROM trail_start AS s WHERE s.stream = OLD.stream"
        " AND s.n >= OLD.n) THEN RETURN OLD; END IF;"
        " RAISE EXCEPTION USING MESSAGE = 'trail is append-only',"
        " ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute("DROP TRIGGER trail_append_only ON trail")
    op.execute(
        "CREATE TRIGGER trail_append_only BEFORE UPDATE OR TRUNCATE ON trail"
        " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    )
    op.execute(
        "CREATE TRIGGER trail_kept BEFORE DELETE ON trail"
        " FOR EACH ROW EXECUTE FUNCTION trail_kept()"
    )
