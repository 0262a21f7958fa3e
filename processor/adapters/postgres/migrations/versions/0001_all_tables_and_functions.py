"""All tables and functions that the design knows."""

from processor.adapters.postgres.migrations.objects import create

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "cluster",
    "worker",
    "ownership",
    "ledger",
    "waiting",
    "hold",
    "suspect",
    "horizon",
    "operation",
    "history",
    "dead_letter",
    "checkpoint",
    "live",
    "aside",
)
FUNCTIONS = (
    "settled_v1",
    "begin_job_v1",
    "end_job_v1",
    "flush_v1",
    "record_v1",
    "enqueue_v1",
    "replay_in_place_v1",
    "cancel_v1",
    "take_over_v1",
)


def upgrade() -> None:
    """Make them; nothing was there before."""
    create("tables", TABLES)
    create("functions", FUNCTIONS)
