"""What would the projections' tables hold, without a database?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.domain.selection import EVERY
from processor.ports.projection import (
    TENANTS_TOLD,
    AsideRow,
    Batch,
    Chosen,
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
    from processor.domain.selection import Selection
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
        self.overtaking: dict[int, tuple[int, int | None]] = {}
        """Entities of which a job died: when it did, and when one of theirs completed since."""
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
        self._overtake(batch)
        for kept in batch.aside:
            self.aside.setdefault(kept[:3], kept)
        for kept in batch.recovered:
            self.aside.pop(kept[:3], None)

    def _overtake(self, batch: Batch) -> None:
        for key, at in batch.died:
            died = self.overtaking.get(key, (at, None))
            self.overtaking[key] = max(died[0], at), died[1]
        for key, at in batch.passed(batch.completed):
            failed, completed = self.overtaking.get(key, (at, None))
            if failed < at and (completed is None or completed <= failed):
                self.overtaking[key] = failed, at

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

    async def chosen(self, query: LetterQuery) -> list[LetterRow]:
        """See `LetterRows`."""
        await self._read("projection.read")
        rows = sorted(self.choose(query.selection), key=_turn)
        after = query.after
        return [row for row in rows if after is None or _turn(row) > _turn(after)][: query.limit]

    def choose(self, selection: Selection) -> list[LetterRow]:
        """The letters of a selection, in the order in which they were told."""
        return [row for row in self.letters.values() if self._is_chosen(row, selection)]

    def _is_chosen(self, row: LetterRow, of: Selection) -> bool:
        wanted = (
            (of.type, row.type),
            (of.place, row.place),
            (of.release, row.release),
            (of.tenant, row.tenant),
            (of.overtaken, self.is_overtaken(row)),
            (Closing.DISCARDED if of.discarded else None, row.closed),
        )
        died_at = row.died_at or 0
        return (
            row.body is not None
            and (of.discarded or row.closed is None)
            and (not of.ids or row.id in of.ids)
            and all(want is None or want == has for want, has in wanted)
            and (of.died_after is None or died_at >= of.died_after)
            and (of.died_before is None or died_at < of.died_before)
        )

    def is_overtaken(self, row: LetterRow) -> bool:
        """Whether the entity of a letter has completed another job since."""
        _, completed = self.overtaking.get(row.entity_key or 0, (0, None))
        return completed is not None and completed > (row.died_at or 0)

    def open_letters(self) -> list[LetterRow]:
        """Every open letter, in the order in which they were told."""
        return list(filter(_is_open, self.letters.values()))

    async def size(self, selection: Selection = EVERY) -> Chosen:
        """See `LetterRows`."""
        await self._read("projection.read")
        rows = self.choose(selection)
        return Chosen(
            len(rows), len({row.id if row.entity_key is None else row.entity_key for row in rows})
        )

    async def groups(self, selection: Selection = EVERY) -> list[LetterGroup]:
        """See `LetterRows`."""
        await self._read("projection.read")
        rows: defaultdict[tuple[str, str, str], list[LetterRow]] = defaultdict(list)
        for row in self.choose(selection):
            rows[row.type or "", row.place or "", row.release or ""].append(row)
        groups = [self._group(*key, letters) for key, letters in rows.items()]
        return sorted(groups, key=lambda one: (-one.letters, one.type, one.place, one.release))

    def _group(
        self, type_: str, place: str, release: str, rows: Sequence[LetterRow]
    ) -> LetterGroup:
        deaths = [row.died_at or 0 for row in rows]
        tenants = sorted({row.tenant for row in rows if row.tenant is not None})
        overtaken = sum(map(self.is_overtaken, rows))
        return LetterGroup(
            type_,
            place,
            len(rows),
            min(deaths),
            max(deaths),
            release,
            tuple(tenants[:TENANTS_TOLD]),
            len(tenants),
            overtaken,
        )


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
