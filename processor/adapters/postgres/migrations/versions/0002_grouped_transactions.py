"""The functions by which several jobs share one transaction."""

from processor.adapters.postgres.migrations.objects import create

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; a worker of the release before goes on without."""
    create("functions", ("lock_jobs_v1", "begin_jobs_v1", "end_jobs_v1"))
