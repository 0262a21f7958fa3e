"""What would be forgotten, without a database?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.forgetting import Ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.adapters.memory.projection import MemoryProjections
    from processor.ports.log import Place
    from processor.ports.projection import HistoryRow


@dataclass(slots=True)
class Offices:
    """Who holds which office in one database."""

    holders: dict[str, object] = field(default_factory=dict)


class MemoryOffice:
    """`Office`; its step is `office.held`."""

    def __init__(self, offices: Offices, name: str, *, step: Step = onward) -> None:
        self._offices = offices
        self._name = name
        self.step = step

    async def held(self) -> bool:
        """See `Office`."""
        lost = await self.step("office.held")
        held = self._offices.holders.setdefault(self._name, self) is self
        if lost is not None:
            raise lost
        return held

    def leave(self) -> None:
        """See `Office`."""
        if self._offices.holders.get(self._name) is self:
            del self._offices.holders[self._name]


class MemoryForgetting:
    """`Horizon`, `ReadSide` and `LedgerPruning`.

    Its steps are `horizon.remember`, `.days`, `.forget`, `read_side.checkpoints`, `.open_letters`
    and `ledger.prune`.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        rows: MemoryProjections,
        horizon: dict[Place, dict[int, int]],
        *,
        step: Step = onward,
    ) -> None:
        """`horizon`: what stood on each day, which outlives every process."""
        self._database = database
        self._rows = rows
        self._horizon = horizon
        self.step = step

    async def remember(self, day: int, standing: Mapping[Place, int]) -> None:
        """See `Horizon`."""
        lost = await self.step("horizon.remember")
        for place, position in standing.items():
            self._horizon.setdefault(place, {}).setdefault(day, position)
        if lost is not None:
            raise lost

    async def days(self) -> Mapping[Place, Mapping[int, int]]:
        """See `Horizon`."""
        lost = await self.step("horizon.days")
        found = {place: dict(days) for place, days in self._horizon.items()}
        if lost is not None:
            raise lost
        return found

    async def forget(self, before: Mapping[Place, int]) -> None:
        """See `Horizon`."""
        lost = await self.step("horizon.forget")
        for place, first in before.items():
            days = self._horizon.get(place, {})
            for day in [day for day in days if day < first]:
                del days[day]
        if lost is not None:
            raise lost

    async def checkpoints(self) -> Mapping[Place, Mapping[str, int]]:
        """See `ReadSide`."""
        lost = await self.step("read_side.checkpoints")
        found: defaultdict[Place, dict[str, int]] = defaultdict(dict)
        for (projection, place), offset in self._rows.checkpoints.items():
            found[place][projection] = offset
        if lost is not None:
            raise lost
        return found

    async def open_letters(self) -> Mapping[int, int]:
        """See `ReadSide`."""
        lost = await self.step("read_side.open_letters")
        found: dict[int, int] = {}
        for row in self._rows.letters.values():
            if row.closed is None:
                found[row.partition] = min(row.first_fact, found.get(row.partition, row.first_fact))
        if lost is not None:
            raise lost
        return found

    async def prune(self, before: Mapping[int, int], limit: int) -> AsyncIterator[int]:
        """See `LedgerPruning`."""
        waiting = {job for job, _ in self._database.waiting}
        old = [
            key
            for key, row in self._database.ledger.items()
            if self._database.ended_at[key] < before.get(row.partition, 0)
            and row.job not in waiting
        ]
        for start in range(0, len(old), limit):
            lost = await self.step("ledger.prune")
            batch = old[start : start + limit]
            for key in batch:
                del self._database.ledger[key]
            if lost is not None:
                raise lost
            yield len(batch)


class MemoryPruning:
    """`HistoryPruning`; its steps are `pruning.ended`, `.forget`, `.live` and `.letters`."""

    def __init__(self, rows: MemoryProjections, *, step: Step = onward) -> None:
        self._rows = rows
        self.step = step

    async def ended(self, before: int, after: Ended | None, limit: int) -> list[Ended]:
        """See `HistoryPruning`."""
        lost = await self.step("pruning.ended")
        ends = sorted(
            Ended(row.ended_at, row.job)
            for row in self._rows.history.values()
            if row.ended_at is not None and row.ended_at < before
        )
        if lost is not None:
            raise lost
        return [end for end in ends if after is None or end > after][:limit]

    async def forget(self, jobs: Sequence[bytes], before: int) -> int:
        """See `HistoryPruning`."""
        lost = await self.step("pruning.forget")
        gone = sum(self._rows.remove(job) for job in set(jobs) if is_over(self._rows, job, before))
        if lost is not None:
            raise lost
        return gone

    async def forget_live(self, before: int, after: bytes | None, limit: int) -> bytes | None:
        """See `HistoryPruning`."""
        lost = await self.step("pruning.live")
        page = sorted(job for job in self._rows.live if after is None or job > after)[:limit]
        for job in page:
            told, known = self._rows.live[job], self._rows.rows_of(job)
            ended = any(
                row.generation >= told.generation
                and row.ended_at is not None
                and row.ended_at >= told.at
                for row in known
            )
            if ended or (not known and told.at < before):
                del self._rows.live[job]
        if lost is not None:
            raise lost
        return page[-1] if page else None

    async def forget_letters(self, starts: Mapping[int, int], limit: int) -> int:
        """See `HistoryPruning`."""
        lost = await self.step("pruning.letters")
        gone = [
            key
            for key, row in self._rows.letters.items()
            if row.closed is not None and row.last_fact < starts.get(row.partition, 0)
        ][:limit]
        for key in gone:
            del self._rows.letters[key]
        if lost is not None:
            raise lost
        return len(gone)


def is_over(rows: MemoryProjections, job: bytes, before: int) -> bool:
    """Whether a job ended before a moment, for good, and no dead letter of it needs its history."""
    known: Sequence[HistoryRow] = rows.rows_of(job)
    if not known:
        return False
    generation, timeline = max((row.generation, row.timeline) for row in known)
    ends = [row for row in known if row.ended_at is not None]
    newest = [row for row in ends if (row.generation, row.timeline) == (generation, timeline)]
    needed = any(
        row.job == job and (row.closed is None or row.generation >= generation)
        for row in rows.letters.values()
    )
    return bool(newest) and not needed and all((row.ended_at or 0) < before for row in ends)
