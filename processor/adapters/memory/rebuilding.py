"""How would a second set of tables take the place of the first, without a database?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from processor.adapters.memory.forgetting import is_over
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.step import Step, onward
from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.ports.rebuilding import PREFIX, Comparison, Completed, Difference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from processor.domain.topics import Topics
    from processor.ports.projection import HistoryRow, LetterRow, Projections
    from processor.ports.rebuilding import Start

    Passed = Callable[[Mapping[str, Mapping[Place, int]]], Awaitable[bool]]


class MemoryRebuilding:
    """`Rebuilding`; its steps are `rebuild.prepare`, `.complete`, and so on."""

    def __init__(self, live: MemoryProjections, topics: Topics, *, step: Step = onward) -> None:
        self._live = live
        self._topics = topics
        self._second: MemoryProjections | None = None
        self._starts: Mapping[Place, Start] = {}
        self._reaching: set[bytes] = set()
        self.step = step

    async def prepare(self) -> Projections:
        """See `Rebuilding`."""
        lost = await self.step("rebuild.prepare")
        self._drop()
        second = self._second = MemoryProjections(step=self._live.step)
        second.checkpoints = self._live.checkpoints
        if lost is not None:
            raise lost
        return second

    async def complete(self, starts: Mapping[Place, Start], before: int) -> Completed:
        """See `Rebuilding`."""
        lost = await self.step("rebuild.complete")
        self._starts = starts
        live, second = self._live, self._made()
        self._reaching = {
            row.job for row in live.history.values() if row.offset < self._start(row).offset
        } | {
            row.job
            for row in second.history.values()
            if row.upto < 0 and row.at <= self._journal(row.partition).at
        }
        copied = 0
        for job in self._reaching:
            copied += bool(live.rows_of(job))
            for row in live.rows_of(job):
                second.put(row)
        self._add_from_live()
        forgotten = self._forget(before)
        if lost is not None:
            raise lost
        return Completed(copied, forgotten)

    async def compare(self, shown: int) -> Comparison:
        """See `Rebuilding`."""
        lost = await self.step("rebuild.compare")
        live, second = self._live, self._made()
        ours = {key: row for key, row in live.history.items() if self._covers(row)}
        theirs = {key: row for key, row in second.history.items() if self._covers(row)}
        found = list(_differences("history", ours, theirs))
        letters = {**second.letters, **live.letters}.keys() - {
            key
            for rows in (live.letters, second.letters)
            for key, row in rows.items()
            if not self._covers_letter(row)
        }
        found += _differences(
            "dead_letter",
            {key: live.letters[key] for key in letters & live.letters.keys()},
            {key: second.letters[key] for key in letters & second.letters.keys()},
        )
        if lost is not None:
            raise lost
        return Comparison(len(theirs) + len(letters), len(found), found[:shown])

    async def replace(self, passed: Passed) -> bool:
        """See `Rebuilding`."""
        lost = await self.step("rebuild.replace")
        live, second = self._live, self._made()
        async with live.still:  # a projector's write waits, as the locked checkpoints make it
            standing: dict[str, dict[Place, int]] = {}
            for (name, place), offset in live.checkpoints.items():
                if not name.startswith(PREFIX):
                    standing.setdefault(name, {})[place] = offset
            replaced = await passed(standing)
            if replaced:
                live.take(second)
                self._drop()
        if lost is not None:
            raise lost
        return replaced

    async def abandon(self) -> None:
        """See `Rebuilding`."""
        lost = await self.step("rebuild.abandon")
        self._drop()
        if lost is not None:
            raise lost

    def _add_from_live(self) -> None:
        live, second, starts = self._live, self._made(), self._starts
        for letter in live.letters.values():
            if letter.first_fact < starts[self._letters(letter.partition)].offset:
                second.put_letter(letter)
        for told, aside in live.aside.items():
            if aside.offset < starts[Place(*told[:2])].offset:
                second.aside.setdefault(told, aside)
        for running in live.live.values():
            second.put_live(running)

    def _forget(self, before: int) -> int:
        live, second = self._live, self._made()
        jobs = {row.job for row in second.history.values() if not live.rows_of(row.job)}
        gone = [one for one in jobs if one in self._reaching or is_over(second, one, before)]
        forgotten = set()
        for job in gone:
            # What the tables have not read yet they cannot have forgotten.
            for row in [*second.rows_of(job)]:
                if row.offset < live.checkpoints.get(("history", self._place(row)), 0):
                    second.remove_row(row)
                    forgotten.add(job)
        for job, told in [*second.live.items()]:
            ends = [row.ended_at for row in second.rows_of(job) if row.ended_at is not None]
            if not second.rows_of(job) or any(end >= told.at for end in ends):
                del second.live[job]
        return len(forgotten)

    def _covers(self, row: HistoryRow) -> bool:
        return row.job not in self._reaching and row.offset < self._read(
            "history", self._place(row)
        )

    def _covers_letter(self, row: LetterRow) -> bool:
        place = self._letters(row.partition)
        return row.first_fact >= self._starts[place].offset and row.last_fact < self._read(
            "dead-letters", place
        )

    def _read(self, projection: str, place: Place) -> int:
        """How far both sets have read."""
        checkpoints = self._live.checkpoints
        return min(
            checkpoints.get((projection, place), 0),
            checkpoints.get((PREFIX + projection, place), 0),
        )

    def _start(self, row: HistoryRow) -> Start:
        return self._starts[self._place(row)]

    def _journal(self, partition: int) -> Start:
        return self._starts[Place(self._topics.events, partition)]

    def _letters(self, partition: int) -> Place:
        return Place(self._topics.dead_letters, partition)

    def _place(self, row: HistoryRow) -> Place:
        if row.upto >= 0:
            return Place(self._topics.events, row.partition)
        return Place(self._topics.lane(LANES[row.upto + len(LANES)]), row.partition)

    def _made(self) -> MemoryProjections:
        assert self._second is not None, "prepare comes first"  # noqa: S101 - a bug in the caller
        return self._second

    def _drop(self) -> None:
        self._second = None
        for key in [key for key in self._live.checkpoints if key[0].startswith(PREFIX)]:
            del self._live.checkpoints[key]


def _differences(
    table: str, ours: Mapping[Any, object], theirs: Mapping[Any, object]
) -> Iterator[Difference]:
    for key in sorted({**ours, **theirs}):
        if key not in ours:
            yield Difference(table, _named(key), "only the log tells of it")
        elif key not in theirs:
            yield Difference(table, _named(key), "only the table holds it")
        elif ours[key] != theirs[key]:
            yield Difference(table, _named(key), "the log tells it otherwise")


def _named(key: tuple[Any, ...]) -> str:
    return " ".join([str(UUID(bytes=key[0])), *map(str, key[1:])])
