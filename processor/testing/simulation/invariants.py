"""What must hold of what a simulated run has written?

The numbers are those of the invariants that the chaos tests check on the real parts. What handlers
have written is for those who wrote the handlers to check.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final
from uuid import UUID

from processor.adapters.memory.projection import MemoryProjections
from processor.domain.dead_letter import DeadLetterKind
from processor.domain.events import Cancelled, Retrying, Started
from processor.domain.ids import JobId
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.ports.ledger import Ending
from processor.ports.log import Place
from processor.testing.naming import CODEC, TOPICS
from processor.testing.simulation.projecting import projections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from processor.testing.operated import OperatedCluster
    from processor.testing.simulation.disturbing import Disturbing
    from processor.testing.simulation.people import People

STATES: Final = {
    Ending.COMPLETE: State.COMPLETE,
    Ending.FAILED: State.FAILED,
    Ending.CANCELLED: State.CANCELLED,
    Ending.DISCARDED: State.FAILED,
}


async def violations(cluster: OperatedCluster, people: People, disturbing: Disturbing) -> list[str]:
    """Everything that is wrong at the end of a run."""
    journal = [CODEC.decode_journal(body) for body in cluster.published()]
    outcomes = [one for one in journal if isinstance(one, Outcome)]
    found = [
        *_ended(cluster),
        *_published(cluster, failed_over=disturbing.failed_over),
        *_contained(cluster, outcomes),
        *_job_failed(cluster, failed_over=disturbing.failed_over),
        *_follow_ups(cluster, failed_over=disturbing.failed_over),
        *_letters(cluster, failed_over=disturbing.failed_over),
        *_rebuilt(cluster),
        *_locks(cluster),
    ]
    if not disturbing.failed_over:
        found += _cancelled(cluster, people)
        found += _turns(outcomes)
    return found + [one async for one in _histories(cluster)]


def _ended(cluster: OperatedCluster) -> Iterator[str]:
    """3: every acknowledged submission has an end."""
    ended = {job for job, _ in cluster.database.ledger}
    for acked in cluster.acked:
        if acked.job not in ended:
            yield f"3: {acked.job} has no end"


def _published(cluster: OperatedCluster, *, failed_over: bool) -> Iterator[str]:
    """4, 5, 10: the journal holds the ledger's ends, all copies alike, and nothing else."""
    ends: dict[tuple[JobId, int], set[bytes]] = defaultdict(set)
    for body in cluster.published():
        outcome = CODEC.decode_journal(body)
        if isinstance(outcome, Outcome) and outcome.end is not None:
            ends[outcome.job, outcome.generation].add(body)
    for key, row in cluster.database.ledger.items():
        if row.body not in ends[key]:
            yield f"4: the end of {key} is in the ledger and not in the journal"
        if len(ends[key]) > 1 and not failed_over:
            yield f"10: the journal holds {len(ends[key])} different ends of {key}"
    for job, generation in ends.keys() - cluster.database.ledger.keys():
        if not failed_over:
            yield f"5: the journal holds an end of {job} g{generation} that the ledger has not"


def _contained(cluster: OperatedCluster, outcomes: list[Outcome]) -> Iterator[str]:
    """10, 11: an outcome is contained in the next of its generation and timeline."""
    longest: dict[tuple[JobId, int, int], Outcome] = {}
    for one in sorted(outcomes, key=lambda one: len(one.events)):
        if isinstance(one.end, Cancelled):  # of a generation as its canceller saw it
            continue
        key = (one.job, one.generation, one.timeline)
        before = longest.get(key)
        longest[key] = one
        if before is not None and _kinds(one)[: len(before.events)] != _kinds(before):
            yield f"10: {one.job} g{one.generation}: {_kinds(before)} is not within {_kinds(one)}"
    for one in longest.values():
        handler = cluster.jobs.find(one.type)
        attempts = [event.attempt for event in one.events if isinstance(event, Started)]
        if handler is not None and max(attempts, default=0) > handler.retry.attempts:
            yield f"11: {one.job} had {max(attempts)} attempts of {handler.retry.attempts}"


def _kinds(outcome: Outcome) -> list[tuple[str, int]]:
    return [(type(one).__name__, getattr(one, "attempt", 0)) for one in outcome.events]


def _job_failed(cluster: OperatedCluster, *, failed_over: bool) -> Iterator[str]:
    """12: `JobFailed` was told of exactly the jobs that failed, every copy the same."""
    rows = cluster.database.ledger.items()
    failed = {key for key, row in rows if row.ending is Ending.FAILED}
    bodies = set(cluster.job_failed())
    told = Counter(
        (one.job, one.generation) for one in (CODEC.decode_job_failed(body) for body in bodies)
    )
    for job, generation in failed - told.keys():
        yield f"12: nobody was told that {job} g{generation} failed"
    if not failed_over:
        for job, generation in told.keys() - failed:
            yield f"12: {job} g{generation} has not failed, and was said to"
        for (job, generation), number in told.items():
            if number > 1:
                yield f"12: the {number} copies of the failure of {job} g{generation} differ"


def _follow_ups(cluster: OperatedCluster, *, failed_over: bool) -> Iterator[str]:
    """13: a follow-up exists if and only if its parent is complete."""
    submitted = {
        CODEC.decode_submission(record.value).job
        for place, partition in cluster.topics.partitions.items()
        if place.topic in TOPICS.lanes
        for record in partition.records
        if record.value is not None
    }
    of_complete = {
        CODEC.decode_submission(body).job
        for (job, generation) in cluster.database.ledger
        for body in cluster.outcome(job, generation).follow_ups
    }
    for job in of_complete - submitted:
        yield f"13: {job} follows a complete job, and was never sent"
    if not failed_over:
        for job in submitted - of_complete - {acked.job for acked in cluster.acked}:
            yield f"13: {job} was sent, and follows no complete job"


def _letters(cluster: OperatedCluster, *, failed_over: bool) -> Iterator[str]:
    """12: one *died* for each failure, and open is what nothing has closed."""
    facts = [
        CODEC.decode_dead_letter(record.value or b"")
        for number in range(cluster.partitions)
        for record in cluster.topics.partitions[Place(TOPICS.dead_letters, number)].records
    ]
    died = {(one.job, one.generation) for one in facts if one.kind is DeadLetterKind.DIED}
    closed = {(one.job, one.generation) for one in facts if one.kind is not DeadLetterKind.DIED}
    rows = cluster.database.ledger.items()
    failed = {key for key, row in rows if row.ending is Ending.FAILED}
    for job, generation in failed - died if failed_over else failed ^ died:
        yield f"12: {job} g{generation} has failed without a dead letter, or the other way round"
    letters = cluster.projections.open_letters()
    open_ = {(JobId(UUID(bytes=row.job)), row.generation) for row in letters}
    for job, generation in open_ ^ (died - closed):
        yield f"12: the letter of {job} g{generation} is open and told as closed, or otherwise"


def _rebuilt(cluster: OperatedCluster) -> Iterator[str]:
    """18: the log folded again from its start is what the projections hold."""
    again = MemoryProjections()
    for projection in projections(cluster.partitions):
        for place in projection.places:
            records = cluster.topics.partitions[place].records
            again.insert(projection.fold({place: records}).batch)
    for name in ("history", "letters", "aside"):
        if getattr(again, name) != getattr(cluster.projections, name):
            yield f"18: folded again, the table {name} is another"
    # Of two that tell of the same run at the same moment either may stay.
    if _newest(again) != _newest(cluster.projections):
        yield "18: folded again, other runs are told of"


def _newest(rows: MemoryProjections) -> dict[bytes, tuple[int, int, int]]:
    return {job: (row.generation, row.run, row.at) for job, row in rows.live.items()}


def _locks(cluster: OperatedCluster) -> Iterator[str]:
    if cluster.database.locks:
        yield f"an entity's lock is still held: {len(cluster.database.locks)}"


def _cancelled(cluster: OperatedCluster, people: People) -> Iterator[str]:
    """14: who was told that he cancelled a job did."""
    for one in people.cancelled:
        row = cluster.database.ledger.get((one.job, one.generation))
        if one.ours and (row is None or row.ending is not Ending.CANCELLED):
            yield f"14: {one.job} g{one.generation} was said to be cancelled and is not"


def _turns(outcomes: list[Outcome]) -> Iterator[str]:
    """7, 11: between two attempts of a job no other of its entity ran, and it waited as told."""
    ends = {(one.job, one.generation): one for one in outcomes if one.end is not None}
    spells: dict[str, list[tuple[int, int, JobId]]] = defaultdict(list)
    for one in ends.values():
        started = _starts(one)
        retrying = [event for event in one.events if isinstance(event, Retrying)]
        for before, after in zip(retrying, started[1:], strict=False):
            if after < before.due_at:
                yield f"11: {one.job} started before its time"
        if started and retrying:
            spells[one.entity].append((started[0], started[-1], one.job))
    for one in ends.values():
        for first, last, job in spells[one.entity]:
            if job != one.job and any(first < at < last for at in _starts(one)):
                yield f"7: {one.job} ran while {job} of its entity was to be retried"


def _starts(outcome: Outcome) -> list[int]:
    return [event.at for event in outcome.events if isinstance(event, Started)]


async def _histories(cluster: OperatedCluster) -> AsyncIterator[str]:
    """10: what status() tells is what the ledger holds."""
    newest: dict[JobId, int] = {}
    for job, generation in cluster.database.ledger:
        newest[job] = max(generation, newest.get(job, 0))
    for job, generation in newest.items():
        ending = cluster.database.ledger[job, generation].ending
        status = await cluster.history.status(job)
        if status is None or status.state is not STATES[ending]:
            told = None if status is None else status.state
            yield f"10: {job} is {ending.name} in the ledger and {told} in the history"
