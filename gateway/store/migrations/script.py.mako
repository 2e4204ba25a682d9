"""${message}

A name ending in `_pre` runs before the new version is deployed, while the old one still works on
the database: it only adds. One ending in `_post` runs once the old version is gone.
"""

${"import sqlalchemy as sa"}
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
