"""How would the ledger's database answer? Its locks, transactions and answers, in dictionaries.

Every rule stands here once, as the SQL functions of the same names have it; the adapters beside it
only pass through their step. Nothing here awaits: between two steps a rule is atomic, as a
statement under its locks is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.rows import Wait, Waiting
from processor.ports.ledger import Answer, Ending, Fault, LedgerRow, WaitingRow
from processor.ports.ownership import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator
    from uuid import UUID

    from processor.domain.breaker import BreakerChanged
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.quarantine import Suspect
    from processor.ports.clock import Clock
    from processor.ports.holds import Hold
    from processor.ports.ledger import Entry
    from processor.ports.operations import Operation
    from processor.ports.ownership import Beat, Fence
    from processor.ports.suspects import Mark
    from processor.ports.transactions import Claim

ABSORBING = (Ending.COMPLETE, Ending.CANCELLED)
"""A generation that ended so absorbs the later ones."""
READ_COMMITTED = "read committed"
REPEATABLE_READ = "repeatable read"
BLOCKING = "b"
QUEUED = "q"
RETRYING = "r"


@dataclass(slots=True)
class MemoryDatabase:
    """One database, shared by all workers of a test; `values` are what handlers wrote."""

    clock: Clock = field(default_factory=ManualClock)
    ledger: dict[tuple[JobId, int], LedgerRow] = field(default_factory=dict)
    waiting: dict[tuple[JobId, int], Waiting] = field(default_factory=dict)
    owners: dict[int, Owner] = field(default_factory=dict)
    workers: dict[UUID, Beat] = field(default_factory=dict)
    handlers: dict[UUID, frozenset[str]] = field(default_factory=dict)
    """The types that each worker has handlers for."""
    locks: dict[int, object] = field(default_factory=dict)
    """Who holds an entity's lock."""
    ended_at: dict[tuple[JobId, int], int] = field(default_factory=dict)
    values: dict[Hashable, object] = field(default_factory=dict)
    default_isolation: str = READ_COMMITTED
    """Of transactions that do not ask for another (H22)."""
    holds: dict[int, Hold] = field(default_factory=dict)
    """By id; those that were released are gone."""
    last_hold: int = 0
    operations: list[Operation] = field(default_factory=list)
    """In the order in which they were written; nothing in it changes."""
    plans: dict[int, Any] = field(default_factory=dict)
    """As `MemoryPlans` keeps them, by id."""
    news: dict[UUID, BreakerChanged] = field(default_factory=dict)
    """What nobody was told of breakers yet, by the event's id."""
    releases: dict[UUID, str] = field(default_factory=dict)
    """Of the workers that have joined and not parted."""
    suspects: dict[tuple[int, int, int], tuple[Mark | None, Suspect]] = field(default_factory=dict)
    """By partition, lane and offset: the mark that stands, and what deaths speak of."""
    listeners: list[Callable[[int, JobId], None]] = field(default_factory=list)
    """Who is told of a wake-up: (partition, job)."""

    @classmethod
    def pinned(cls, partitions: int, clock: Clock | None = None) -> MemoryDatabase:
        """A database whose partitions nobody owns yet; without `clock` its time stands still."""
        free = {
            number: Owner(number, None, None, True, 0, (0, 0, 0, 0))  # noqa: FBT003 - released
            for number in range(partitions)
        }
        return cls(owners=free) if clock is None else cls(clock, owners=free)

    def owns(self, fence: Fence) -> bool:
        """Whether the token stands: what FOR KEY SHARE finds."""
        owner = self.owners.get(fence.partition)
        return owner is not None and owner.token == fence.token

    def of_job(self, job: JobId) -> Iterator[LedgerRow]:
        """The ledger's rows of a job."""
        return (row for row in self.ledger.values() if row.job == job)

    def settled(self, job: JobId, generation: int) -> bool:
        """Has this generation ended, a later one a row, or any been complete or cancelled?"""
        return any(
            row.generation >= generation or row.ending in ABSORBING for row in self.of_job(job)
        )

    def deciding(self, job: JobId, generation: int) -> LedgerRow | None:
        """Its own row; else one that absorbs later generations; else that of the next."""
        rows = [
            row
            for row in self.of_job(job)
            if row.generation >= generation or row.ending in ABSORBING
        ]
        return min(
            rows,
            key=lambda row: (
                row.generation != generation,
                row.ending not in ABSORBING,
                row.generation,
            ),
            default=None,
        )

    def refuse(self, isolation: str) -> None:
        """Raise what begin_job does in a transaction whose snapshot may be older than its lock."""
        if isolation != READ_COMMITTED:
            raise Fault("begin_job needs READ COMMITTED")

    def snapshot(self) -> MemoryDatabase:
        """What a transaction under repeatable read sees from now on."""
        return replace(self, ledger=dict(self.ledger), waiting=dict(self.waiting))

    def begin(self, claim: Claim, holder: object, snapshot: MemoryDatabase | None = None) -> Answer:
        """Take the entity's lock for `holder`, or not, and look the job up, there or as it is."""
        if self.locks.get(claim.entity_key) is not None:
            return Answer.BUSY
        answer = (snapshot or self).look_up(claim)
        if answer is Answer.DONE:
            self.locks[claim.entity_key] = holder
        return answer

    def let_go(self, holder: object) -> None:
        """Give back the locks of a transaction that ended, or whose process died."""
        for key in [key for key, held_by in self.locks.items() if held_by is holder]:
            del self.locks[key]

    def insert(self, entry: Entry, ending: Ending) -> bool:
        """Write a row of the ledger; False where another end stands."""
        key = (entry.job, entry.generation)
        if key in self.ledger:
            return False
        self.ended_at[key] = self.clock.now()
        self.ledger[key] = LedgerRow(
            *key, ending, entry.partition, entry.lane, entry.offset, entry.body
        )
        return True

    def record(  # noqa: PLR0911 - answer by answer, as the SQL does
        self,
        fence: Fence,
        entity_key: int,
        entry: Entry,
        revision: int = 0,
        *,
        died: bool = False,
        wait: Wait | None = None,
        lock: bool = True,
    ) -> Answer:
        """Write every end that is not success, and every wait; `died`: entry's body is the end."""
        if not self.owns(fence):
            return Answer.FENCED
        if lock and self.locks.get(entity_key) is not None:
            return Answer.BUSY
        if self.settled(entry.job, entry.generation):
            return Answer.SETTLED
        if self._revision(entry.job, entry.generation) != revision:
            return Answer.STALE
        if wait is not None and wait.holds and self._other_heads(entity_key, entry.job):
            return Answer.STALE
        if died:
            self.insert(entry, Ending.FAILED)
        if wait is None or (died and wait.state != BLOCKING):
            return Answer.DONE
        self._put(fence, entity_key, entry, revision + 1, wait)
        return Answer.DONE

    def cancel(self, entry: Entry, ending: Ending = Ending.CANCELLED) -> Answer:
        """End a generation from outside, seen or unseen."""
        if self.settled(entry.job, entry.generation):
            return Answer.SETTLED
        self.insert(entry, ending)
        for key, waiting in list(self.waiting.items()):
            if waiting.row.job == entry.job:
                self.waiting[key] = replace(waiting, due_at=self.clock.now())
        for heard in list(self.listeners):
            heard(entry.partition, entry.job)
        return Answer.DONE

    def heads(self, entity_key: int) -> Iterator[WaitingRow]:
        """The row that holds the entity, if one does."""
        return (
            waiting.row
            for waiting in self.waiting.values()
            if waiting.row.entity_key == entity_key and waiting.row.holds
        )

    def spilled(
        self, partitions: Collection[int], entities: Collection[int]
    ) -> dict[int, Priority]:
        """The most urgent lane in which each entity has queued rows, where it has some."""
        found: dict[int, Priority] = {}
        for entity in entities:
            lanes = [row.lane for number in partitions for row in self._spilled(number, entity)]
            if lanes:
                found[entity] = min(lanes)
        return found

    def look_up(self, claim: Claim) -> Answer:
        """Whether a job may run that is known so, once its entity is locked."""
        newer = any(job == claim.job and number > claim.generation for job, number in self.waiting)
        if newer or self.settled(claim.job, claim.generation):
            return Answer.SETTLED
        earlier = any(
            (row.lane, row.place) < (claim.lane, claim.offset)
            and row.job != claim.job
            and not any(end.generation >= row.generation for end in self.of_job(row.job))
            for row in self._spilled(claim.partition, claim.entity_key)
        )
        own = self.waiting.get((claim.job, claim.generation))
        known = (0 if own is None else own.row.revision) == claim.revision
        overtakes = earlier and not (own and own.row.holds)  # nobody overtakes the head
        if not known or overtakes or self._other_heads(claim.entity_key, claim.job):
            return Answer.STALE
        return Answer.DONE

    def _other_heads(self, entity_key: int, job: JobId) -> list[WaitingRow]:
        """Rows of other jobs that hold the entity and are not settled; blocking ones by a later."""
        return [row for row in self.heads(entity_key) if row.job != job and not self.is_over(row)]

    def is_over(self, row: WaitingRow) -> bool:
        """Whether a row is settled: a blocking one, once a later generation is in the ledger."""
        return self.settled(row.job, row.generation + (row.state == BLOCKING))

    def is_superseded(self, row: WaitingRow) -> bool:
        """Whether a row of a later generation carries the job."""
        return any(job == row.job and later > row.generation for job, later in self.waiting)

    def is_open(self, hold: int | None) -> bool:
        """Whether a hold stands and has not ended by itself."""
        found = None if hold is None else self.holds.get(hold)
        return found is not None and (found.until is None or found.until > self.clock.now())

    def _spilled(self, partition: int, entity_key: int) -> Iterator[WaitingRow]:
        return (
            waiting.row
            for waiting in self.waiting.values()
            if (waiting.partition, waiting.row.entity_key) == (partition, entity_key)
            and waiting.row.state == QUEUED
        )

    def _revision(self, job: JobId, generation: int) -> int:
        waiting = self.waiting.get((job, generation))
        return 0 if waiting is None else waiting.row.revision

    def _put(self, fence: Fence, entity_key: int, entry: Entry, revision: int, wait: Wait) -> None:
        for key, other in list(self.waiting.items()):
            row = other.row
            if row.job == entry.job and row.generation <= entry.generation:
                del self.waiting[key]
            elif row.entity_key == entity_key and row.holds and self.is_over(row):
                self.waiting[key] = replace(other, row=replace(row, holds=False))
        row = WaitingRow(
            entry.job,
            entry.generation,
            revision,
            wait.state,
            wait.holds,
            entity_key,
            entry.lane,
            entry.offset,
            wait.body,
        )
        self.waiting[entry.job, entry.generation] = Waiting(
            row, fence.partition, fence.token, wait, since=self.clock.now()
        )
