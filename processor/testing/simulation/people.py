"""What do producers and operators do in a simulated run, and what are they answered?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from processor.adapters.memory.holds import MemoryHolds
from processor.domain.errors import ProcessorError, SubmitError, Unavailable
from processor.domain.ids import dead_letter_id, partition_of
from processor.domain.instants import date_of
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending, Fault
from processor.ports.log import Place
from processor.ports.waiting_room import WaitingState
from processor.runtime.submission import Submission
from processor.testing.cluster import Acked
from processor.testing.naming import CODEC, TOPICS
from processor.testing.simulation.plan import Act

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.runtime.cancelling import Cancellation
    from processor.testing.operated import OperatedCluster
    from processor.testing.process import Hook
    from processor.testing.simulation.plan import Step, Submitted

PATIENCE: Final = 60.0
"""Seconds that an operator waits for a job to die before he turns away."""
TRIES: Final = 20
PROBES: Final = 5
"""Of a breaker's, that fail before an operator releases its type."""


class People:
    """Everybody outside the workers; each of them acts in a process of his own."""

    def __init__(
        self, cluster: OperatedCluster, payloads: Mapping[str, object], hook: Hook
    ) -> None:
        self._cluster = cluster
        self._client = cluster.a_client(hook)
        self._operator = cluster.an_operator(hook)
        self._payloads = payloads
        self._busy: set[asyncio.Future[None]] = set()
        self.acked: dict[int, Acked] = {}
        """By the number of the submission in the plan."""
        self.cancelled: list[Cancellation] = []
        """What was answered to those who cancelled."""

    @property
    def busy(self) -> bool:
        """Whether somebody still waits for an answer."""
        return bool(self._busy)

    def submit(self, these: Sequence[tuple[int, Submitted]]) -> None:
        """Submit some by their numbers in the plan, until they are acknowledged."""
        now = date_of(self._cluster.clock.now())
        batch = {
            number: replace(
                one.draft or Submission(one.type, self._payloads.get(one.type), entity=one.entity),
                priority=one.lane,
                not_before=now + timedelta(seconds=one.delay) if one.delay else None,
                id=self._cluster.an_id(),
            )
            for number, one in these
        }
        self._beside(partial(self._submit, batch), tries=None)

    def act(self, step: Step) -> None:
        """Do what a step says to the job that it concerns, unless it is not there yet."""
        acked = self.acked.get(step.whom)
        if acked is None:
            return
        job = acked.record.job
        match step.act:
            case Act.COPY:
                self._cluster.append(acked.lane, acked.partition, self._encoded(acked))
            case Act.CANCEL:
                self._beside(partial(self._cancel, job))
            case Act.REPLAY:
                self._go(self._once_dead(job, self._replay))
            case Act.DISCARD:
                self._go(self._once_dead(job, self._discard))
            case _:
                kinds = ((HoldKind.TYPE, acked.record.type), (HoldKind.ENTITY, acked.record.entity),
                         (HoldKind.LANE, acked.lane.name.lower()))  # fmt: skip
                kind, value = kinds[step.whom % 3]
                self._beside(partial(self._hold, kind, value, step.seconds))

    def let_go(self) -> None:
        """Discard what blocks its entity, and release what people hold: nobody else would.

        What a breaker holds is released by its probes, or by an operator who sees that they fail,
        since the type does on purpose. A failover may have forgotten a release.
        """
        if not self._busy:
            holds = self._cluster.database.holds
            for hold in list(holds.values()):
                if not hold.is_breakers or hold.failed_probes >= PROBES:
                    del holds[hold.id]
        for (job, generation), waiting in self._cluster.database.waiting.items():
            if waiting.wait.state == WaitingState.BLOCKING.value and not self._busy:
                self._beside(partial(self._discard, dead_letter_id(job, generation)))

    async def _submit(self, batch: Mapping[int, Submission]) -> None:
        await self._client.submit(list(batch.values()))
        for number, submission in batch.items():
            self.acked[number] = _found(self._cluster, submission)
            self._cluster.acked.append(self.acked[number])

    async def _cancel(self, job: JobId) -> None:
        self.cancelled.append(await self._operator.cancel(job, "ann", "in the simulation"))

    async def _once_dead(self, job: JobId, do: Callable[[UUID], Awaitable[None]]) -> None:
        letter = await self._letter(job)
        if letter is not None:
            await self._insist(partial(do, letter), TRIES)

    async def _replay(self, letter: UUID) -> None:
        await self._operator.replay(letter, "ann", "in the simulation")

    async def _discard(self, letter: UUID) -> None:
        await self._operator.discard(letter, "ann", "in the simulation")

    async def _letter(self, job: JobId) -> UUID | None:
        """The dead letter of its newest generation; None where it does not die."""
        clock, database = self._cluster.clock, self._cluster.database
        deadline = clock.monotonic() + PATIENCE
        while clock.monotonic() < deadline:
            rows = list(database.of_job(job))
            if rows:
                last = max(rows, key=lambda row: row.generation)
                return (
                    dead_letter_id(job, last.generation) if last.ending is Ending.FAILED else None
                )
            await clock.sleep(0.5)
        return None

    async def _hold(self, kind: HoldKind, value: str, seconds: float) -> None:
        holds, clock = MemoryHolds(self._cluster.database), self._cluster.clock
        hold = await holds.hold(kind, value, "ann", "in the simulation")
        await clock.sleep(seconds)
        await holds.release(hold.id, "ann", "in the simulation")

    def _encoded(self, acked: Acked) -> bytes:
        return CODEC.encode_submission(acked.record)

    def _beside(self, operation: Callable[[], Awaitable[None]], tries: int | None = TRIES) -> None:
        self._go(self._insist(operation, tries))

    def _go(self, what: Coroutine[Any, Any, None]) -> None:
        future = asyncio.ensure_future(what)
        self._busy.add(future)
        future.add_done_callback(self._busy.discard)

    async def _insist(self, operation: Callable[[], Awaitable[None]], tries: int | None) -> None:
        """Ask again while nobody answers, as a person would; any other answer is one."""
        for _ in count() if tries is None else range(tries):
            try:
                return await operation()
            except (Fault, Unavailable, SubmitError):
                await self._cluster.clock.sleep(1.0)
            except ProcessorError:
                return None
        return None


def _found(cluster: OperatedCluster, submission: Submission) -> Acked:
    """Where an acknowledged submission stands first."""
    entity, lane = submission.entity, submission.priority
    assert lane is not None
    number = partition_of(entity or str(submission.id), cluster.partitions)
    for record in cluster.topics.partitions[Place(TOPICS.lane(lane), number)].records:
        decoded = CODEC.decode_submission(record.value or b"")
        if decoded.job == submission.id:
            return Acked(decoded, lane, number, record.offset)
    raise AssertionError(f"3: {submission.id} was acknowledged and is in no lane")
