"""How are the flights worked: submitted, looked at, and a worker killed in the middle?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.console import Console

from processor.demo.export import rows
from processor.demo.flights import submission
from processor.demo.showing import Show, Standing
from processor.demo.watching import Watch
from processor.domain.errors import ProcessorError
from processor.staging.children import Child, Children

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.runtime.client import Client

APPLICATION = "processor.demo.flights:jobs"
LOOK_SECONDS = 0.2
STALL_SECONDS = 90.0
"""So long nothing may move: far longer than the take-over from a killed worker."""
LETTER_SECONDS = 15.0
KILL_AFTER = 1 / 3
"""The part of the flights that is done when a worker is killed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    flights: int
    workers: int = 1
    kill: bool = False


@dataclass(slots=True)
class Run:
    """One run, from the first submission to the last comparison."""

    wanted: Wanted
    console: Console
    children: Children
    watch: Watch
    workers: list[Child] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    submitted: float = 0.0
    """Seconds that submitting took."""
    last: tuple[int, ...] = ()
    """Jobs settled, records done, ends projected and dead letters, when they moved last."""
    moved: float = 0.0
    """When that was, in seconds since the beginning."""
    killed: bool = False

    async def start_worker(self) -> None:
        """One more worker process."""
        name = f"worker {len(self.workers) + 1}"
        self.workers.append(await self.children.start(name, "worker", APPLICATION))

    async def submit(self, client: Client) -> list[JobId]:
        """Submit the flights in the order of the file."""
        jobs = await client.submit(submission(row) for row in rows(self.wanted.flights))
        self.submitted = time.monotonic() - self.began
        return jobs

    async def work(self, client: Client, show: Show) -> list[JobId]:
        """Submit, and look on until every job has ended and the history is complete."""
        self.began = time.monotonic()
        submitting = asyncio.create_task(self.submit(client))
        try:
            # Another process does the work: there is nothing here to wait for but its rows.
            while not await self.over(show, submitting):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            return await submitting
        finally:
            submitting.cancel()
            await asyncio.wait({submitting})

    async def over(self, show: Show, submitting: asyncio.Task[list[JobId]]) -> bool:
        """Look once; raises `ProcessorError` when a process ended or nothing moves any more."""
        await self.children.check()
        if submitting.done():
            submitting.result()  # raises what went wrong
        standing = await self.watch.standing(time.monotonic() - self.began)
        if min(standing.all_done, standing.projected) >= self.wanted.flights:
            # The journal may hold copies: only now is counting worth it.
            standing = replace(standing, projected=await self.watch.histories())
        show(standing)
        self.must_move(standing)
        if self.wanted.kill and not self.killed:
            await self.kill_in_the_middle(standing)
        if (
            not submitting.done()
            or min(standing.all_done, standing.projected) < self.wanted.flights
        ):
            return False
        return await self.dead_letters_stand(standing)

    async def dead_letters_stand(self, standing: Standing) -> bool:
        """Whether each failed job has its dead letter, or was given time enough to get it.

        They come by a topic of their own, a little after the history; one that is lost is not
        waited for but left to the comparison.
        """
        waited = standing.seconds - self.moved
        return standing.dead_letters >= await self.watch.failed() or waited > LETTER_SECONDS

    def must_move(self, standing: Standing) -> None:
        """Raise `ProcessorError` when nothing has moved for too long."""
        now = (standing.all_settled, standing.all_done, standing.projected, standing.dead_letters)
        if now != self.last:
            self.last, self.moved = now, standing.seconds
        if standing.seconds - self.moved > STALL_SECONDS:
            raise ProcessorError(
                f"nothing has moved for {STALL_SECONDS:g} s: {standing.all_done:,} of"
                f" {self.wanted.flights:,} jobs ended, {standing.projected:,} in the history"
            )

    async def kill_in_the_middle(self, standing: Standing) -> None:
        """Kill the first worker when a part of the work is done; alone, it gets a successor."""
        if standing.all_settled < self.wanted.flights * KILL_AFTER:
            return
        if standing.all_settled >= self.wanted.flights:
            raise ProcessorError("the work was over before a worker could be killed in its middle")
        self.killed = True
        victim = self.workers[0]
        await victim.kill()
        self.console.print(
            f"killed {victim.name} (SIGKILL) with {standing.all_settled:,} of"
            f" {self.wanted.flights:,} jobs ended"
        )
        if len(self.workers) == 1:
            await self.start_worker()
