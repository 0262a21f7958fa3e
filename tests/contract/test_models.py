"""Do the SQL of ledger and waiting room and a model of them answer alike, whatever comes?

The model is the database in memory, which has every rule once. Both are told the same, step by
step; beside them stands the one rule that both must keep: of an end the first is the only one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from operator import itemgetter
from typing import Any, Final, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.rows import Wait
from processor.domain.ids import JobId
from processor.ports.ledger import Answer, Entry, LedgerRow, WaitingRow
from processor.ports.ownership import Fence
from tests.contract.worlds import (
    PARTITIONS,
    MemoryWorld,
    World,
    a_claim,
    a_job,
    an_entry,
    an_id,
    in_postgres,
    own,
)

Told = TypeVar("Told")
PHASES: Final = (Phase.generate,)
"""A step costs a few milliseconds: what fails is told as it came, not shrunk."""
JOBS: Final = 4
ENTITIES: Final = 2
jobs = st.integers(0, JOBS - 1)
generations = st.sampled_from([1, 1, 1, 2, 3])
revisions = st.sampled_from([0, 0, 0, 1, -1])
"""How far what a worker knows is from what stands."""
tokens = st.sampled_from([0, 0, 0, 0, 1])
"""The owner's, or one of before."""
waits = st.sampled_from(
    [
        Wait("r", True, b"submission", b"so far", 1, 1),  # noqa: FBT003 - holds
        Wait("q", False, b"submission"),  # noqa: FBT003 - holds
        Wait("u", True, b"submission", None, 0, 1),  # noqa: FBT003 - holds
        Wait("b", True, b"submission", b"dead", 1, 1),  # noqa: FBT003 - holds
    ]
)


JOB: Final = itemgetter(0)


class DatabaseMachine(RuleBasedStateMachine):
    """Two worlds that are told the same."""

    def __init__(self, runner: asyncio.Runner, real: World) -> None:
        super().__init__()
        self.run = runner.run
        self.worlds: tuple[World, ...] = (MemoryWorld(MemoryDatabase.pinned(PARTITIONS)), real)
        self.ids = [a_job() for _ in range(JOBS)]
        base = an_id().int % 2**40
        self.keys = [base + number for number in range(ENTITIES)]
        self.fences: list[tuple[Fence, ...]] = []
        self.written = 0
        self.first: dict[tuple[JobId, int], bytes] = {}
        """The first end of each generation that was ever seen."""

    def both(self, *asked: Coroutine[Any, Any, Told]) -> Told:
        """What both answer, which is the same."""
        ours, theirs = (self.run(one) for one in asked)
        assert ours == theirs, f"the model says {ours}, PostgreSQL {theirs}"
        return ours

    def entry(self, job: int, generation: int) -> Entry:
        """Of that generation, or of the one that may be next: each begins with the last one's end.

        So a row of a generation that waits stands for an end of the one before it.
        """
        ended = [number for name, number in self.first if name == self.ids[job]]
        generation = min(generation, max(ended, default=0) + 1)
        self.written += 1
        body = f"end {self.written}".encode()
        return an_entry(self.ids[job], body, generation=generation, offset=100 + job)

    def key(self, job: int) -> int:
        return self.keys[job % ENTITIES]

    def revision(self, job: int, generation: int, off: int) -> int:
        rows = self.rows()[1]
        known = rows.get((self.ids[job], generation))
        return max(0, (0 if known is None else known.revision) + off)

    def fence(self, world: int, back: int) -> Fence:
        spells = self.fences
        return spells[max(0, len(spells) - 1 - back)][world]

    @initialize()
    def begin(self) -> None:
        self.take_over()

    @rule()
    def take_over(self) -> None:
        self.fences.append(tuple(self.run(own(world)) for world in self.worlds))

    @rule(job=jobs, generation=generations, off=revisions, back=tokens, wait=waits)
    def park(self, job: int, generation: int, off: int, back: int, wait: Wait) -> None:
        entry = self.entry(job, generation)
        revision = self.revision(job, entry.generation, off)
        dies = wait.state == "b"
        self.both(
            *(
                world.record(
                    self.fence(number, back), self.key(job), entry, revision, died=dies, wait=wait
                )
                for number, world in enumerate(self.worlds)
            )
        )

    @rule(job=jobs, generation=generations, off=revisions, back=tokens)
    def fail(self, job: int, generation: int, off: int, back: int) -> None:
        entry = self.entry(job, generation)
        revision = self.revision(job, entry.generation, off)
        self.both(
            *(
                world.ledger.fail(self.fence(number, back), self.key(job), entry, revision)
                for number, world in enumerate(self.worlds)
            )
        )

    @rule(some=st.lists(st.tuples(jobs, generations), max_size=4, unique_by=JOB), back=tokens)
    def flush(self, some: list[tuple[int, int]], back: int) -> None:
        """Never two generations of a job: its entity is given back only once the first stands."""
        entries = [self.entry(job, generation) for job, generation in some]
        self.both(
            *(
                world.ledger.flush([self.fence(number, back)], entries)
                for number, world in enumerate(self.worlds)
            )
        )

    @rule(job=jobs, generation=generations)
    def cancel(self, job: int, generation: int) -> None:
        entry = self.entry(job, generation)
        self.both(*(world.cancel(entry) for world in self.worlds))

    @rule(job=jobs, generation=st.sampled_from([2, 3]), back=tokens)
    def replay_in_place(self, job: int, generation: int, back: int) -> None:
        entry = self.entry(job, generation)
        self.both(
            *(
                world.replay_in_place(self.fence(number, back), self.key(job), entry)
                for number, world in enumerate(self.worlds)
            )
        )

    @rule(job=jobs, generation=generations, off=revisions, succeeds=st.booleans())
    def work(self, job: int, generation: int, off: int, *, succeeds: bool) -> None:
        entry = self.entry(job, generation)
        revision = self.revision(job, entry.generation, off)
        self.both(
            *(
                worked(world, entry, self.key(job), revision, succeeds=succeeds)
                for world in self.worlds
            )
        )

    def rows(
        self,
    ) -> tuple[dict[tuple[JobId, int], LedgerRow], dict[tuple[JobId, int], WaitingRow]]:
        """What both say that stands."""
        known = self.both(*(stands(world, self.ids, self.keys) for world in self.worlds))
        ledger, waiting = known
        return (
            {(row.job, row.generation): row for row in ledger},
            {(row.job, row.generation): row for row in waiting},
        )

    @invariant()
    def both_hold_the_same_and_of_an_end_the_first(self) -> None:
        if not self.fences:
            return
        ledger, _ = self.rows()
        for name, row in ledger.items():
            assert self.first.setdefault(name, row.body) == row.body, "an end was overwritten"
        assert self.first.keys() == ledger.keys(), "an end is gone"

    @invariant()
    def an_entity_has_one_head(self) -> None:
        world = self.worlds[0]
        assert isinstance(world, MemoryWorld)
        over = world.database.is_over
        for key in self.keys:
            assert sum(not over(row) for row in world.database.heads(key)) <= 1


async def worked(
    world: World, entry: Entry, key: int, revision: int, *, succeeds: bool
) -> Answer | bool:
    """A handler's transaction, to its end or rolled back."""
    claim = a_claim(
        entry.job, key, generation=entry.generation, offset=entry.offset, revision=revision
    )
    transaction = await world.transactions.begin(claim)
    if isinstance(transaction, Answer):
        return transaction
    if not succeeds:
        await transaction.rollback()
        return False
    await transaction.complete(entry)
    return True


async def stands(
    world: World, ids: list[JobId], keys: list[int]
) -> tuple[list[LedgerRow], list[WaitingRow]]:
    """The rows of some jobs, and the heads of some entities."""
    known = await world.ledger.look_up([0], ids, keys)

    def named(row: LedgerRow | WaitingRow) -> tuple[str, int]:
        return str(row.job), row.generation

    return sorted(known.ledger, key=named), sorted(known.waiting, key=named)


@pytest.mark.timeout(300)
def test_the_sql_and_the_model_answer_alike_whatever_they_are_told(emptied: str) -> None:
    opened = in_postgres(emptied)
    with asyncio.Runner() as runner:
        real = runner.run(opened.__aenter__())
        try:
            run_state_machine_as_test(
                lambda: DatabaseMachine(runner, real),  # type: ignore[arg-type]
                settings=settings(
                    max_examples=25, stateful_step_count=15, derandomize=True, phases=PHASES
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
