"""Which safeguards can be switched off, one at a time?

Each mutant patches one safeguard away, in memory. The simulation must then break a promise: a proof
that catches no mutant proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from processor.adapters.memory import database
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.shared_transactions import MemorySharedTransaction
from processor.adapters.memory.transactions import MemoryTransaction, MemoryTransactions
from processor.domain import quarantine as quarantine_of_a_partition
from processor.domain.horizon import Cut, ended_before
from processor.domain.position import Position
from processor.domain.priority import Priority
from processor.domain.quarantine import Quarantine
from processor.ports.ledger import Answer
from processor.runtime import intake, janitor, returning, waking
from processor.runtime.keeping import Keeper
from processor.runtime.lines import Lines
from processor.runtime.memory import Memory
from processor.runtime.outcomes import Outcomes
from processor.runtime.partition import OwnedPartition
from processor.runtime.publisher import Publisher
from processor.runtime.taking import Taker
from processor.testing.simulation.plan import Act, Chances, Role
from tests.simulated import SIMULATION

if TYPE_CHECKING:
    from processor.testing.simulation.running import Run, Simulation

Patch = Callable[["pytest.MonkeyPatch"], None]


class Mutant(NamedTuple):
    """A safeguard, and the runs that need it."""

    patch: Patch
    chances: Chances
    seed: int = 0
    """Of a run that missed it."""
    patience: float = 60.0
    """Seconds in which everything ends as long as nothing is switched off."""
    number: str = ""
    """Of the invariant that must be among those that break; any does where none is named."""
    days: float = SIMULATION.days
    """How many a second is to who forgets."""

    def simulation(self) -> Simulation:
        """Runs full of what the safeguard is for."""
        return replace(SIMULATION, chances=self.chances, patience=self.patience, days=self.days)

    def is_missed(self, run: Run) -> bool:
        """Whether a run has broken what the safeguard is for."""
        return any(told.startswith(self.number) for told in run.violations)


def advisory_lock(patching: pytest.MonkeyPatch) -> None:
    """An entity's lock keeps nobody out."""

    def begin(self: MemoryDatabase, claim: Any, *_: object) -> Answer:  # noqa: ANN401
        return self.look_up(claim)

    patching.setattr(MemoryDatabase, "begin", begin)


def ledger_look_up(patching: pytest.MonkeyPatch) -> None:
    """What the ledger knows of a record that comes again is not asked."""
    ask = MemoryLedger.look_up

    async def look_up(self: MemoryLedger, *wanted: Any) -> Any:  # noqa: ANN401
        return replace(await ask(self, *wanted), ledger=[])

    patching.setattr(MemoryLedger, "look_up", look_up)
    patching.setattr(MemoryDatabase, "settled", lambda *_: False)


def fence_of_the_flush(patching: pytest.MonkeyPatch) -> None:
    """A flush is written whoever owns the partition."""
    flush = MemoryLedger.flush

    async def unfenced(self: MemoryLedger, *wanted: Any) -> Any:  # noqa: ANN401
        owns = MemoryDatabase.owns
        patching.setattr(MemoryDatabase, "owns", lambda *_: True)
        try:
            return await flush(self, *wanted)
        finally:
            patching.setattr(MemoryDatabase, "owns", owns)

    patching.setattr(MemoryLedger, "flush", unfenced)


def publish_before_done(patching: pytest.MonkeyPatch) -> None:
    """A record is done before its outcome is acknowledged."""
    append, allow = Publisher._append, Publisher._allow  # noqa: SLF001

    async def hasty(self: Publisher, batch: Any) -> None:  # noqa: ANN401
        await allow(self, batch)
        await append(self, batch)

    async def nothing(_self: Publisher, _batch: object) -> None:
        return

    patching.setattr(Publisher, "_append", hasty)
    patching.setattr(Publisher, "_allow", nothing)


def roll_back(patching: pytest.MonkeyPatch) -> None:
    """What a failed attempt has written stays."""
    undo = MemoryTransaction.undo

    def keep(self: MemoryTransaction) -> None:
        self._database.values.update(self._connection.written)
        undo(self)

    patching.setattr(MemoryTransaction, "undo", keep)


def undo_of_one_job(patching: pytest.MonkeyPatch) -> None:
    """What a job wrote that failed stays, in the transaction that it shared with others."""
    undo = MemorySharedTransaction.undo

    async def keep(self: MemorySharedTransaction) -> bool:
        self._written.update(self._turn.written)
        return await undo(self)

    patching.setattr(MemorySharedTransaction, "undo", keep)


def contiguous_position(patching: pytest.MonkeyPatch) -> None:
    """A position passes what is still open."""
    done = Position.done

    def jump(self: Position, offset: int) -> None:
        done(self, offset)
        while self._line and self._line[0] <= offset:
            self._line.popleft()

    patching.setattr(Position, "done", jump)


def hold_of_an_entity(patching: pytest.MonkeyPatch) -> None:
    """An entity goes on while its head waits for a retry."""
    patching.setattr(Lines, "head", lambda *_: None)
    patching.setattr(MemoryDatabase, "_other_heads", lambda *_: [])


def single_head(patching: pytest.MonkeyPatch) -> None:
    """An entity may have two heads."""
    patching.setattr(MemoryDatabase, "_other_heads", lambda *_: [])


def reserved_ids(patching: pytest.MonkeyPatch) -> None:
    """A second record of an id does not attach to the first."""

    class Forgetful(dict[Any, Any]):
        def get(self, *_: object) -> None:
            return None

    made = Memory.__init__

    def forgetful(self: Memory) -> None:
        made(self)
        self.reserved = Forgetful()

    patching.setattr(Memory, "__init__", forgetful)


def released_after_the_flush(patching: pytest.MonkeyPatch) -> None:
    """A partition is let go while jobs of it are out."""

    async def at_once(_self: Keeper, partition: OwnedPartition, _deadline: float) -> None:
        partition.out = 0

    patching.setattr(Keeper, "_ended", at_once)


def heartbeat_fence(patching: pytest.MonkeyPatch) -> None:
    """A worker that no coordinator hears goes on."""
    patching.setattr(Keeper, "may_dispatch", lambda _: True)


def quarantine(patching: pytest.MonkeyPatch) -> None:
    """Nobody is ever suspected or convicted."""
    patching.setattr(Quarantine, "suspects", lambda *_, **__: False)
    patching.setattr(Quarantine, "convicted", lambda *_: None)


def token_fence(patching: pytest.MonkeyPatch) -> None:
    """A waiting row is written whoever owns the partition."""
    record = MemoryDatabase.record

    def unfenced(self: MemoryDatabase, *wanted: Any, wait: Any = None, **how: Any) -> Answer:  # noqa: ANN401
        owns = MemoryDatabase.owns
        with pytest.MonkeyPatch.context() as for_now:
            for_now.setattr(MemoryDatabase, "owns", owns if wait is None else lambda *_: True)
            return record(self, *wanted, wait=wait, **how)

    patching.setattr(MemoryDatabase, "record", unfenced)


def revision(patching: pytest.MonkeyPatch) -> None:
    """Nobody counts how often a waiting row was written."""
    record, look_up = MemoryDatabase.record, MemoryDatabase.look_up

    def stands(self: MemoryDatabase, job: Any, generation: int) -> int:  # noqa: ANN401
        waiting = self.waiting.get((job, generation))
        return 0 if waiting is None else waiting.row.revision

    def written(self: MemoryDatabase, *wanted: Any, **how: Any) -> Answer:  # noqa: ANN401
        fence, key, entry = wanted[:3]
        number = stands(self, entry.job, entry.generation)
        return record(self, fence, key, entry, number, **how)

    def seen(self: MemoryDatabase, claim: Any) -> Answer:  # noqa: ANN401
        return look_up(self, replace(claim, revision=stands(self, claim.job, claim.generation)))

    patching.setattr(MemoryDatabase, "record", written)
    patching.setattr(MemoryDatabase, "look_up", seen)


def fetch_cursor(patching: pytest.MonkeyPatch) -> None:
    """A spilled row starts although what stands before it is not read yet."""
    patching.setattr(OwnedPartition, "arrived", lambda *_: 1_000_000)


def lower_generation(patching: pytest.MonkeyPatch) -> None:
    """A generation runs although an earlier one is complete or cancelled."""
    patching.setattr(database, "ABSORBING", ())

    def settling_row(rows: Any, generation: int) -> Any:  # noqa: ANN401
        later = [row for row in rows if row.generation >= generation]
        return min(later, key=lambda row: row.generation, default=None)

    for module in (intake, returning, waking):
        patching.setattr(module, "settling_row", settling_row)


def wait_for_the_release(patching: pytest.MonkeyPatch) -> None:
    """A partition is taken as soon as it is assigned, though its owner lives and has not let go."""
    patching.setattr(Taker, "_may_take", lambda *_: True)


def compare_and_set(patching: pytest.MonkeyPatch) -> None:
    """A projector advances a checkpoint wherever that stands, and does not look."""

    async def write(self: MemoryProjections, projection: str, moves: Any, batch: Any) -> bool:  # noqa: ANN401
        for move in moves:
            self.checkpoints[projection, move.place] = move.after
        self.insert(batch)
        return True

    patching.setattr(MemoryProjections, "write", write)


def read_committed(patching: pytest.MonkeyPatch) -> None:
    """A job's transaction begins as the database has it by default."""
    patching.setattr(MemoryTransactions, "isolation", None)


def read_committed_at_all(patching: pytest.MonkeyPatch) -> None:
    """The same, and nobody refuses to look up in a snapshot that is older than the lock."""
    read_committed(patching)
    patching.setattr(MemoryDatabase, "refuse", lambda *_: None)


def size_before_commit(patching: pytest.MonkeyPatch) -> None:
    """An outcome is made durable before somebody looks whether the log takes it."""
    made = Outcomes.__init__

    def boundless(self: Outcomes, codec: Any, timeline: Any, *_: int) -> None:  # noqa: ANN401
        made(self, codec, timeline, 2**40)

    patching.setattr(Outcomes, "__init__", boundless)


def three_deaths(patching: pytest.MonkeyPatch) -> None:
    """One death beside a job is proof enough against it."""
    patching.setattr(quarantine_of_a_partition, "DEATHS_TO_CONVICT", 1)


def positions_of_eight_days_ago(patching: pytest.MonkeyPatch) -> None:
    """The log is cut below what the projections have read today."""
    patching.setattr(janitor, "standing", lambda _, read: min(read, default=None))
    patching.setattr(janitor, "cut_below", lambda _, today, stands, *__: Cut(stands, today))


def unread_records(patching: pytest.MonkeyPatch) -> None:
    """An end is forgotten by its age alone."""
    patching.setattr(janitor, "ledger_before", lambda now, _: ended_before(now))


SIMPLE: Final = Chances(
    ("effect",),
    roles=(Role.WORKER,),
    submissions=(6, 16),
    steps=(2, 6),
    workers=(1, 3),
    projectors=(1, 1),
    entities=2,
    varied=False,
)
ZOMBIES: Final = replace(
    SIMPLE,
    acts=(Act.FREEZE,),
    writing=1.0,
    steps=(1, 1),
    workers=(2, 2),
    partitions=(1, 1),
    entities=1,
    seconds=4.0,
    lasting=(4.0, 12.0),
)
OVERTAKEN: Final = replace(ZOMBIES, lanes=(Priority.CRITICAL, Priority.LOW))
DEATHS: Final = replace(SIMPLE, acts=(Act.KILL, Act.DIE_AFTER_CALL, Act.START))
CALM: Final = replace(SIMPLE, types=("calls",), acts=(Act.START, Act.STOP, Act.REJOIN, Act.SLOW))
WRITES: Final = ("effect", "stumbles", "flaky", "nothing")
MUTANTS: Final = {
    "the advisory lock": Mutant(
        advisory_lock, replace(ZOMBIES, types=("effect",), calls=("transaction.complete",))
    ),
    "the look-up in the ledger": Mutant(ledger_look_up, replace(DEATHS, types=(*WRITES, "fails"))),
    "the fence of the flush": Mutant(
        fence_of_the_flush, replace(OVERTAKEN, types=("frail",), calls=("ledger.flush",))
    ),
    "publishing before a record is done": Mutant(
        publish_before_done, replace(DEATHS, types=WRITES)
    ),
    "the roll-back": Mutant(roll_back, replace(DEATHS, types=("fails", "stumbles"))),
    "the contiguous position": Mutant(
        contiguous_position,
        replace(
            DEATHS,
            types=("long", "nothing", "flaky"),
            lanes=(Priority.NORMAL,),
            partitions=(1, 1),
            entities=4,
            seconds=3.0,
        ),
    ),
    "the hold of an entity while its head retries": Mutant(
        hold_of_an_entity, replace(DEATHS, types=WRITES)
    ),
    "the undoing of one job in a transaction that others share": Mutant(
        undo_of_one_job, replace(DEATHS, types=("fails", "effect")), 10
    ),
    "the single head": Mutant(
        single_head,
        replace(
            OVERTAKEN,
            types=("picky",),
            calls=("transactions.begin", "waiting_room.enqueue"),
            steps=(2, 3),
        ),
        seed=72,
    ),
    "the reservation of ids": Mutant(
        reserved_ids, replace(SIMPLE, acts=(Act.COPY,), types=("nothing", "effect"))
    ),
    "released only after the flush": Mutant(released_after_the_flush, CALM),
    "the heartbeat fence": Mutant(
        heartbeat_fence, replace(SIMPLE, acts=(Act.CUT,), types=("calls",), workers=(1, 2))
    ),
    "the quarantine": Mutant(
        quarantine,
        replace(SIMPLE, acts=(Act.START,), types=("poison", "effect"), submissions=(2, 4)),
        patience=200.0,
    ),
    "the token fence of waiting rows": Mutant(
        token_fence,
        replace(
            OVERTAKEN,
            types=("frail", "calls"),
            calls=("waiting_room.record",),
            lasting=(4.0, 9.0),
        ),
        seed=9,
        number="8",
    ),
    "the revision": Mutant(
        revision, replace(ZOMBIES, types=("picky",), calls=("transactions.begin",))
    ),
    "the fetch cursor of spilled rows": Mutant(
        fetch_cursor,
        replace(
            SIMPLE,
            types=("long",),
            acts=(Act.DIE_AFTER_CALL, Act.BROKER_AWAY),
            calls=("waiting_room.enqueue",),
            writing=1.0,
            lanes=(Priority.NORMAL,),
            submissions=(10, 16),
            steps=(3, 5),
            workers=(2, 2),
            partitions=(1, 1),
            entities=1,
            seconds=5.0,
        ),
        seed=4,
    ),
    "the rule of the lower generation": Mutant(
        lower_generation,
        replace(SIMPLE, types=("whim",), acts=(Act.FAILOVER, Act.REPLAY), seconds=4.0),
        seed=52,
    ),
    "the wait for the release": Mutant(wait_for_the_release, CALM),
    "the compare-and-set of the checkpoint": Mutant(
        compare_and_set, replace(SIMPLE, acts=(Act.FAILOVER,), types=("effect", "whim"))
    ),
    "the explicit READ COMMITTED": Mutant(read_committed, SIMPLE),
    "READ COMMITTED at all": Mutant(
        read_committed_at_all, replace(ZOMBIES, types=("picky",), calls=("transactions.lock",))
    ),
    "the third death before a job is taken for poison": Mutant(
        three_deaths,
        replace(SIMPLE, acts=(Act.START,), types=("poison", "effect"), submissions=(2, 4)),
        number="16",
        patience=200.0,
    ),
    "the position of eight days ago before the log is cut": Mutant(
        positions_of_eight_days_ago,
        replace(DEATHS, types=("long", "effect"), forgetting=1.0),
        seed=13,
        number="15",
    ),
    "the unread records before an end is forgotten": Mutant(
        unread_records,
        replace(
            SIMPLE,
            types=("long", "effect"),
            acts=(Act.HOLD, Act.CANCEL),
            steps=(6, 10),
            lanes=(Priority.LOW,),
            partitions=(1, 1),
            forgetting=1.0,
        ),
        seed=57,
        number="15",
        days=4.0,
    ),
    "the size check before COMMIT": Mutant(size_before_commit, replace(SIMPLE, types=("large",))),
}
