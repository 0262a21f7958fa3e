"""What does a worker ask of the world, and in which manner does it work?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from processor.domain.limits import OUTCOME_BYTES
from processor.runtime.fetching import LookAhead
from processor.runtime.keeping import Times
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from processor.domain.topics import Topics
    from processor.ports.cancelling import Wakes
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.event_bus import EventRecords
    from processor.ports.holds import AllHolds
    from processor.ports.ledger import Ledger
    from processor.ports.log import Log, Reader
    from processor.ports.membership import Membership
    from processor.ports.ownership import Ownership, Workers
    from processor.ports.shared_transactions import SharedTransactions
    from processor.ports.suspects import Suspects
    from processor.ports.transactions import Transactions
    from processor.ports.waiting_room import Room


@dataclass(frozen=True, slots=True)
class World:
    """Everything a worker asks of the world."""

    clock: Clock
    codec: Codec
    log: Log
    readers: Sequence[Reader]
    """One for each lane, most urgent first."""
    membership: Membership
    ownership: Ownership
    workers: Workers
    suspects: Suspects
    ledger: Ledger
    room: Room
    holds: AllHolds
    wakes: Wakes
    transactions: Transactions
    shared_transactions: SharedTransactions
    events: EventRecords
    timeline: Callable[[], int]
    """The database's timeline as it was last seen."""
    on_replaced: Callable[[Callable[[], None]], None] = lambda _: None
    """Has somebody called when the database turns out to be another one, before anything is asked
    of that one."""
    metrics: MetricsService = field(default_factory=MetricsService)
    tracing: Tracing = field(default_factory=Tracing)
    chores: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    """What else this process does, each until cancelled: the janitor."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a worker works."""

    topics: Topics
    partitions: int
    cluster: str
    """Kafka's cluster id."""
    release: str = ""
    slots: int = 32
    groups: int = 8
    """SharedTransactions of jobs that may share a transaction at once; 0: every job has its own."""
    grace: float = 24 * 3600.0
    """Seconds that a job waits for a handler of its type before it fails."""
    look_ahead: LookAhead = field(default_factory=LookAhead)
    outcome_bytes: int = OUTCOME_BYTES
    """At most of an encoded outcome: what the log takes in one record, and its own overhead."""
    times: Times = field(default_factory=Times)
    witness: bool = False
    """Whether a thread says who blocks the event loop, while it is blocked."""
    worker: UUID = field(default_factory=uuid4)
