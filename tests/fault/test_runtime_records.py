"""What becomes of records that are strange, twice there, many, or known already?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from processor.adapters.memory.step import onward
from processor.domain.events import Cancelled, Failed, Reason
from processor.domain.ids import job_of_undecodable
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.ports.ledger import Ending, LedgerRow
from processor.ports.log import Place
from processor.runtime.fetching import LookAhead
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import Acked, MemoryCluster
from processor.testing.member import Gate
from processor.testing.naming import CODEC, TIMELINE, TOPICS
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail
from tests.invariants import partition_of_entity

__all__ = ["blocking_calls_fail"]


class Runs:
    """Handlers that remember in which order they ran, one of them with a transaction."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.seen: list[Any] = []
        self.jobs.register("plain", self.plain)
        self.jobs.register("writes", self.writes)

    async def plain(self, request: Request[Any]) -> None:
        self.seen.append(request.payload)

    async def writes(self, request: Request[Any]) -> None:
        connection = await request.connection()
        await connection.put(request.job_id, request.payload)
        self.seen.append(request.payload)


def again(cluster: MemoryCluster, acked: Acked, lane: Priority | None = None) -> None:
    """Append a submission a second time, as a producer that tries again does."""
    record = acked.record
    lane = acked.lane if lane is None else lane
    cluster.submit(record.type, record.entity, record.payload, lane, job=record.job)


def cancelled(acked: Acked) -> LedgerRow:
    record = acked.record
    outcome = Outcome(
        record.job,
        record.generation,
        TIMELINE,
        record.type,
        record.entity,
        record.tenant,
        acked.lane,
        acked.partition,
        acked.offset,
        (Cancelled(1, "ann"),),
    )
    body = CODEC.encode_outcome(outcome)
    ending = Ending.CANCELLED
    return LedgerRow(record.job, 1, ending, acked.partition, acked.lane, acked.offset, body)


@pytest.mark.parametrize("type_", ["plain", "writes"])
@in_virtual_time
async def test_one_id_many_times_in_a_batch_runs_once_and_every_record_is_done(type_: str) -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    job = cluster.submit(type_, "a", b"1")
    for _ in range(3):
        again(cluster, cluster.acked[0])
    cluster.submit("plain", "a", b"2")
    cluster.start()
    await cluster.settled()
    assert runs.seen == [1, 2]
    assert cluster.bodies(job) == [cluster.body(job)]
    check_every_body(cluster)


@in_virtual_time
async def test_one_id_in_several_lanes_runs_once() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    cluster.submit("plain", "a", b"1")
    for lane in LANES:
        again(cluster, cluster.acked[0], lane)
    cluster.start()
    await cluster.settled()
    assert runs.seen == [1]


@in_virtual_time
async def test_a_second_record_after_the_end_publishes_the_first_outcome_again() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    job = cluster.submit("writes", "a", b"1")
    cluster.start()
    await cluster.settled()
    again(cluster, cluster.acked[0])
    await cluster.settled()
    assert runs.seen == [1]
    assert cluster.bodies(job) == [cluster.body(job)] * 2


@in_virtual_time
async def test_a_record_below_an_old_position_publishes_the_stored_outcome_byte_for_byte() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    job = cluster.submit("writes", "a", b"1")

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        if name == "log.append":
            raise first.die_in_a_call()
        return None

    first = cluster.start(hook)
    await cluster.until(lambda: first.dead)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.bodies(job) == []
    cluster.clock.advance(3600)
    cluster.start()
    await cluster.settled()
    assert runs.seen == [1]
    assert cluster.bodies(job) == [cluster.body(job)]


@pytest.mark.parametrize("type_", ["plain", "writes"])
@in_virtual_time
async def test_the_winner_is_published_and_never_this_workers_own_bytes(type_: str) -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    job = cluster.submit(type_, "a", b"1")
    row = cancelled(cluster.acked[0])

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        if name in ("ledger.flush", "transaction.complete"):  # a cancel comes first
            cluster.database.ledger.setdefault((job, 1), row)
        return None

    worker = cluster.start(hook)
    await cluster.until(worker.owned)
    spell = dict(worker.runtime.keeper.owned)
    await cluster.settled()
    assert runs.seen == [1]
    assert cluster.bodies(job) == [row.body]
    assert cluster.database.values == {}
    assert worker.runtime.keeper.owned == spell, "a cancel proves no other owner"


@in_virtual_time
async def test_a_job_cancelled_before_it_was_seen_never_runs() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    job = cluster.submit("plain", "a", b"1")
    cluster.database.ledger[job, 1] = cancelled(cluster.acked[0])
    cluster.start()
    await cluster.settled()
    assert runs.seen == []
    assert cluster.bodies(job) == [cluster.body(job)]


@pytest.mark.parametrize("value", [b"", b"\xff\xfe\x00", b"\xc3\x01", None])
@in_virtual_time
async def test_a_record_that_is_none_of_ours_is_a_dead_letter_with_its_bytes(
    value: bytes | None,
) -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    offset = cluster.append(Priority.HIGH, 1, value or b"")
    records = cluster.topics.partitions[Place(TOPICS.lane(Priority.HIGH), 1)].records
    records[offset] = replace(records[offset], value=value)
    cluster.submit("plain", "a", b"1", Priority.HIGH)
    cluster.start()
    await cluster.settled()
    job = job_of_undecodable("cluster", TOPICS.lane(Priority.HIGH), 1, offset)
    outcome = cluster.outcome(job)
    assert isinstance(outcome.end, Failed)
    assert outcome.end.reason is Reason.UNDECODABLE
    assert (outcome.submission, outcome.partition, outcome.offset) == (value or b"", 1, offset)
    assert outcome.entity == str(job)
    assert len(cluster.job_failed()) == 1
    assert runs.seen == [1]


@in_virtual_time
async def test_an_unknown_schema_holds_its_partition_and_no_other_until_it_is_known() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs)
    here, there = partition_of_entity(cluster, 0), partition_of_entity(cluster, 1)
    first = cluster.submit("plain", here, b"1")
    offset = cluster.append(Priority.NORMAL, 0, b"\xc3\x01" + bytes(8) + b"from the future")
    held = cluster.submit("plain", here, b"2")
    other = cluster.submit("plain", there, b"3")
    worker = cluster.start()
    await cluster.until(lambda: cluster.bodies(other) and cluster.bodies(first))
    await cluster.clock.sleep(30)
    assert cluster.database.owners[0].positions[Priority.NORMAL] == offset
    assert not cluster.bodies(held)
    records = cluster.topics.partitions[Place(TOPICS.lane(Priority.NORMAL), 0)].records
    records[offset] = replace(records[offset], value=records[0].value)  # as if it could be read
    await cluster.settled()
    assert sorted(runs.seen) == [1, 2, 3]
    await worker.stopped()


@in_virtual_time
async def test_an_entitys_jobs_run_one_at_a_time_higher_lane_first_then_in_the_logs_order() -> None:
    runs = Runs()
    cluster = MemoryCluster(runs.jobs, slots=8)
    expected = []
    for lane in reversed(LANES):
        for number in range(3):
            payload = f"{lane.value}{number}".encode()
            cluster.submit("writes" if number % 2 else "plain", "a", b'"' + payload + b'"', lane)
            expected.append(payload.decode())

    fetched = Gate("ledger.look_up")  # until all four lanes have been read
    cluster.start(fetched)
    await cluster.clock.sleep(1)
    worker = cluster.members[0]
    worker.membership.cut(age=100)
    fetched.open.set()
    await cluster.clock.sleep(1)
    worker.membership.heal()
    await cluster.settled()
    assert runs.seen == sorted(expected)


@in_virtual_time
async def test_a_critical_job_does_not_wait_behind_a_flood_of_another_entity() -> None:
    jobs = Jobs()
    order: list[str] = []

    @jobs.handler("work")
    async def work(request: Request[Any]) -> None:
        order.append(request.cluster.lane.label)
        await cluster.clock.sleep(0.1)

    cluster = MemoryCluster(jobs, slots=2, look_ahead=LookAhead(jobs=5))
    for _ in range(40):
        cluster.submit("work", lane=Priority.LOW)
    cluster.start()
    await cluster.until(lambda: len(order) >= 10)
    before = len(order)
    cluster.submit("work", lane=Priority.CRITICAL)
    await cluster.settled()
    assert order.index("critical") - before <= 2


@in_virtual_time
async def test_a_lane_whose_look_ahead_is_full_is_read_on_when_half_of_it_is_done() -> None:
    jobs = Jobs()
    go = asyncio.Semaphore(0)

    @jobs.handler("waits")
    async def waits(request: Request[Any]) -> None:
        await go.acquire()

    cluster = MemoryCluster(jobs, partitions=1, look_ahead=LookAhead(jobs=4))
    for _ in range(4):
        cluster.submit("waits")
    worker = cluster.start()
    await cluster.until(lambda: len(worker.runtime.dispatcher.running) == 4)
    position = worker.runtime.keeper.owned[0].positions[Priority.NORMAL]
    for _ in range(4):
        cluster.submit("waits")
    await cluster.clock.sleep(5)
    assert position.fetched == 4
    go.release()
    await cluster.clock.sleep(5)
    assert (position.fetched, position.unfinished) == (4, 3)
    go.release()
    await cluster.until(lambda: position.fetched == 8)
    for _ in range(6):
        go.release()
    await cluster.settled()


@in_virtual_time
async def test_a_copy_read_under_a_new_spell_is_not_lost_with_the_old_one() -> None:
    """The first record is being looked up when its partition is dropped and taken anew."""
    runs = Runs()
    cluster = MemoryCluster(runs.jobs, partitions=1)
    worker = cluster.start()
    await cluster.until(lambda: worker.owned() == {0})
    slow = {"left": 1}

    async def hook(name: str) -> BaseException | None:
        if name == "ledger.look_up" and slow["left"]:
            slow["left"] -= 1
            await cluster.clock.sleep(5)
        return await onward(name)

    worker.hook = hook
    cluster.submit("plain", "a", b"1", Priority.LOW)
    await cluster.until(lambda: not slow["left"])
    keeper = worker.runtime.keeper
    keeper.doubt(keeper.owned[0], "the test says so")
    await cluster.until(lambda: worker.owned() == {0})
    again(cluster, cluster.acked[0], Priority.HIGH)
    await cluster.settled()
    assert runs.seen == [1]


def check_every_body(cluster: MemoryCluster) -> None:
    stored = {row.body for row in cluster.database.ledger.values()}
    assert set(cluster.published()) == stored
