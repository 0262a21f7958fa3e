"""Does a client append what it is given, name what it does not know, and never say unknown?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from processor.domain.errors import (
    ConfigurationError,
    InvalidSubmission,
    JobNotComplete,
    JobNotFound,
    SubmissionTooLarge,
    SubmitError,
    Unavailable,
)
from processor.domain.events import Completed, ErrorDetail, Failed, Reason, Started
from processor.domain.ids import JobId, partition_of
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.submission import SubmissionRecord, Trace
from processor.ports.log import Append, LogFailure, Place
from processor.runtime import checking
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker
from processor.runtime.client import Client
from processor.runtime.submission import Submission
from tests.clients import CODEC, PARTITIONS, TOPICS, MemoryClient

UNKNOWN = JobId(UUID(int=7))


@pytest.fixture
def world() -> MemoryClient:
    return MemoryClient()


def submissions(count: int, **fields: Any) -> list[Submission]:  # noqa: ANN401 - any field
    return [Submission("a", {"n": number}, **fields) for number in range(count)]


async def test_one_submission_gives_its_id_and_stands_in_its_lane(world: MemoryClient) -> None:
    one = Submission("a", {"x": 1}, entity="e", priority=Priority.HIGH)
    assert await world.client.submit(one) == one.id
    place = Place("jobs.high", partition_of("e", PARTITIONS))
    (record,) = world.topics.partitions[place].records
    assert record.key == b"e"
    found = CODEC.decode_submission(record.value or b"")
    assert found == SubmissionRecord(
        one.id, "a", b'{"x":1}', "e", Priority.HIGH, submitted_at=world.clock.now()
    )


async def test_many_share_a_batch_and_keep_their_order(world: MemoryClient) -> None:
    many = submissions(10, entity="e")
    assert await world.client.submit(many, priority=Priority.LOW) == [one.id for one in many]
    records = world.records()
    assert [record.job for record in records] == [one.id for one in many]
    assert {record.priority for record in records} == {Priority.LOW}
    (batch,) = {record.batch for record in records}
    assert batch is not None


async def test_a_submission_s_own_priority_goes_before_the_batch_s(world: MemoryClient) -> None:
    many = [Submission("a", priority=Priority.CRITICAL), Submission("a")]
    await world.client.submit(many, priority=Priority.LOW)
    assert [record.priority for record in world.records()] == [Priority.CRITICAL, Priority.LOW]


async def test_nothing_gives_nothing(world: MemoryClient) -> None:
    assert await world.client.submit([]) == []
    assert await world.client.submit(iter(())) == []


async def test_a_batch_id_may_be_given(world: MemoryClient) -> None:
    await world.client.submit(submissions(2), batch=UUID(int=5))
    await world.client.submit(submissions(1)[0], batch=UUID(int=5))
    assert {record.batch for record in world.records()} == {UUID(int=5)}


async def test_one_alone_has_no_batch(world: MemoryClient) -> None:
    await world.client.submit(Submission("a"))
    assert [record.batch for record in world.records()] == [None]


async def test_submitting_again_appends_the_same_ids(world: MemoryClient) -> None:
    many = submissions(3)
    assert await world.client.submit(many) == await world.client.submit(many)
    jobs = [record.job for record in world.records()]
    assert sorted(jobs) == sorted([one.id for one in many] * 2)


async def test_a_sequence_is_checked_whole_before_the_first_is_sent(world: MemoryClient) -> None:
    many = [*submissions(2 * checking.CHUNK), bad := Submission("")]
    with pytest.raises(InvalidSubmission) as refused:
        await world.client.submit(many)
    assert str(refused.value) == (
        f"submission number {2 * checking.CHUNK} ({bad.id}) was refused: its type is empty"
    )
    assert world.records() == []
    assert refused.value.unknown[bad.id] == "its type is empty"


async def test_what_is_too_much_to_keep_is_checked_whole_too_and_sent_whole_and_in_its_order(
    world: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "KEPT_BYTES", 1_000)
    many = submissions(3 * checking.CHUNK + 5, entity="e")
    with pytest.raises(InvalidSubmission, match="its type is empty"):
        await world.client.submit([*many, Submission("")])
    assert world.records() == []
    assert await world.client.submit(many) == [one.id for one in many]
    assert [record.job for record in world.records()] == [one.id for one in many]


async def test_what_is_too_large_is_told_apart(world: MemoryClient) -> None:
    big = Submission("a", "x" * 600_000)
    with pytest.raises(SubmissionTooLarge, match=rf"submission \({big.id}\) was refused: its pay"):
        await world.client.submit(big)
    with pytest.raises(SubmissionTooLarge, match=r"submission number 1 .* limit is 524,288"):
        await world.client.submit([Submission("a"), big])


async def test_an_iterable_is_sent_piece_by_piece(world: MemoryClient) -> None:
    count = 2 * checking.CHUNK + 5
    taken_when_first_seen: list[int] = []
    taken = 0

    def lazily() -> Iterator[Submission]:
        nonlocal taken
        for one in submissions(count):
            if not taken_when_first_seen and world.appended():
                taken_when_first_seen.append(taken)
            taken += 1
            yield one

    ids = await world.client.submit(lazily())
    assert len(ids) == len(world.records()) == count
    assert taken_when_first_seen
    assert taken_when_first_seen[0] < count


async def test_an_asynchronous_iterable_is_sent_too(world: MemoryClient) -> None:
    many = submissions(5, entity="e")

    async def lazily() -> AsyncIterator[Submission]:
        for one in many:
            await asyncio.sleep(0)
            yield one

    assert await world.client.submit(lazily()) == [one.id for one in many]
    assert [record.job for record in world.records()] == [one.id for one in many]


async def test_a_stream_that_breaks_says_how_many_are_appended(world: MemoryClient) -> None:
    good = submissions(checking.CHUNK + 2)
    with pytest.raises(InvalidSubmission) as refused:
        await world.client.submit(iter([*good, Submission("")]))
    assert str(refused.value).endswith(
        f"its type is empty; {checking.CHUNK:,} before it are appended"
    )
    appended = {record.job for record in world.records()}
    assert appended == {one.id for one in good} - refused.value.unknown.keys()


async def test_an_error_of_the_iterable_comes_through_after_what_it_gave(
    world: MemoryClient,
) -> None:
    def lazily() -> Iterator[Submission]:
        yield from submissions(checking.CHUNK)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as broken:
        await world.client.submit(lazily())
    assert len(world.records()) == checking.CHUNK
    (note,) = broken.value.__notes__
    said = f"{checking.CHUNK:,} submissions before it are appended"
    assert note == f"{said}; submitting the same objects again is harmless"


async def test_pieces_are_bounded_in_bytes(world: MemoryClient) -> None:
    sizes: list[int] = []
    append = world.log.append

    async def counting(records: list[Append], timeout: float | None = None) -> Any:  # noqa: ANN401
        sizes.append(sum(len(record.value) for record in records))
        return await append(records, timeout)

    world.log.append = counting  # type: ignore[method-assign, assignment]
    await world.client.submit([Submission("a", "x" * 500_000) for _ in range(20)])
    assert len(sizes) == 3
    assert max(sizes) < checking.CHUNK_BYTES + 600_000


@pytest.mark.parametrize("thing", [7, None, "text", {"type": "a"}, [Submission("a"), 7]])
async def test_what_is_no_submission_is_refused(world: MemoryClient, thing: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidSubmission, match=r"is an? \w+, no Submission"):
        await world.client.submit(thing)
    assert world.records() == []


async def test_a_priority_that_is_none_is_refused(world: MemoryClient) -> None:
    wrong: Any = "low"
    with pytest.raises(InvalidSubmission, match="the priority must be a Priority, not 'low'"):
        await world.client.submit([Submission("a")], priority=wrong)


async def test_what_is_not_known_to_be_appended_is_named(world: MemoryClient) -> None:
    async def refuse(_name: str) -> BaseException | None:
        raise LogFailure("the broker is away")

    world.log.step = refuse
    many = submissions(3)
    with pytest.raises(SubmitError) as failed:
        await world.client.submit(many)
    assert failed.value.unknown == {one.id: "the broker is away" for one in many}
    assert str(failed.value) == (
        "3 of 3 submissions are not known to be appended, the first is"
        f" {many[0].id}: the broker is away"
    )


async def test_after_a_failure_nothing_more_is_sent(world: MemoryClient) -> None:
    calls = 0

    async def second_fails(_name: str) -> BaseException | None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise LogFailure("the broker is away")
        return None

    world.log.step = second_fails
    many = submissions(6 * checking.CHUNK)
    with pytest.raises(SubmitError) as failed:
        await world.client.submit(many)
    appended = {record.job for record in world.records()}
    assert {one.id for one in many} == appended | failed.value.unknown.keys()
    assert not appended & failed.value.unknown.keys()
    assert "not sent" in failed.value.unknown.values()
    assert len(appended) < 4 * checking.CHUNK


async def test_a_cancelled_submit_stops_sending(world: MemoryClient) -> None:
    started = asyncio.Event()

    async def hang(_name: str) -> BaseException | None:
        started.set()
        await asyncio.Event().wait()
        return None

    world.log.step = hang
    submitting = asyncio.create_task(world.client.submit(submissions(5 * checking.CHUNK)))
    await started.wait()
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_the_active_trace_travels_in_the_record_and_its_headers(
    world: MemoryClient,
) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("asked") as span:
        await world.client.submit(Submission("a"))
        await world.client.submit([Submission("a"), Submission("a", trace=Trace("own", "x=y"))])
    await world.client.submit(Submission("a"))
    context = span.get_span_context()
    ids = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
    active = f"00-{ids[0]}-{ids[1]}-{context.trace_flags:02x}"
    traces = sorted((record.trace for record in world.records()), key=repr)
    assert traces == [None, Trace(active), Trace(active), Trace("own", "x=y")]
    headers = {
        record.headers
        for partition in world.topics.partitions.values()
        for record in partition.records
    }
    assert headers == {
        (),
        (("traceparent", active.encode()),),
        (("traceparent", b"own"), ("tracestate", b"x=y")),
    }


async def test_a_job_just_submitted_is_never_unknown_and_is_queued_as_of_then(
    world: MemoryClient,
) -> None:
    one = Submission("a", entity="e", tenant="t", priority=Priority.HIGH)
    await world.client.submit(one)
    asking = asyncio.create_task(world.client.status(one.id))
    await world.pass_time(3)
    status = await asking
    assert status.state is State.QUEUED
    assert status.as_of is not None
    assert (status.type, status.entity, status.tenant) == ("a", "e", "t")
    assert status.current.lane is Priority.HIGH


async def test_the_answer_waits_until_the_history_has_come_so_far(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    asking = asyncio.create_task(world.client.status(one.id))
    await world.pass_time(0.5)
    assert not asking.done()
    await world.project()
    await world.pass_time(0.2)
    status = await asking
    assert status.state is State.QUEUED
    assert status.as_of is None


async def test_a_job_of_one_s_own_that_the_history_has_forgotten_is_denied(
    world: MemoryClient,
) -> None:
    job = await world.client.submit(Submission("flight.landed", 1))
    world.clock.advance(8 * 24 * 3600)
    asking = asyncio.create_task(world.client.status(job))
    await world.pass_time(3)
    assert (await asking).state is State.QUEUED  # nobody has projected it yet
    await world.project()
    world.rows.remove(job.bytes)
    with pytest.raises(JobNotFound):
        await world.client.status(job)


async def test_a_scheduled_job_is_scheduled_from_the_first_answer_on(world: MemoryClient) -> None:
    one = Submission("a", not_before=datetime(2100, 1, 1, tzinfo=UTC))
    await world.client.submit(one)
    asking = asyncio.create_task(world.client.status(one.id))
    await world.pass_time(3)
    assert (await asking).state is State.SCHEDULED


async def test_an_unknown_job_is_denied_only_once_the_history_has_passed_every_lane(
    world: MemoryClient,
) -> None:
    await world.client.submit(submissions(5))
    asking = asyncio.create_task(world.client.status(UNKNOWN))
    await world.pass_time(0.5)
    assert not asking.done()
    await world.project()
    await world.pass_time(0.2)
    with pytest.raises(JobNotFound, match=str(UNKNOWN)):
        await asking


async def test_a_job_is_not_denied_while_the_history_is_behind(world: MemoryClient) -> None:
    await world.client.submit(submissions(5))
    asking = asyncio.create_task(world.client.status(UNKNOWN))
    await world.pass_time(3)
    with pytest.raises(Unavailable, match="the history is behind in"):
        await asking


async def test_what_is_forgotten_is_asked_like_anybody_else_s() -> None:
    world = MemoryClient(kept=2)
    many = submissions(5)
    await world.client.submit(many)
    asking = asyncio.create_task(world.client.status(many[0].id))
    await world.pass_time(0.1)
    assert world.asked == 1
    await world.project()
    await world.pass_time(0.2)
    assert (await asking).state is State.QUEUED


async def journal(world: MemoryClient, one: Submission, *events: Any) -> None:  # noqa: ANN401
    partition = partition_of(str(one.id), PARTITIONS)
    outcome = Outcome(
        one.id, 1, 1, "a", str(one.id), None, Priority.NORMAL, partition, 0, tuple(events)
    )
    place = Place(TOPICS.events, partition)
    await world.log.append([Append(place, b"", CODEC.encode_outcome(outcome))])


STARTED = Started(1, 1, 1, "w", "r", 0, Priority.NORMAL)


async def test_a_result_is_waited_for(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    await world.project()
    waiting = asyncio.create_task(world.client.result(one.id))
    await world.pass_time(0.5)
    assert not waiting.done()
    await journal(world, one, STARTED, Completed(2, b'{"minutes":227}'))
    await world.project()
    await world.pass_time(0.2)
    assert await waiting == {"minutes": 227}


async def test_a_result_is_waited_for_while_the_history_is_behind(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    elsewhere = Asker(world.history, Acknowledged(), world.ends, world.clock)
    waiting = asyncio.create_task(elsewhere.result(one.id, timeout=60))
    await world.pass_time(5)
    assert not waiting.done()
    await journal(world, one, STARTED, Completed(2, b"7"))
    await world.project()
    await world.pass_time(0.5)
    assert await waiting == 7


async def test_a_history_that_stays_behind_is_told_once_the_time_is_over(
    world: MemoryClient,
) -> None:
    one = Submission("a")
    await world.client.submit(one)
    elsewhere = Asker(world.history, Acknowledged(), world.ends, world.clock)
    waiting = asyncio.create_task(elsewhere.result(one.id, timeout=5))
    await world.pass_time(4.5)
    assert not waiting.done()
    await world.pass_time(1)
    with pytest.raises(Unavailable, match="the history is behind in"):
        await waiting


async def test_a_result_of_an_unknown_job_is_denied_and_not_waited_for(
    world: MemoryClient,
) -> None:
    await world.client.submit(submissions(5))
    await world.project()
    waiting = asyncio.create_task(world.client.result(UNKNOWN, timeout=60))
    await world.pass_time(0.2)
    with pytest.raises(JobNotFound):
        await waiting


async def test_a_result_of_nothing_is_none(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    await journal(world, one, STARTED, Completed(2, b"null"))
    await world.project()
    assert await world.client.result(one.id) is None


async def test_a_failed_job_has_no_result(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    error = ErrorDetail(Reason.REJECTED, "Reject", "no such aircraft")
    await journal(world, one, STARTED, Failed(2, 1, Reason.REJECTED, error))
    await world.project()
    with pytest.raises(JobNotComplete, match=f"job {one.id} failed: Reject: no such aircraft"):
        await world.client.result(one.id)


async def test_a_result_that_does_not_come_in_time_is_told(world: MemoryClient) -> None:
    one = Submission("a")
    await world.client.submit(one)
    await world.project()
    waiting = asyncio.create_task(world.client.result(one.id, timeout=0.5))
    await world.pass_time(1)
    with pytest.raises(JobNotComplete, match=r"is still queued after 0\.5 s"):
        await waiting


async def test_without_a_database_a_client_submits_and_says_what_it_cannot(
    world: MemoryClient,
) -> None:
    client = Client(world.client._submitter)  # noqa: SLF001 - the same, without a history
    job = await client.submit(Submission("a"))
    for asked in (client.status(job), client.result(job)):
        with pytest.raises(ConfigurationError, match="JOBS_DATABASE is not set"):
            await asked


async def test_every_lane_has_its_topic(world: MemoryClient) -> None:
    await world.client.submit([Submission("a", priority=lane) for lane in LANES])
    assert [record.priority for record in world.records()] == list(LANES)
