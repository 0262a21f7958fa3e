"""Which safeguards can be switched off, one at a time?

Each mutant patches one safeguard away, in memory. The simulation must then break a promise: a proof
that catches no mutant proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.transactions import MemoryTransaction
from processor.domain.position import Position
from processor.domain.quarantine import Quarantine
from processor.ports.ledger import Answer
from processor.runtime.keeping import Keeper
from processor.runtime.lines import Lines
from processor.runtime.memory import Memory
from processor.runtime.partition import OwnedPartition
from processor.runtime.publisher import Publisher
from processor.testing.simulation.plan import Act
from tests.simulated import SIMULATION

if TYPE_CHECKING:
    import pytest

    from processor.testing.simulation.running import Simulation

Patch = Callable[["pytest.MonkeyPatch"], None]
ZOMBIES: Final = (Act.FREEZE, Act.CUT, Act.REJOIN, Act.START, Act.SLOW)
DEATHS: Final = (Act.KILL, Act.DIE_AFTER_CALL, Act.START)


class Mutant(NamedTuple):
    """A safeguard, and the runs that need it."""

    patch: Patch
    acts: tuple[Act, ...]
    types: tuple[str, ...]
    seed: int = 0
    """Of a run that missed it."""

    def simulation(self) -> Simulation:
        """Runs full of what the safeguard is for."""
        chances = replace(
            SIMULATION.chances,
            types=self.types,
            acts=self.acts,
            entities=2,
            submissions=(6, 16),
            steps=(2, 6),
        )
        return replace(SIMULATION, chances=chances)


def advisory_lock(patching: pytest.MonkeyPatch) -> None:
    """An entity's lock keeps nobody out."""

    def begin(self: MemoryDatabase, claim: Any, _holder: object) -> Answer:  # noqa: ANN401
        return self._look_up(claim)

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


WRITES: Final = ("effect", "stumbles", "flaky", "nothing")
MUTANTS: Final = {
    "the advisory lock": Mutant(advisory_lock, ZOMBIES, ("effect", "long", "stumbles"), 27),
    "the look-up in the ledger": Mutant(ledger_look_up, DEATHS, (*WRITES, "fails")),
    "the fence of the flush": Mutant(
        fence_of_the_flush, ZOMBIES, ("nothing", "blocks", "flaky"), 88
    ),
    "publishing before a record is done": Mutant(publish_before_done, DEATHS, WRITES, 22),
    "the roll-back": Mutant(roll_back, DEATHS, ("fails", "stumbles")),
    "the contiguous position": Mutant(contiguous_position, DEATHS, (*WRITES, "long")),
    "the hold of an entity while its head retries": Mutant(hold_of_an_entity, DEATHS, WRITES),
    "the single head": Mutant(
        single_head, ZOMBIES, ("flaky", "patient", "stumbles", "effect"), 105
    ),
    "the reservation of ids": Mutant(reserved_ids, (Act.COPY,), ("nothing", "effect")),
    "released only after the flush": Mutant(
        released_after_the_flush,
        (Act.START, Act.STOP, Act.REJOIN, Act.SLOW),
        ("nothing", "long"),
        51,
    ),
    "the heartbeat fence": Mutant(
        heartbeat_fence, (Act.CUT, Act.FREEZE), ("nothing", "effect"), 27
    ),
    "the quarantine": Mutant(quarantine, (Act.START,), ("poison", "effect")),
}
