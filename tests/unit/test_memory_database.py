"""Where may a test step in between a worker and its database?"""

from __future__ import annotations

import pytest

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.transactions import MemoryTransactions
from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Fault
from tests.contract.worlds import MemoryWorld, a_claim, a_job, an_entry, begun, own


class Once:
    """A step that meets one name with a death before, or with a lost answer after."""

    def __init__(self, name: str, *, before: bool) -> None:
        self.name, self.before = name, before
        self.seen: list[str] = []

    async def __call__(self, name: str) -> BaseException | None:
        self.seen.append(name)
        if name != self.name:
            return None
        if self.before:
            raise Fault("died before")
        return Fault("died after")


@pytest.mark.parametrize("before", [True, False])
async def test_a_complete_whose_answer_is_lost_has_happened_or_not(before: bool) -> None:  # noqa: FBT001
    world, job = MemoryWorld(MemoryDatabase.pinned(1)), a_job()
    transactions = MemoryTransactions(
        world.database, step=Once("transaction.complete", before=before)
    )
    transaction = await transactions.begin(a_claim(job))
    assert not isinstance(transaction, Answer)
    await world.write(transaction, "total", 1)
    with pytest.raises(Fault):
        await transaction.complete(an_entry(job))
    assert await world.read("total") == (None if before else 1)
    again = await world.transactions.begin(a_claim(job))
    assert (again is Answer.SETTLED) is not before


async def test_a_death_frees_the_locks_and_leaves_nothing_written() -> None:
    world, job = MemoryWorld(MemoryDatabase.pinned(1)), a_job()
    dying = MemoryTransactions(world.database)
    transaction = await dying.begin(a_claim(job))
    assert not isinstance(transaction, Answer)
    await world.write(transaction, "total", 1)
    assert await world.transactions.begin(a_claim(job)) is Answer.BUSY
    dying.die()
    with pytest.raises(TransactionMisused):
        await transaction.complete(an_entry(job))
    assert await world.read("total") is None
    await (await begun(world, a_claim(job))).rollback()


async def test_a_lost_race_is_read_back_in_a_second_round_trip() -> None:
    world, job = MemoryWorld(MemoryDatabase.pinned(1)), a_job()
    fence, step = await own(world), Once("nothing", before=True)
    ledger = MemoryLedger(world.database, step=step)
    await ledger.flush([fence], [an_entry(job)])
    assert step.seen == ["ledger.flush"]
    await ledger.flush([fence], [an_entry(job)])
    assert step.seen == ["ledger.flush", "ledger.flush", "ledger.read_back"]
