"""What would the projections' tables hold, without a database?"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.projection import (
    AsideRow,
    Batch,
    Closing,
    HistoryRow,
    JobRecords,
    LetterGroup,
    LetterQuery,
    LetterRow,
    LiveRow,
    Move,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.ports.log import Place

PAGE = 500


class MemoryProjections:
    """`Projections`, `HistoryRows` and `LetterRows` over dictionaries.

    Its steps are `projection.begin`, `.write`, `.aside` and `.read`.
    """

    def __init__(self, *, step: Step = onward) -> None:
        self.step = step
        self.checkpoints: dict[tuple[str, Place], int] = {}
        self.history: dict[tuple[bytes, int, int, int], HistoryRow] = {}
        self._of_job: defaultdict[bytes, list[HistoryRow]] = defaultdict(list)
        self.live: dict[bytes, LiveRow] = {}
        self.letters: dict[tuple[bytes, int], LetterRow] = {}
        self.aside: dict[tuple[str, int, int], AsideRow] = {}
        self.still = asyncio.Lock()
        """Held while no checkpoint may move."""

    async def _read(self, name: str) -> None:
        lost = await self.step(name)
        if lost is not None:
            raise lost

    async def begin(self, projection: str, starts: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `Projections`."""
        lost = await self.step("projection.begin")
        checkpoints = {
            place: self.checkpoints.setdefault((projection, place), start)
            for place, start in starts.items()
        }
        if lost is not None:
            raise lost
        return checkpoints

    async def write(self, projection: str, moves: Sequence[Move], batch: Batch) -> bool:
        """See `Projections`."""
        lost = await self.step("projection.write")
        async with self.still:
            before = {one.place: self.checkpoints.get((projection, one.place)) for one in moves}
            stands = all(before[one.place] == one.before for one in moves)
            if stands:
                for move in moves:
                    self.checkpoints[projection, move.place] = move.after
                self.insert(batch)
        if lost is not None:
            raise lost
        return stands

    def insert(self, batch: Batch) -> None:
        """Write rows; those that are there already stay as they are."""
        for row in batch.history:
            if _key(row) not in self.history:
                self.put(row)
        for told in batch.live:
            self.put_live(told)
        for letter in batch.letters:
            death = (letter.job, letter.generation)
            self.letters[death] = _added(self.letters.get(death), letter)
        for kept in batch.aside:
            self.aside.setdefault(kept[:3], kept)
        for kept in batch.recovered:
            self.aside.pop(kept[:3], None)

    def rows_of(self, job: bytes) -> Sequence[HistoryRow]:
        """The history's rows of a job."""
        return self._of_job.get(job, ())

    def remove(self, job: bytes) -> int:
        """Delete the history's rows of a job; how many there were."""
        rows = [*self._of_job.get(job, ())]
        for row in rows:
            self.remove_row(row)
        return len(rows)

    def remove_row(self, row: HistoryRow) -> None:
        """Delete one row of the history."""
        del self.history[_key(row)]
        self._of_job[row.job].remove(row)
        if not self._of_job[row.job]:
            del self._of_job[row.job]

    def put(self, row: HistoryRow) -> None:
        """Write one row of the history, also in the place of another."""
        if _key(row) in self.history:
            self.remove_row(self.history[_key(row)])
        self.history[_key(row)] = row
        self._of_job[row.job].append(row)

    def put_live(self, told: LiveRow) -> None:
        """Write what a job tells of itself, unless something newer is known."""
        self.live[told.job] = max(told, self.live.get(told.job, told), key=_newness)

    def put_letter(self, row: LetterRow) -> None:
        """Write a letter; what it says of the death counts before what is known."""
        key = (row.job, row.generation)
        known = self.letters.get(key)
        self.letters[key] = row if known is None else _added(row, known)

    def copied(self) -> MemoryProjections:
        """What stands now, to be gone back to: not to be asked."""
        copy = MemoryProjections()
        copy.checkpoints, copy.history = dict(self.checkpoints), dict(self.history)
        copy.live, copy.letters, copy.aside = dict(self.live), dict(self.letters), dict(self.aside)
        return copy

    def go_back(self, copy: MemoryProjections) -> None:
        """Hold what stood then, as a database that was restored to an earlier time."""
        self.take(copy)
        self.checkpoints = copy.checkpoints
        self.history = {}
        for row in copy.history.values():
            self.put(row)

    def take(self, other: MemoryProjections) -> None:
        """Hold another's rows instead of one's own; the checkpoints stay."""
        self.history, self._of_job = other.history, other._of_job
        self.live, self.letters, self.aside = other.live, other.letters, other.aside

    async def kept_aside(self, topics: Collection[str], after: AsideRow | None) -> list[AsideRow]:
        """See `Projections`."""
        await self._read("projection.aside")
        rows = (self.aside[key] for key in sorted(self.aside))
        return [
            row for row in rows if row.topic in topics and (after is None or row[:3] > after[:3])
        ][:PAGE]

    async def of(self, job: JobId) -> JobRecords:
        """See `HistoryRows`."""
        await self._read("projection.read")
        live = self.live.get(job.bytes)
        return JobRecords(
            [*self._of_job.get(job.bytes, ())],
            [] if live is None else [live],
        )

    async def checkpoint(self, projection: str, place: Place) -> int | None:
        """See `HistoryRows`."""
        await self._read("projection.read")
        return self.checkpoints.get((projection, place))

    async def by_id(self, dead_letter: UUID) -> LetterRow | None:
        """See `LetterRows`."""
        await self._read("projection.read")
        return next((row for row in self.letters.values() if row.id == dead_letter), None)

    async def open(self, query: LetterQuery) -> list[LetterRow]:
        """See `LetterRows`."""
        await self._read("projection.read")
        rows = sorted(self.open_letters(), key=_turn)
        return [row for row in rows if _matches(row, query)][: query.limit]

    def open_letters(self) -> list[LetterRow]:
        """Every open letter, in the order in which they were told."""
        return list(filter(_is_open, self.letters.values()))

    async def size(self) -> int:
        """See `LetterRows`."""
        await self._read("projection.read")
        return sum(map(_is_open, self.letters.values()))

    async def groups(self) -> list[LetterGroup]:
        """See `LetterRows`."""
        await self._read("projection.read")
        deaths: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in filter(_is_open, self.letters.values()):
            deaths[row.type or "", row.place or ""].append(row.died_at or 0)
        sizes = Counter({group: len(times) for group, times in deaths.items()})
        return [
            LetterGroup(*group, size, min(deaths[group]), max(deaths[group]))
            for group, size in sorted(sizes.items(), key=lambda one: (-one[1], one[0]))
        ]


def _key(row: HistoryRow) -> tuple[bytes, int, int, int]:
    return row.job, row.generation, row.timeline, row.upto


def _newness(row: LiveRow) -> tuple[int, int, int]:
    return row.generation, row.run, row.at


def _added(known: LetterRow | None, told: LetterRow) -> LetterRow:
    if known is None:
        return told
    died = known if known.body is not None else told
    closings = {known.closed, told.closed}
    closed = next((one for one in Closing if one in closings), None)
    return died._replace(
        closed=closed,
        first_fact=min(known.first_fact, told.first_fact),
        last_fact=max(known.last_fact, told.last_fact),
    )


def _is_open(row: LetterRow) -> bool:
    return row.closed is None and row.body is not None


def _turn(row: LetterRow) -> tuple[int, UUID]:
    return row.died_at or 0, row.id


def _matches(row: LetterRow, query: LetterQuery) -> bool:
    wanted = ((query.type, row.type), (query.place, row.place), (query.tenant, row.tenant))
    if any(want is not None and want != has for want, has in wanted):
        return False
    return query.after is None or _turn(row) > _turn(query.after)
