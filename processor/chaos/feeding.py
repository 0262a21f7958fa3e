"""How is a run fed with work, and how do its operators cancel, replay and discard meanwhile?"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from processor.domain.errors import ProcessorError, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from processor.bootstrap.producing import Client
    from processor.chaos.asking import Asking
    from processor.chaos.mixture import Mixture
    from processor.domain.ids import JobId
    from processor.runtime.cancelling import Cancellation
    from processor.runtime.submission import Submission

PIECE: Final = 200
"""So many submissions at the most go in one call."""
STEP_SECONDS: Final = 0.1
OPERATOR_SECONDS: Final = 0.3
DEBT_SECONDS: Final = 2.0
"""What could not be submitted in time is made up for as far as this."""
RECENT: Final = 400
WHO: Final = "chaos"

LETTERS: Final = """
(SELECT id, type FROM jobs.dead_letter WHERE closed IS NULL AND type = 'blocks' LIMIT 20)
UNION ALL
(SELECT id, type FROM jobs.dead_letter WHERE closed IS NULL AND type <> 'blocks'
 ORDER BY died_at DESC LIMIT 5)
"""
BLOCKING: Final = "SELECT id FROM jobs.dead_letter WHERE closed IS NULL AND type = 'blocks'"
DONE: Final = "SELECT sum(critical + high + normal + low)::bigint FROM jobs.ownership"


class Operate(Protocol):
    """Replays or discards a dead letter."""

    async def __call__(self, dead_letter_id: UUID, /, *, by: str, because: str) -> object:
        """Answer, or raise `ProcessorError`."""


@dataclass
class Feeding:
    """Submits what a mixture draws, each again until it is acknowledged."""

    client: Client
    mixture: Mixture
    asking: Asking
    acked_file: Path
    chance: random.Random
    acked: int = 0
    refused: int = 0
    """Calls of submit that were not acknowledged in time; what they held was submitted again."""
    answers: list[Cancellation] = field(default_factory=list)
    operated: int = 0
    """Dead letters that were replayed or discarded."""
    pending: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What operators have asked for and were not answered yet."""
    recent: deque[JobId] = field(default_factory=lambda: deque(maxlen=RECENT))
    sent: deque[Submission] = field(default_factory=lambda: deque(maxlen=RECENT))

    async def submit(self, submissions: list[Submission]) -> list[JobId]:
        """Submit until all are acknowledged."""
        while (jobs := await self._try(submissions)) is None:  # noqa: ASYNC110 - a broker sets no event
            await asyncio.sleep(STEP_SECONDS)
        self.acked += len(jobs)
        self.recent.extend(jobs)
        self.sent.extend(submissions)
        with self.acked_file.open("ab") as file:
            file.write(b"".join(job.bytes for job in jobs))
        return jobs

    async def _try(self, submissions: list[Submission]) -> list[JobId] | None:
        try:
            return await self.client.submit(submissions)
        except ProcessorError:
            self.refused += 1
            return None

    async def keep(self, backlog: int) -> None:
        """Feed so that there is always so much to do, until cancelled."""
        while True:
            if self.acked - (await self.asking.value(DONE) or 0) < backlog:
                await self.submit(self.mixture.take(min(backlog, PIECE)))
            else:
                await asyncio.sleep(STEP_SECONDS / 2)

    async def at(self, rate: float) -> None:
        """Feed so many jobs a second, until cancelled."""
        began, given = time.monotonic(), 0.0
        while True:
            due = (time.monotonic() - began) * rate
            given = max(given, due - rate * DEBT_SECONDS)
            count = min(int(due - given), PIECE)
            if count:
                given += count
                await self.submit(self.mixture.take(count))
            else:
                await asyncio.sleep(STEP_SECONDS)

    async def operate(self) -> None:
        """Cancel, replay and discard now and then, until cancelled."""
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * OPERATOR_SECONDS))
            if self.recent and self.chance.random() < 0.5:  # noqa: PLR2004 - every second time
                self.pending.append(partial(self._cancel, self.chance.choice(self.recent)))
            for letter, type_ in await self.asking.fetch(LETTERS):
                if type_ == "blocks" or self.chance.random() < 0.3:  # noqa: PLR2004 - some stay
                    self.pending.append(self._closing(letter))
            await self._operate()

    async def _operate(self) -> None:
        """Ask for all that is pending; what nobody answered is asked for again, as it says."""
        for operation in list(self.pending):
            try:
                await operation()
            except Unavailable:
                return
            except ProcessorError:
                pass  # somebody else was first, or it cannot be replayed
            self.pending.remove(operation)

    async def unblock(self) -> bool:
        """Close every letter that blocks its entity; whether there was anything to do."""
        letters = await self.asking.fetch(BLOCKING)
        self.pending += [self._closing(letter) for (letter,) in letters]
        some = bool(self.pending)
        await self._operate()
        return some

    async def _cancel(self, job: JobId) -> None:
        self.answers.append(await self.client.cancel(job, by=WHO, because="chance"))

    def _closing(self, letter: UUID) -> Callable[[], Awaitable[None]]:
        replays = self.chance.random() < 0.6  # noqa: PLR2004 - most are replayed
        return partial(self._close, self.client.replay if replays else self.client.discard, letter)

    async def _close(self, operate: Operate, letter: UUID) -> None:
        await operate(letter, by=WHO, because="chance")
        self.operated += 1

    def acknowledged(self) -> Iterator[UUID]:
        """The id of every job that was acknowledged."""
        if not self.acked_file.exists():
            return
        with self.acked_file.open("rb") as file:
            while one := file.read(16):
                yield UUID(bytes=one)
