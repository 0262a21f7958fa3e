"""What the hold of a breaker remembers of its probes, and of what subscribers were told."""

from processor.adapters.postgres.migrations.objects import create

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; a worker of the release before goes on: such a hold is one like any other to it."""
    create("changes", ("hold_of_breaker",))
