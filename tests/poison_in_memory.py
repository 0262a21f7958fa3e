"""Which work kills the worker that does it, and who puts another one in its place?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tenacity import wait_fixed

from processor.adapters.avro import AvroCodec
from processor.adapters.memory.step import onward
from processor.domain.events import Failed, Reason
from processor.domain.ids import JobId
from processor.domain.retry import Retry
from processor.domain.submission import SubmissionRecord
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import this_process
from processor.testing.process import Hook
from processor.testing.virtual_time import loop_of_the_test
from tests.waiting import waiting_jobs

LEAVEN = b"kills who decodes it"


def poisoned_jobs() -> Jobs:
    """The handlers of `waiting_jobs`, and those that kill: at once, late, or when run again."""
    jobs = waiting_jobs()
    clock = loop_of_the_test().clock

    async def poison(_request: Request[Any]) -> None:
        this_process().kill()
        await asyncio.Event().wait()

    async def late(request: Request[float]) -> None:
        await clock.sleep(request.payload)
        await poison(request)

    async def again(request: Request[Any]) -> None:
        if request.attempt == 1:
            raise RuntimeError("only the second attempt kills")
        await poison(request)

    jobs.register("poison", poison)
    jobs.register("late", late)
    jobs.register("again", again, retry=Retry(attempts=5, wait=wait_fixed(1)))

    async def keeps(request: Request[Any]) -> None:
        if request.cluster.generation == 1:
            await poison(request)

    jobs.register("keeps", keeps, retry=Retry(on_exhausted="block"))
    return jobs


class DeadlyCodec(AvroCodec):
    """Dies of what has `LEAVEN` in it, as a decoder with a bug would."""

    def decode_submission(self, value: bytes) -> SubmissionRecord:
        if LEAVEN in value:
            raise this_process().die_in_a_call()
        return super().decode_submission(value)


DEADLY = DeadlyCodec()


class Supervisor:
    """Puts a new worker in the place of each that dies."""

    def __init__(self, cluster: MemoryCluster, workers: int = 1, hook: Hook = onward) -> None:
        self._cluster = cluster
        self._hook = hook
        self.members = [cluster.start(hook) for _ in range(workers)]
        self.deaths = 0

    def look(self) -> None:
        """Replace the dead."""
        for number, member in enumerate(self.members):
            if member.dead:
                self.deaths += 1
                self.members[number] = self._cluster.start(self._hook)

    async def until(self, reached: Callable[[], object], within: float = 600.0) -> None:
        """Let time pass until that is so, with all workers alive."""

        def reached_by_then() -> object:
            self.look()
            return reached()

        await self._cluster.until(reached_by_then, within)

    async def stopped(self) -> None:
        """Stop everybody who lives."""
        for member in self.members:
            await member.stopped()


def reason_of(cluster: MemoryCluster, job: JobId) -> Reason | None:
    """Why a job has failed; None where it has not ended, or otherwise."""
    if (job, 1) not in cluster.database.ledger:
        return None
    end = cluster.outcome(job).end
    return end.reason if isinstance(end, Failed) else None


def completed(cluster: MemoryCluster, *jobs: JobId) -> bool:
    """Whether all of them are complete."""
    rows = [cluster.database.ledger.get((job, 1)) for job in jobs]
    return all(row is not None and row.ending is Ending.COMPLETE for row in rows)


def is_calm(cluster: MemoryCluster) -> bool:
    """Whether nothing is suspected any more."""
    owners = cluster.database.owners.values()
    return not cluster.database.suspects and not any(one.unclean for one in owners)
