"""Up to where may be forgotten: the log by offset, the ledger by time?

Moments are microseconds since the epoch, days their number since then. Positions, not ages, decide
what of the log may go (H5): a position as it stood eight days ago, so that a database restored to
any moment since then finds in the log all that it has to do again (H40).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

DAY: Final = 24 * 3_600_000_000
DAYS_OF_LOG: Final = 8
"""So many days old, at the least, is the position below which the log is cut."""
DAYS_AFTER_THE_END: Final = 7
"""So many days after its end a job's history and its row in the ledger may go."""


class Cut(NamedTuple):
    """What of a place may go."""

    offset: int
    """Every record below it."""
    day: int
    """The day whose position it rests on; those of earlier days are of no more use."""


def day_of(moment: int) -> int:
    """The day of a moment."""
    return moment // DAY


def standing(position: int | None, checkpoints: Collection[int]) -> int | None:
    """Below which offset nobody needs a place's records, as things stand.

    `position` is None for a topic that no worker reads. None, and nothing may go, where no
    projection has read the place yet (H39).
    """
    if not checkpoints:
        return None
    lowest = min(checkpoints)
    return lowest if position is None else min(lowest, position)


def cut_below(
    days: Mapping[int, int], today: int, stands: int | None, oldest_open: int | None = None
) -> Cut | None:
    """Where a place may be cut; None where nothing may go.

    `days` holds what stood at some moment of each day, so that a day's position is eight days old
    once the ninth after it has begun. `oldest_open` is the first fact of the oldest dead letter
    that is open there.
    """
    old = [day for day in days if day < today - DAYS_OF_LOG]
    if stands is None or not old:
        return None
    day = max(old)
    lowest = min(days[day], stands)
    if oldest_open is not None:
        lowest = min(lowest, oldest_open)
    return Cut(lowest, day)


def ended_before(now: int) -> int:
    """What ended before this moment ended long enough ago."""
    return now - DAYS_AFTER_THE_END * DAY


def ledger_before(now: int, not_done_since: Iterable[int]) -> int:
    """Before which moment a partition's rows of the ledger must have ended to go.

    `not_done_since` are the times at which the log appended the oldest record of each lane that is
    not done: whatever ended seven days before that cannot come again as a record that is still
    unread (H41), nor as one that was appended within the seven days in which a duplicate counts.
    """
    return ended_before(min([now, *not_done_since]))
