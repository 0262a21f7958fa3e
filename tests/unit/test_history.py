"""What has been recorded of a job?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from processor.adapters.avro import AvroCodec
from processor.adapters.memory.projection import MemoryProjections
from processor.domain.dead_letter import DeadLetterKind
from processor.domain.errors import DeadLetterNotFound
from processor.domain.events import ErrorDetail, Failed, Queued, Reason
from processor.domain.ids import JobId, dead_letter_id, job_of_undecodable, partition_of
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import JobStatus, Live
from processor.domain.topics import Topics
from processor.ports.log import Place
from processor.ports.projection import Batch, Closing, LetterRow, LiveRow
from projections.dead_letters import DeadLetterProjection
from projections.history import FoldedHistory, HistoryProjection
from projections.projection import Folded, KeptAside
from projections.queries import DeadLetters
from tests.projecting import (
    COMPLETED,
    DISCARDED,
    FAILED,
    FOREIGN,
    PARTITIONS,
    job,
    outcome,
    started,
    submission,
)

TOPICS, CODEC = Topics("jobs"), AvroCodec()
AT = 1_700_000_000_500


def fold(topic: str, *values: bytes) -> Folded:
    projection = HistoryProjection(TOPICS, PARTITIONS, CODEC)
    records = [KeptAside(offset, value, AT) for offset, value in enumerate(values)]
    return projection.fold({Place(topic, 1): records})


async def history_of(*folded: Folded) -> FoldedHistory:
    store = MemoryProjections()
    for one in folded:
        await store.write("history", [], one.batch)
    return FoldedHistory(store, CODEC)


def queued_in(status: JobStatus) -> Queued:
    first = status.history[0].event
    assert isinstance(first, Queued)
    return first


def facts(folded: Folded) -> list[tuple[DeadLetterKind, JobId, int]]:
    found = [CODEC.decode_dead_letter(one.value) for one in folded.facts]
    return [(one.kind, one.job, one.generation) for one in found]


def test_every_partition_of_lanes_and_journal_is_read_and_of_the_letters_by_the_other() -> None:
    history = HistoryProjection(TOPICS, 2, CODEC).places
    assert len(history) == len(set(history)) == 10
    letters = DeadLetterProjection(TOPICS, 2, CODEC).places
    assert [*letters] == [Place("jobs.dead-letters", 0), Place("jobs.dead-letters", 1)]


async def test_a_submission_is_queued_since_the_log_appended_it_where_it_stands() -> None:
    history = await history_of(fold("jobs.low", CODEC.encode_submission(submission(3))))
    status = await history.status(job(3))
    assert status is not None
    assert (status.state, status.type, status.tenant) == (State.QUEUED, "flight.landed", "acme")
    assert queued_in(status).at == AT * 1000
    assert (status.current.lane, status.trace) == (Priority.LOW, submission(3).trace)


async def test_a_job_in_two_lanes_is_told_from_the_record_that_was_executed() -> None:
    value = CODEC.encode_submission(submission(3))
    ran = replace(outcome(CODEC, 3, started(3), COMPLETED), lane=Priority.HIGH, partition=1)
    history = await history_of(
        fold("jobs.low", value),
        fold("jobs.high", value),
        fold("jobs.events", CODEC.encode_outcome(ran)),
    )
    status = await history.status(job(3))
    assert status is not None
    assert queued_in(status).lane is Priority.HIGH


async def test_a_running_job_shows_attempt_and_worker_before_its_outcome() -> None:
    live = CODEC.encode_live(Live(job(3), 1, started(3)))
    lane = fold("jobs.low", CODEC.encode_submission(submission(3)))
    status = await (await history_of(lane, fold("jobs.events", live))).status(job(3))
    assert status is not None
    assert (status.state, status.attempts, status.current.worker) == (State.PROCESSING, 1, "w1")


async def test_a_failure_is_told_whole_while_its_lane_is_not_read_yet() -> None:
    failed = CODEC.encode_outcome(outcome(CODEC, 3, started(3), FAILED))
    folded = fold("jobs.events", failed)
    assert facts(folded) == [(DeadLetterKind.DIED, job(3), 1)]
    status = await (await history_of(folded)).status(job(3))
    assert status is not None
    assert (status.state, status.type, status.entity) == (State.FAILED, "flight.landed", "N3")
    letter = CODEC.decode_dead_letter(folded.facts[0].value)
    assert letter.submission == CODEC.encode_submission(submission(3))
    assert letter.caller == submission(3).caller


def test_a_fact_goes_to_the_partition_of_its_job() -> None:
    folded = fold("jobs.events", CODEC.encode_outcome(outcome(CODEC, 3, started(3), FAILED)))
    place = Place("jobs.dead-letters", partition_of(str(job(3)), PARTITIONS))
    assert (folded.facts[0].place, folded.facts[0].key) == (place, str(job(3)).encode())


def test_only_failures_discards_and_replays_tell_of_letters() -> None:
    events = fold(
        "jobs.events",
        CODEC.encode_outcome(outcome(CODEC, 1, started(1), COMPLETED)),
        CODEC.encode_outcome(outcome(CODEC, 2, DISCARDED, generation=2)),
    )
    assert facts(events) == [(DeadLetterKind.DISCARDED, job(2), 1)]
    lane = fold(
        "jobs.low",
        CODEC.encode_submission(submission(3)),
        CODEC.encode_submission(submission(3, 2)),
    )
    assert facts(lane) == [(DeadLetterKind.REPLAYED, job(3), 1)]


def test_a_batch_folded_twice_is_the_same_batch() -> None:
    values = [
        CODEC.encode_outcome(outcome(CODEC, 3, started(3), FAILED)),
        CODEC.encode_live(Live(job(4), 1, started(4))),
        FOREIGN,
    ]
    assert fold("jobs.events", *values) == fold("jobs.events", *values)


async def test_what_cannot_be_decoded_is_kept_aside_and_the_rest_goes_on() -> None:
    good = CODEC.encode_submission(submission(3))
    folded = fold("jobs.low", FOREIGN, b"", good)
    assert [(row.offset, row.at, row.body) for row in folded.batch.aside] == [
        (0, AT * 1000, FOREIGN),
        (1, AT * 1000, b""),
    ]
    assert [row.offset for row in folded.batch.history] == [2]


async def test_a_replay_whose_body_is_corrupt_is_kept_aside_whole() -> None:
    whole = CODEC.encode_submission(submission(3, 2))
    folded = fold("jobs.low", CODEC.encode_submission(submission(4)), whole[:40])
    assert [row.body for row in folded.batch.aside] == [whole[:40]]
    assert len(folded.batch.history) == 1


async def test_a_row_that_cannot_be_decoded_takes_nothing_from_the_others() -> None:
    good = CODEC.encode_submission(submission(3))
    told = CODEC.encode_outcome(outcome(CODEC, 3, started(3), COMPLETED))
    live = CODEC.encode_live(Live(job(3), 1, started(3)))
    history = await history_of(
        fold("jobs.low", good),
        fold("jobs.high", good[:40]),
        fold("jobs.events", CODEC.encode_live(Live(job(4), 1, started(4))), live[:40], told),
    )
    status = await history.status(job(3))
    assert status is not None
    assert status.state is State.COMPLETE


async def test_a_live_row_of_a_later_release_takes_nothing_from_the_job() -> None:
    store = MemoryProjections()
    await store.write("history", [], fold("jobs.low", CODEC.encode_submission(submission(3))).batch)
    await store.write("history", [], Batch(live=[LiveRow(job(3).bytes, 1, 1, AT, FOREIGN)]))
    status = await FoldedHistory(store, CODEC).status(job(3))
    assert status is not None
    assert status.state is State.QUEUED


async def test_a_lanes_record_that_no_worker_could_decode_is_a_failed_job() -> None:
    raw = job_of_undecodable("cluster", "jobs.low", 1, 0)
    error = ErrorDetail(Reason.UNDECODABLE, "Undecodable", "the bytes are no record of ours")
    end = Failed(AT * 1000, 0, Reason.UNDECODABLE, error)
    told = Outcome(raw, 1, 1, "", str(raw), None, Priority.LOW, 1, 0, (end,), submission=FOREIGN)
    folded = fold("jobs.events", CODEC.encode_outcome(told))
    letter = CODEC.decode_dead_letter(folded.facts[0].value)
    assert (letter.reason, letter.submission, letter.caller) == (
        Reason.UNDECODABLE,
        FOREIGN,
        None,
    )
    assert (letter.topic, letter.partition, letter.offset) == ("jobs.low", 1, 0)
    status = await (await history_of(folded)).status(raw)
    assert status is not None
    assert (status.state, status.current.reason) == (State.FAILED, Reason.UNDECODABLE)


async def test_an_unknown_job_has_no_status_and_an_unread_place_is_seen_to_zero() -> None:
    history = await history_of()
    assert await history.status(JobId(UUID(int=99))) is None
    assert await history.seen(Place("jobs.low", 0)) == 0


async def test_a_place_is_seen_up_to_the_checkpoint_of_the_history() -> None:
    store = MemoryProjections()
    await store.begin("history", {Place("jobs.low", 0): 5})
    await store.begin("dead-letters", {Place("jobs.low", 0): 9})
    assert await FoldedHistory(store, CODEC).seen(Place("jobs.low", 0)) == 5


async def letters_of(*numbers: int) -> tuple[MemoryProjections, DeadLetters]:
    store = MemoryProjections()
    ends = [CODEC.encode_outcome(outcome(CODEC, one, started(one), FAILED)) for one in numbers]
    values = [fact.value for fact in fold("jobs.events", *ends).facts]
    projection = DeadLetterProjection(TOPICS, PARTITIONS, CODEC)
    records = [KeptAside(offset, value, AT) for offset, value in enumerate([*values, FOREIGN])]
    folded = projection.fold({Place("jobs.dead-letters", 0): records})
    assert [row.body for row in folded.batch.aside] == [FOREIGN]
    await store.write("dead-letters", [], folded.batch)
    return store, DeadLetters(store, CODEC)


async def test_open_letters_are_found_by_type_place_and_id() -> None:
    store, letters = await letters_of(*range(150))
    found = [one async for one in letters.open()]
    assert {one.died.job for one in found} == {job(number) for number in range(150)}
    assert len(found) == 150
    assert [one async for one in letters.open(type="other")] == []
    assert len([one async for one in letters.open(place="app:landed:12", tenant="acme")]) == 150
    one = await letters.by_id(dead_letter_id(job(3), 1))
    assert (one.died.job, one.closed) == (job(3), None)
    assert [group.letters for group in await letters.groups()] == [150]
    assert len(store.letters) == 150


async def test_a_letter_that_is_not_there_is_not_found() -> None:
    store, letters = await letters_of(1)
    with pytest.raises(DeadLetterNotFound, match="no dead letter has the id"):
        await letters.by_id(UUID(int=5))
    later = LetterRow(job(2).bytes, 1, dead_letter_id(job(2), 1), 1, type="", place="", body=b"?")
    await store.write("dead-letters", [], Batch(letters=[later]))
    with pytest.raises(DeadLetterNotFound):
        await letters.by_id(later.id)
    closed = LetterRow(job(4).bytes, 1, dead_letter_id(job(4), 1), closed=Closing.REPLAYED)
    await store.write("dead-letters", [], Batch(letters=[closed]))
    with pytest.raises(DeadLetterNotFound):
        await letters.by_id(closed.id)


def test_a_fact_with_numbers_that_cannot_be_is_kept_aside() -> None:
    fact = CODEC.decode_dead_letter(
        fold("jobs.events", CODEC.encode_outcome(outcome(CODEC, 3, started(3), FAILED)))
        .facts[0]
        .value
    )
    wrong = CODEC.encode_dead_letter(replace(fact, generation=40_000))
    projection = DeadLetterProjection(TOPICS, PARTITIONS, CODEC)
    folded = projection.fold({Place("jobs.dead-letters", 0): [KeptAside(0, wrong, AT)]})
    assert (len(folded.batch.aside), folded.batch.letters) == (1, [])
