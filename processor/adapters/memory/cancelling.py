"""How would a job be ended from outside, without a database?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.cancelling import Wake
from processor.ports.ledger import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId
    from processor.ports.ledger import Entry, LedgerRow


class MemoryCancelling:
    """`Cancelling`; its steps are `cancelling.cancel`, `.discard` and `.read_back`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def cancel(self, entry: Entry) -> LedgerRow:
        """See `Cancelling`."""
        return await self._end(entry, Ending.CANCELLED)

    async def discard(self, entry: Entry) -> LedgerRow:
        """See `Cancelling`."""
        return await self._end(entry, Ending.DISCARDED)

    async def _end(self, entry: Entry, ending: Ending) -> LedgerRow:
        lost = await self.step(
            f"cancelling.{'cancel' if ending is Ending.CANCELLED else 'discard'}"
        )
        self._database.cancel(entry, ending)
        if lost is not None:
            raise lost
        lost = await self.step("cancelling.read_back")
        row = self._database.deciding(entry.job, entry.generation)
        if lost is not None:
            raise lost
        assert row is not None  # noqa: S101 - it was written or stood there
        return row


class MemoryWakes:
    """`Wakes`; its step is `wakes.listen`, where listening starts."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def listen(self, heard: Callable[[Wake], None], began: Callable[[], None]) -> None:
        """See `Wakes`."""

        def told(partition: int, job: JobId) -> None:
            heard(Wake(partition, job))

        await self.step("wakes.listen")
        self._database.listeners.append(told)
        try:
            began()
            await asyncio.get_running_loop().create_future()
        finally:
            self._database.listeners.remove(told)
