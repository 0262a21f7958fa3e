"""What operators need: an audit, plans over many dead letters, and what letters are grouped by."""

from processor.adapters.postgres.migrations.objects import create

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; the release before writes and reads the tables as it did."""
    create("functions", ("refuse_change_v1",))
    create("changes", ("operation_audit", "dead_letter_place"))
    create("tables", ("plan", "plan_letter", "overtaking"))
