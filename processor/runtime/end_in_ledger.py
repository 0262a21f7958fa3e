"""Does the ledger say that a generation has ended?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.ledger import Ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from processor.domain.ids import JobId
    from processor.ports.ledger import LedgerRow


def by_job(rows: Iterable[LedgerRow]) -> dict[JobId, list[LedgerRow]]:
    """The rows of each job."""
    found: dict[JobId, list[LedgerRow]] = {}
    for row in rows:
        found.setdefault(row.job, []).append(row)
    return found


def settling_row(rows: Sequence[LedgerRow], generation: int) -> LedgerRow | None:
    """The row that settles a generation: its own, a later one, or an end that absorbs it (H15)."""
    settling = [
        row
        for row in rows
        if row.generation >= generation or row.ending in (Ending.COMPLETE, Ending.CANCELLED)
    ]
    return min(settling, key=lambda row: abs(row.generation - generation), default=None)
