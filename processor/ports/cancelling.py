"""How is a job ended from outside, and how does its worker hear of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.ids import JobId
    from processor.ports.ledger import Entry, LedgerRow


class Wake(NamedTuple):
    """A job of a partition was ended, or otherwise changed, by somebody else: look again."""

    partition: int
    job: JobId


class Cancelling(Protocol):
    """Ends jobs, whether they were seen by a worker or not."""

    async def cancel(self, entry: Entry) -> LedgerRow:
        """Write a generation's end as cancelled, and return the row that stands.

        It is ours if its body is the entry's; else the generation had ended before. A waiting row
        of the job becomes due and its partition's owner is woken. Raises `Fault`: ask again.
        """
        ...

    async def discard(self, entry: Entry) -> LedgerRow:
        """The same with a generation that never began: its end is *discarded*."""
        ...


class Wakes(Protocol):
    """The wake-ups of this database. None is kept for who does not listen."""

    async def listen(self, heard: Callable[[Wake], None], began: Callable[[], None]) -> None:
        """Call `heard` for each wake-up until cancelled; listens again by itself when cut off.

        `began` is called each time that listening starts: what came before may have been missed.
        """
        ...
