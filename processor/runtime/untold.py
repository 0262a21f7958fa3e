"""What is known of a job whose history is behind, from the database that workers write?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.domain.events import Queued, Unknown
from processor.domain.outcome import Outcome
from processor.domain.status import status_of
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from processor.domain.explanation import Explanation
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.codec import Codec
    from processor.ports.situations import Recorded, Seat


def status_of_recorded(job: JobId, recorded: Recorded, codec: Codec) -> JobStatus | None:
    """The job as queued, as its waiting row or its outcome tells; None where neither is legible."""
    seat = recorded.seat
    try:
        if recorded.submission is not None:
            record = codec.decode_submission(recorded.submission)
            queued = Queued(
                record.submitted_at,
                record.generation,
                seat.lane,
                seat.partition,
                seat.place,
                record.type,
                record.entity,
                record.tenant,
                record.batch,
                record.not_before,
                record.trace,
            )
            return status_of(job, [queued], [])
        outcome = codec.decode_journal(recorded.outcome or b"")
    except Undecodable:
        return None
    if not isinstance(outcome, Outcome):
        return None
    queued = Queued(
        next((event.at for event in outcome.events if not isinstance(event, Unknown)), 0),
        outcome.generation,
        seat.lane,
        seat.partition,
        seat.place,
        outcome.type,
        outcome.entity,
        outcome.tenant,
        outcome.batch,
    )
    return status_of(job, [queued], [])


def not_projected(told: Explanation, seat: Seat, lag: int | None) -> Explanation:
    """The explanation with how far the history is behind, where that is known."""
    if lag is None:
        return told
    behind = f"it is {lag:,} records of the journal behind in partition {seat.partition}"
    return replace(
        told,
        sentence=f"{told.sentence}: {behind}",
        details={**told.details, "lag": lag, "partition": seat.partition},
    )
