"""A cluster in memory with a projector and an operator, who see what they would see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processor.adapters.event_kinds import EventKinds
from processor.adapters.memory.cancelling import MemoryCancelling
from processor.adapters.memory.event_bus import MemoryEventBus, MemoryGroups
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.log import MemoryLog
from processor.adapters.memory.operations import MemoryOperations
from processor.adapters.memory.plans import MemoryPlans
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.situations import MemorySituations
from processor.adapters.memory.step import onward
from processor.adapters.memory.waiting_room import MemoryWaitingRoom
from processor.bootstrap.producing import Client
from processor.domain.ids import JobId
from processor.domain.priority import LANES
from processor.domain.status import JobStatus
from processor.ports.log import Place
from processor.ports.projection import Move
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker, places_of
from processor.runtime.desk import Desk
from processor.runtime.explaining import Explainer
from processor.runtime.handlers import Jobs
from processor.runtime.operating import Operator
from processor.runtime.plan_runner import PORTION, PlanRunner
from processor.runtime.plans import Plans
from processor.runtime.submitting import Submitter
from processor.runtime.waiting_for import Reasons
from processor.testing.cluster import MemoryCluster
from processor.testing.naming import CODEC, TIMELINE, TOPICS
from processor.testing.process import Hook
from projections.dead_letters import DeadLetterProjection
from projections.history import FoldedHistory, HistoryProjection
from projections.queries import DeadLetters


class OperatedCluster(MemoryCluster):
    """A cluster whose history comes only as far as a test lets it."""

    def __init__(self, jobs: Jobs, partitions: int = 2, **kept: Any) -> None:  # noqa: ANN401
        super().__init__(jobs, partitions, **kept)
        self.timeline = TIMELINE
        self.projections = MemoryProjections()
        self.history = FoldedHistory(self.projections, CODEC)
        self.groups = MemoryGroups(self.topics)
        self.operator = self.an_operator()

    def an_operator(self, hook: Hook = onward) -> Operator:
        """One who operates, from a process of his own."""
        acknowledged = Acknowledged()
        asker = Asker(self.history, acknowledged, self._ends, self.clock)
        return Operator(self._desk(hook, acknowledged), asker)

    def a_plan_runner(self, hook: Hook = onward, *, portion: int = PORTION) -> PlanRunner:
        """One who runs plans, from a process of his own."""
        plans = MemoryPlans(self.database, self.projections, step=hook)
        return PlanRunner(self._desk(hook, Acknowledged()), plans, plans, portion=portion)

    def a_client(self, hook: Hook = onward) -> Client:
        """One who submits, asks, operates and subscribes, from a process of his own."""
        acknowledged = Acknowledged()
        kinds = EventKinds(TOPICS, self.partitions, self.codec)
        desk = self._desk(hook, acknowledged)
        holds = MemoryHolds(self.database, step=hook)
        plans = MemoryPlans(self.database, self.projections, step=hook)
        why = Reasons(desk.rows, holds).of
        asker = Asker(self.history, acknowledged, self._ends, self.clock, why=why)
        return Client(
            Submitter(
                desk.log,
                self.codec,
                self.clock,
                TOPICS,
                self.partitions,
                acknowledged,
                self.tracing,
            ),
            asker,
            MemoryEventBus(self.groups, kinds, desk.log),
            Operator(desk, asker),
            DeadLetters(self.projections, self.codec),
            Explainer(
                asker,
                MemorySituations(self.database, step=hook),
                self.codec,
                grace=self.manner.grace,
                look_ahead=self.manner.look_ahead.jobs,
                lag=self._lag,
            ),
            Plans(desk, plans, PlanRunner(desk, plans, plans)),
        )

    def _desk(self, hook: Hook, acknowledged: Acknowledged) -> Desk:
        clock, database = self.clock, self.database
        return Desk(
            MemoryLog(self.topics, step=hook, record_bytes=self.record_bytes),
            CODEC,
            clock,
            TOPICS,
            self.partitions,
            acknowledged,
            self.projections,
            MemoryOperations(database, step=hook),
            MemoryLedger(database, step=hook),
            MemoryWaitingRoom(database, step=hook),
            MemoryCancelling(database, step=hook),
            MemoryHolds(database, step=hook),
            timeline=lambda: self.timeline,
            metrics=self.metrics("operator"),
            tracing=self.tracing,
        )

    async def project(self) -> None:
        """Let both projections come as far as the log goes."""
        for projection in (
            HistoryProjection(TOPICS, self.partitions, CODEC),
            DeadLetterProjection(TOPICS, self.partitions, CODEC),
        ):
            for place in projection.places:
                before = self.projections.checkpoints.setdefault((projection.name, place), 0)
                records = self.topics.read(place, before, 1_000_000)
                folded = projection.fold({place: records})
                for fact in folded.facts:
                    self.topics.append(fact)
                move = Move(place, before, before + len(records))
                assert await self.projections.write(projection.name, [move], folded.batch)

    async def status(self, job: JobId) -> JobStatus:
        """A job as the whole log tells of it."""
        await self.project()
        status = await self.history.status(job)
        assert status is not None
        return status

    def settled_in_the_ledger(self, job: JobId, generation: int = 1) -> bool:
        """Whether that generation has ended."""
        return (job, generation) in self.database.ledger

    async def read_to_the_end(self) -> None:
        """Let time pass until every lane is done to its end; rows may go on waiting."""
        await self.until(
            lambda: all(
                self.database.owners[number].positions[lane] == self.end(lane, number)
                for lane in LANES
                for number in range(self.partitions)
            )
        )

    async def _lag(self, partition: int) -> int:
        place = Place(TOPICS.events, partition)
        return self.topics.partitions[place].end - await self.history.seen(place)

    async def _ends(self) -> Mapping[Place, int]:
        places = places_of(TOPICS, self.partitions)
        return {place: self.topics.partitions[place].end for place in places}
