"""The index by which what ended lately is found, summarised as the ledger grows."""

from processor.adapters.postgres.migrations.objects import create

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Set it; the release before does not notice."""
    create("changes", ("ledger_ended",))
