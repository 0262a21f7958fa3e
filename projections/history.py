"""What has been recorded of a job?

`HistoryProjection` folds lanes and journal into rows, and tells what became of dead letters;
`FoldedHistory` folds one job's rows into its status when asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from processor.domain.changes import difference
from processor.domain.dead_letter import DeadLetterFact, died, discarded, replayed
from processor.domain.events import Failed, Queued
from processor.domain.ids import dead_letter_id, entity_key, partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.status import Live, status_of
from processor.ports.codec import Undecodable
from processor.ports.log import Append, Place
from processor.ports.projection import Batch, HistoryRow, LiveRow
from projections.headings import Headings, LiveHeading
from projections.overtaking import Overtakes
from projections.projection import Folded, Read, aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.domain.submission import SubmissionRecord
    from processor.domain.topics import Topics
    from processor.ports.codec import Codec
    from processor.ports.projection import HistoryRows

NAME: Final = "history"
COMPLETED: Final = "Completed"
TELLS_OF_A_LETTER: Final = frozenset({"Failed", "Discarded"})


class HistoryProjection:
    """Keeps submissions and outcomes whole, by the numbers they begin with."""

    name = NAME

    def __init__(self, topics: Topics, partitions: int, codec: Codec) -> None:
        self._topics = topics
        self._partitions = partitions
        self._codec = codec
        self._headings = Headings(codec)
        self._overtakes = Overtakes(codec)
        self._lanes = {topics.lane(lane): lane for lane in LANES}

    @property
    def places(self) -> Sequence[Place]:
        """Every partition of the lanes and of the journal."""
        return [
            Place(topic, partition)
            for topic in (*self._topics.lanes, self._topics.events)
            for partition in range(self._partitions)
        ]

    def fold(self, fetched: Mapping[Place, Sequence[Read]]) -> Folded:
        """Rows, and facts about dead letters."""
        folded = Folded(Batch(passed=self._overtakes.of))
        for place, records in fetched.items():
            lane = self._lanes.get(place.topic)
            if lane is None:
                self._fold_journal(place, records, folded)
            else:
                self._fold_lane(place, records, lane, folded)
        return folded

    def _fold_lane(
        self, place: Place, records: Sequence[Read], lane: Priority, folded: Folded
    ) -> None:
        partition, upto = place.partition, lane - len(LANES)
        heading = self._headings.of_lane
        add = folded.batch.history.append
        for record in records:
            value, at = record.value or b"", record.timestamp * 1000
            try:
                job, generation = heading(value)
                if generation > 1:
                    self._tell(replayed(self._codec.decode_submission(value), at), folded)
            except Undecodable:
                folded.batch.aside.append(aside(place, record))
                continue
            add(HistoryRow(job, generation, 0, upto, partition, record.offset, at, None, value))

    def _fold_journal(self, place: Place, records: Sequence[Read], folded: Folded) -> None:
        partition = place.partition
        heading = self._headings.of_journal
        add = folded.batch.history.append
        completed = folded.batch.completed.append
        for record in records:
            value = record.value or b""
            try:
                head = heading(value)
                if isinstance(head, LiveHeading):
                    folded.batch.live.append(LiveRow(*head, value))
                    continue
                job, generation, timeline, upto, happened, end = head
                if end == COMPLETED:
                    completed((value, happened))
                elif end in TELLS_OF_A_LETTER:
                    self._tell_of(value, folded)
            except Undecodable:
                folded.batch.aside.append(aside(place, record))
                continue
            at, ended = record.timestamp * 1000, happened if end else None
            add(
                HistoryRow(
                    job, generation, timeline, upto, partition, record.offset, at, ended, value
                )
            )

    def _tell_of(self, value: bytes, folded: Folded) -> None:
        outcome = self._codec.decode_journal(value)
        if isinstance(outcome, Outcome):
            topic = self._topics.lane(outcome.lane)
            end = outcome.end
            if isinstance(end, Failed) and outcome.entity != str(outcome.job):
                key = entity_key(outcome.tenant, outcome.entity)
                folded.batch.died.append((key, end.at))
            self._tell(died(outcome, self._submission_of(outcome), topic), folded)
            self._tell(discarded(outcome), folded)

    def _submission_of(self, outcome: Outcome) -> SubmissionRecord | None:
        """The submission within a failure; None where that is what could not be decoded."""
        if not outcome.is_readable:
            return None
        try:
            return self._codec.decode_submission(outcome.submission or b"")
        except Undecodable:
            return None

    # TODO(phase 5, EventBus): connect JobReplayed and DeadLetterDiscarded here: made of the same
    # facts, appended with them by way of `EventRecords`, before the projector's checkpoint.
    def _tell(self, fact: DeadLetterFact | None, folded: Folded) -> None:
        if fact is not None:
            place = Place(self._topics.dead_letters, partition_of(str(fact.job), self._partitions))
            value = self._codec.encode_dead_letter(fact)
            folded.facts.append(Append(place, str(fact.job).encode(), value))


class FoldedHistory:
    """`History`: what the projection has of a job, folded when asked."""

    def __init__(self, rows: HistoryRows, codec: Codec) -> None:
        self._rows = rows
        self._codec = codec

    async def status(self, job: JobId) -> JobStatus | None:
        """The fold of what has been projected of a job; None where nothing has."""
        records = await self._rows.of(job)
        lanes: list[tuple[HistoryRow, SubmissionRecord]] = []
        outcomes: list[Outcome] = []
        live: list[Live] = []
        for row in records.history:
            try:
                if row.upto < 0:
                    lanes.append((row, self._codec.decode_submission(row.body)))
                else:
                    self._sort(row.body, outcomes, live)
            except Undecodable:
                continue
        for told in records.live:
            try:
                self._sort(told.body, outcomes, live)
            except Undecodable:
                continue
        return status_of(job, all_queued(lanes), outcomes, live)

    def _sort(self, body: bytes, outcomes: list[Outcome], live: list[Live]) -> None:
        match self._codec.decode_journal(body):
            case Outcome() as outcome:
                outcomes.append(outcome)
            case Live() as told:
                live.append(told)

    async def seen(self, place: Place) -> int:
        """The next offset of a place that is not projected yet; 0 where nothing is."""
        return await self._rows.checkpoint(NAME, place) or 0


def all_queued(lanes: Sequence[tuple[HistoryRow, SubmissionRecord]]) -> list[Queued]:
    """The events that a job's records are; of an edited one, how it differs from what died."""
    payloads = {
        dead_letter_id(record.job, record.generation): record.payload for _, record in lanes
    }
    events = []
    for row, record in lanes:
        event = queued_at(row, record)
        died = None if record.replay is None else payloads.get(record.replay.dead_letter)
        if died is not None and died != record.payload:
            event = replace(event, changes=difference(died, record.payload))
        events.append(event)
    return events


def queued_at(row: HistoryRow, record: SubmissionRecord) -> Queued:
    """The event that a submission's record is, at the place where it stands."""
    return Queued(
        at=row.at,
        generation=record.generation,
        lane=Priority(row.upto + len(LANES)),
        partition=row.partition,
        offset=row.offset,
        type=record.type,
        entity=record.entity,
        tenant=record.tenant,
        batch=record.batch,
        not_before=record.not_before,
        trace=record.trace,
        replay=record.replay,
    )
