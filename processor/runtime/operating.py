"""How does an operator replay, discard and cancel?

Who was first is written down before anything else happens; then the work is done, whoever was
first: doing it again is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from processor.domain.errors import (
    AlreadyFinished,
    DeadLetterNotFound,
    InvalidSubmission,
    Unavailable,
)
from processor.domain.events import Discarded
from processor.domain.ids import partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.submission import Replay, trace_headers
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.ledger import Ending, Entry
from processor.ports.log import Append, LogFailure, Place
from processor.ports.operations import OperationKind
from processor.ports.projection import Closing
from processor.ports.waiting_room import WaitingState
from processor.runtime.cancelling import cancel
from processor.runtime.telemetry import MetricsService
from processor.runtime.trace_context import first_of
from processor.runtime.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from opentelemetry.trace import Span

    from processor.domain.dead_letter import DeadLetterFact
    from processor.domain.ids import JobId
    from processor.domain.submission import SubmissionRecord, Trace
    from processor.domain.topics import Topics
    from processor.ports.cancelling import Cancelling
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.ledger import Ledger
    from processor.ports.log import Log
    from processor.ports.operations import Operation, Operations
    from processor.ports.projection import LetterRows
    from processor.ports.waiting_room import Rows
    from processor.runtime.acknowledged import Acknowledged
    from processor.runtime.asking import Asker
    from processor.runtime.cancelling import Cancellation

TIMEOUT: Final = 10.0
"""Seconds until a record without acknowledgement counts as unknown."""
PATIENCE: Final = 2.0
"""Seconds that an operation waits for a dead letter that is not projected yet."""
_PAUSE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Operated:
    """What became of a dead letter, and who asked for it first."""

    job: JobId
    generation: int
    """The one that the replay starts, or that stands for the discard."""
    first: Operation


@dataclass(frozen=True, slots=True)
class Desk:
    """What operating works with."""

    log: Log
    codec: Codec
    clock: Clock
    topics: Topics
    partitions: int
    acknowledged: Acknowledged
    letters: LetterRows
    operations: Operations
    ledger: Ledger
    rows: Rows
    cancelling: Cancelling
    timeline: Callable[[], int]
    """The database's timeline as it was last seen."""
    metrics: MetricsService = field(default_factory=MetricsService)
    tracing: Tracing = field(default_factory=Tracing)

    async def publish(self, value: bytes, partition: int, entity: str) -> None:
        """Append an outcome that is durable to the journal; raises `Unavailable`."""
        await self.append(Append(Place(self.topics.events, partition), entity.encode(), value))

    async def append(self, record: Append, span: Span | None = None) -> int:
        """Append one record and end its span.

        Raises `Unavailable` where it is not known to be appended.
        """
        (answer,) = await self.log.append([record], TIMEOUT)
        if span is not None:
            self.tracing.sent(span, answer)
        if isinstance(answer, LogFailure):
            raise Unavailable(
                f"what was asked is not known to be done: {answer}; asking again is harmless"
            )
        return answer


class Operator:
    """Replays and discards dead letters, and cancels jobs."""

    def __init__(self, desk: Desk, asker: Asker, *, patience: float = PATIENCE) -> None:
        self._desk = desk
        self._asker = asker
        self._patience = patience

    async def cancel(self, job: JobId, by: str, because: str) -> Cancellation:
        """End a job that has not ended; see `processor.runtime.cancelling.cancel`."""
        return await cancel(self._desk, self._asker, job, by, because)

    async def replay(
        self, dead_letter: UUID, by: str, because: str, priority: Priority | None = None
    ) -> Operated:
        """Start the next generation of a dead letter's job, in its own lane or the one named.

        Raises `DeadLetterNotFound`, `InvalidSubmission` for a letter whose record could not be
        decoded, `Unavailable`.
        """
        desk = self._desk
        letter, closed = await self._letter(dead_letter)
        submission = self._submission_of(letter)
        job, died = letter.job, letter.generation
        first = await desk.operations.first(OperationKind.REPLAY, job, died, by, because)
        after = died + 1 if closed is Closing.DISCARDED else died
        if closed is Closing.REPLAYED:
            # Its record is in the lane. Were it sent again once the ledger has forgotten what
            # became of it, the same generation would run again.
            return Operated(job, await self._next(job, after), first)
        generation = 0
        # A discard may come in between: then there is one generation more to start.
        while generation != (following := await self._next(job, after)):
            generation = following
            blocks = generation == died + 1 and await self._blocks(job, died)
            record = replace(
                submission,
                generation=generation,
                priority=submission.priority if priority is None else priority,
                submitted_at=desk.clock.now(),
                not_before=None,
                replay=Replay(dead_letter, first.actor, first.reason, in_place=blocks),
            )
            lane = Priority.CRITICAL if blocks else record.priority
            await self._append(record, lane, letter.trace, first_of(submission))
        return Operated(job, generation, first)

    async def discard(self, dead_letter: UUID, by: str, because: str) -> Operated:
        """Close a dead letter without running its job again; a blocked entity goes on.

        Raises `DeadLetterNotFound`, `AlreadyFinished` for one that was replayed, `Unavailable`.
        """
        desk = self._desk
        letter, closed = await self._letter(dead_letter)
        job, died = letter.job, letter.generation
        for earlier in await desk.operations.of(job, died):
            if earlier.kind is OperationKind.REPLAY:
                raise AlreadyFinished(
                    f"dead letter {dead_letter} was replayed by {earlier.actor}: cancel job {job}"
                    " instead, or discard what it dies of next"
                )
        first = await desk.operations.first(OperationKind.DISCARD, job, died, by, because)
        if closed is Closing.DISCARDED:  # that was told already, and may be forgotten since
            return Operated(job, died + 1, first)
        body = desk.codec.encode_outcome(_discarded(letter, first, desk.timeline()))
        row = await desk.cancelling.discard(
            Entry(
                job, died + 1, letter.partition, letter.lane or Priority.NORMAL, letter.offset, body
            )
        )
        if (row.generation, row.ending) != (died + 1, Ending.DISCARDED):
            raise AlreadyFinished(f"dead letter {dead_letter} is closed: its job went on since")
        await desk.publish(row.body, row.partition, letter.entity)
        return Operated(job, row.generation, first)

    async def _letter(self, dead_letter: UUID) -> tuple[DeadLetterFact, Closing | None]:
        """What died, and how the letter was closed, as far as that is projected."""
        desk = self._desk
        deadline = desk.clock.monotonic() + self._patience
        while True:
            row = await desk.letters.by_id(dead_letter)
            if row is not None and row.body is not None:
                break
            if desk.clock.monotonic() >= deadline:
                raise DeadLetterNotFound(f"no dead letter has the id {dead_letter}")
            await desk.clock.sleep(_PAUSE)
        try:
            return desk.codec.decode_dead_letter(row.body), row.closed
        except Undecodable as error:
            raise DeadLetterNotFound(
                f"dead letter {dead_letter} cannot be read by this release: {error}"
            ) from error

    def _submission_of(self, letter: DeadLetterFact) -> SubmissionRecord:
        try:
            if not letter.type or letter.submission is None:
                raise Undecodable("its bytes are no record of ours")
            return self._desk.codec.decode_submission(letter.submission)
        except Undecodable as error:
            mend = (
                "replay it with the release that knows its schema"
                if isinstance(error, UnknownSchema)
                else "discard it, and submit what it should have been"
            )
            why = f"dead letter {letter.id} cannot be replayed: {error}; {mend}"
            raise InvalidSubmission(why, {letter.job: str(error)}) from error

    async def _next(self, job: JobId, after: int) -> int:
        """The generation that a replay starts: one past the discards, where there are some."""
        generation = after + 1
        while True:
            row = await self._desk.ledger.row(job, generation)
            is_discard = row is not None and row.ending is Ending.DISCARDED
            if row is None or not is_discard or row.generation != generation:
                return generation
            generation += 1

    async def _blocks(self, job: JobId, died: int) -> bool:
        waiting = await self._desk.rows.row(job)
        return waiting is not None and (waiting.wait.generation, waiting.wait.state) == (
            died,
            WaitingState.BLOCKING,
        )

    async def _append(
        self, record: SubmissionRecord, lane: Priority, letter: Trace | None, first: Trace | None
    ) -> None:
        """Append a replay; its trace names the dead letter's and that of the first submission."""
        desk = self._desk
        place = Place(desk.topics.lane(lane), partition_of(record.entity, desk.partitions))
        desk.tracing.look()
        span, record = desk.tracing.replay(record, place, letter, first)
        value = desk.codec.encode_submission(record)
        headers = trace_headers(record.trace)
        offset = await desk.append(Append(place, record.entity.encode(), value, headers), span)
        desk.acknowledged.keep(record, place, offset, desk.clock.now())


def _discarded(letter: DeadLetterFact, first: Operation, timeline: int) -> Outcome:
    """The outcome of the generation that a discard stands for."""
    return Outcome(
        letter.job,
        letter.generation + 1,
        timeline,
        letter.type,
        letter.entity,
        letter.tenant,
        letter.lane or Priority.NORMAL,
        letter.partition,
        letter.offset,
        (Discarded(first.at, first.actor, first.reason),),
        request_id=letter.caller.request_id if letter.caller else None,
    )
