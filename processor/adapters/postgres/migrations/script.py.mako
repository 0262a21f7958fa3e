"""${message}."""

from processor.adapters.postgres.migrations.objects import create

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Additive for one release: old code must run on what this leaves."""
    ${upgrades if upgrades else "create()"}
