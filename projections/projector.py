"""How does a projection move along the log?

A batch is fetched, folded, its facts are appended and acknowledged, and then one transaction writes
its rows and advances the checkpoints from where this projector believes them to stand. So a death
anywhere repeats at most one batch, whose rows are there already and whose facts are copies.

Two projectors of one projection: the one whose advance is refused stands by, watches the
checkpoints, and takes over when they have not moved for a while. That a checkpoint is not where it
should be is noticed also where nothing new comes: a database that went back has lost rows. Whatever
fails otherwise (broker or database away) is logged, and the projector begins again at its
checkpoints.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

import structlog

from processor.domain.errors import Unavailable
from processor.ports.ledger import Fault
from processor.ports.log import LogFailure, Place
from processor.ports.projection import Move
from projections.projection import KeptAside

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from processor.ports.clock import Clock
    from processor.ports.log import Append, Log, Reader
    from processor.ports.projection import AsideRow, Projections
    from projections.projection import Folded, Projection

Answer = TypeVar("Answer")

FETCH_SECONDS: Final = 0.5
"""How long a fetch waits for the first record, and so at most how long a stop takes."""
STAND_BY_SECONDS: Final = 1.0
STAND_BY_LOOKS: Final = 3
"""A projector that stands by takes over after so many looks that saw no checkpoint move."""
PAUSE_SECONDS: Final = 1.0
ENOUGH: Final = 1_000
GATHERING: Final = 0.025
"""Seconds between two transactions of fewer records than `ENOUGH`: one by one they cost most, and
whoever asks for a status waits no longer than that. What comes after a rest waits for nothing."""
LOOK_SECONDS: Final = 5.0
"""How long a checkpoint may stand elsewhere before its projector sees it."""


class Stopped(Exception):  # noqa: N818 - names what happened, and never leaves this module
    """The projector was asked to stop."""


class Projector:
    """Moves one projection along the log: `async with`, or `run` until `stop`.

    `run` raises `LogCut` when the log no longer holds what is not projected yet.
    """

    def __init__(
        self,
        projection: Projection,
        *,
        readers: Callable[[Sequence[Place]], AbstractAsyncContextManager[Reader]],
        log: Log,
        store: Projections,
        clock: Clock,
        records: int = 4_000,
    ) -> None:
        self.projection = projection
        self._readers = readers
        self._reader: Reader | None = None
        self._log = log
        self._store = store
        self._clock = clock
        self._records = records
        self._positions: dict[Place, int] = {}
        self._starts: Mapping[Place, int] = {}
        """Where the log began when the reader was made."""
        self._look_at = 0.0
        self._gather_until = 0.0
        self._stopping = asyncio.Event()
        self._leaving = AsyncExitStack()
        self._logger = structlog.get_logger().bind(projection=projection.name)
        self.projected = 0
        """Records projected since the start."""
        self.standing_by = False
        """Whether another projector moves this projection."""

    async def __aenter__(self) -> Self:
        """Start moving."""
        group = await self._leaving.enter_async_context(asyncio.TaskGroup())
        group.create_task(self.run())
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Stop after the batch at hand."""
        self.stop()
        await self._leaving.aclose()

    def stop(self) -> None:
        """Let `run` return soon; what is under way is repeated by the next projector."""
        self._stopping.set()

    async def lag(self) -> int | None:
        """How many records of the log are not projected; None while this projector reads none."""
        if self._reader is None:
            return None
        bounds = await self._reader.bounds(self.projection.places)
        return sum(max(0, end - self._positions[place]) for place, (_, end) in bounds.items())

    async def run(self) -> None:
        """Project until stopped."""
        with suppress(Stopped):
            await self._lasting()

    async def _lasting(self) -> None:
        recovered = False
        while True:
            try:
                if not recovered:
                    await self._recover()
                    recovered = True
                await self._follow()
                await self._stand_by()
            except (Fault, LogFailure, Unavailable) as failure:
                self._logger.warning("begins again at its checkpoints", because=str(failure))
                await self._rest(PAUSE_SECONDS)

    async def _follow(self) -> None:
        """Project from the checkpoints on until another projector has moved one."""
        async with self._readers(self.projection.places) as reader:
            await self._begin(reader)
            self._reader = reader
            try:
                while not self._stopping.is_set():
                    if not await self._project(reader):
                        return
            finally:
                self._reader = None
        raise Stopped

    async def _begin(self, reader: Reader) -> None:
        bounds = await self._unless_stopped(reader.bounds(self.projection.places))
        self._starts = {place: start for place, (start, _) in bounds.items()}
        await self._look()
        for place, offset in self._positions.items():
            reader.place(place, offset)

    async def _look(self) -> bool:
        """Read the checkpoints, where one that is missing begins; False where they are others."""
        before = self._positions
        checkpoints = self._store.begin(self.projection.name, self._starts)
        self._positions = dict(await self._unless_stopped(checkpoints))
        self._look_at = self._clock.monotonic() + LOOK_SECONDS
        return self._positions == before

    async def _project(self, reader: Reader) -> bool:
        """Move on by one batch; False where another projector did, or the database went back."""
        if self._clock.monotonic() >= self._look_at and not await self._look():
            return False
        if (wait := self._gather_until - self._clock.monotonic()) > 0:
            await self._rest(wait)
        fetched = await reader.fetch(FETCH_SECONDS, self._records)
        began = self._clock.monotonic()
        held = {place: records for place, records in fetched.items() if records}
        if not held:
            return True
        moves = [
            Move(place, self._positions[place], records[-1].offset + 1)
            for place, records in held.items()
        ]
        if not await self._write(self.projection.fold(held), moves):
            return False
        self._positions.update((move.place, move.after) for move in moves)
        records = sum(map(len, held.values()))
        self._gather_until = began + GATHERING if records < ENOUGH else 0.0
        self.projected += records
        return True

    async def _write(self, folded: Folded, moves: Sequence[Move]) -> bool:
        await self._tell(folded.facts)
        return await self._unless_stopped(
            self._store.write(self.projection.name, moves, folded.batch)
        )

    async def _tell(self, facts: Sequence[Append]) -> None:
        if not facts:
            return
        for answer in await self._unless_stopped(self._log.append(facts)):
            if isinstance(answer, LogFailure):
                raise answer

    async def _stand_by(self) -> None:
        """Return when the checkpoints have stood still while this projector looked."""
        self._logger.info("stands by: another projector moves this projection")
        self.standing_by = True
        looks = 0
        try:
            while looks < STAND_BY_LOOKS:
                await self._rest(STAND_BY_SECONDS)
                looks = looks + 1 if await self._look() else 0
        finally:
            self.standing_by = False

    async def _recover(self) -> None:
        """Fold what an earlier release kept aside and this one can decode."""
        topics = sorted({place.topic for place in self.projection.places})
        last: AsideRow | None = None
        while rows := await self._unless_stopped(self._store.kept_aside(topics, last)):
            for row in rows:
                await self._recover_one(row)
            last = rows[-1]

    async def _recover_one(self, row: AsideRow) -> None:
        place = Place(row.topic, row.partition)
        record = KeptAside(row.offset, row.body, row.at // 1000)
        folded = self.projection.fold({place: [record]})
        if not folded.batch.aside:
            folded.batch.recovered.append(row)
            await self._write(folded, [])

    async def _rest(self, seconds: float) -> None:
        await self._unless_stopped(self._clock.sleep(seconds))

    async def _unless_stopped(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer to a call that a stop may cut short; raises `Stopped` then."""
        call = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((call, stop), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise Stopped
            return call.result()
        finally:
            stop.cancel()
            call.cancel()
            await asyncio.gather(call, stop, return_exceptions=True)
