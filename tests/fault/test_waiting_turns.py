"""Does an entity keep its order through spilling, schedules, long runs and blocks?"""

from __future__ import annotations

from typing import Any

import pytest
from tenacity import wait_fixed

from processor.adapters.memory.step import onward
from processor.domain.events import Reason
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Ending, Fault
from processor.runtime.fetching import LookAhead
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Gate, Member
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.invariants import effects, partition_of_entity
from tests.waiting import (
    blocked_entities,
    check_waiting,
    ended_at,
    is_over,
    positions_are_at_the_end,
    states,
    waiting_jobs,
)

__all__ = ["blocking_calls_fail"]


@in_virtual_time
async def test_a_scheduled_job_does_not_hold_its_entity_and_runs_once_it_is_due() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    due = cluster.clock.now() + 5_000_000
    later = cluster.submit("effect", "N1", not_before=due)
    now = cluster.submit("effect", "N1")
    await cluster.until(lambda: is_over(cluster))
    assert ended_at(cluster.outcome(now)) < due <= ended_at(cluster.outcome(later))
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_scheduled_job_takes_the_place_of_its_record_when_it_is_due() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    due = cluster.clock.now() + 5_000_000
    first = cluster.submit("effect", "N1", not_before=due)
    cluster.submit("long", "N1", b"10")
    behind = cluster.submit("effect", "N1")
    await cluster.until(lambda: is_over(cluster))
    assert ended_at(cluster.outcome(first)) <= ended_at(cluster.outcome(behind))
    number = {effect.job: effect.number for effect in effects(cluster)}
    assert number[first] < number[behind]
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("type_", ["effect", "nothing"])
async def test_a_schedule_that_falls_due_does_not_go_before_what_was_spilled(type_: str) -> None:
    cluster = MemoryCluster(waiting_jobs(), look_ahead=LookAhead(jobs=40))
    hot = [cluster.submit("long", "hot", b"0.2") for _ in range(250)]
    due = cluster.clock.now() + 20_000_000
    last = cluster.submit(type_, "hot", not_before=due)
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    ends = [ended_at(cluster.outcome(job)) for job in (*hot, last)]
    assert ends == sorted(ends)
    await worker.stopped()
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
async def test_a_schedule_that_falls_due_at_a_new_owner_waits_for_its_entitys_retry() -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start()
    head = cluster.submit("flaky", "N1", b"3")
    due = cluster.clock.now() + 1_000_000
    behind = cluster.submit("nothing", "N1", not_before=due)
    await cluster.until(lambda: states(cluster) == ["r", "s"])
    await first.stopped()
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    assert ended_at(cluster.outcome(head)) <= ended_at(cluster.outcome(behind))
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_schedule_falls_due_while_its_entity_waits_for_a_retry() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    flaky = cluster.submit("flaky", "N1", b"3")
    later = cluster.submit("effect", "N1", not_before=cluster.clock.now() + 1_000_000)
    more = [cluster.submit("effect", "N1") for _ in range(3)]
    await cluster.until(lambda: is_over(cluster))
    ends = [ended_at(cluster.outcome(job)) for job in (flaky, later, *more)]
    assert ends == sorted(ends)
    await worker.stopped()
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_that_failed_for_good_blocks_its_entity_and_no_other() -> None:
    cluster = MemoryCluster(waiting_jobs())
    dead = cluster.submit("blocks", "stuck")
    behind = [cluster.submit("nothing", "stuck", lane=Priority.LOW) for _ in range(3)]
    other = cluster.submit("effect", "free")
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    late = cluster.submit("nothing", "stuck", lane=Priority.CRITICAL)
    await cluster.clock.sleep(30)
    assert list(blocked_entities(cluster).values()) == [dead]
    assert cluster.database.ledger[dead, 1].ending is Ending.FAILED
    assert cluster.database.ledger[other, 1].ending is Ending.COMPLETE
    assert not {(job, 1) for job in (*behind, late)} & cluster.database.ledger.keys()
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_blocked_entity_stays_blocked_when_the_record_of_its_dead_job_comes_again() -> None:
    cluster = MemoryCluster(waiting_jobs())
    dead = cluster.submit("blocks", "stuck")
    gate = Gate("ownership.advance")
    first = cluster.start(gate)
    await cluster.until(lambda: blocked_entities(cluster))
    first.kill()
    again = cluster.submit("blocks", "stuck", job=dead)
    behind = [cluster.submit("nothing", "stuck"), cluster.submit("effect", "stuck")]
    second = cluster.start()
    await cluster.until(lambda: positions_are_at_the_end(cluster))
    await cluster.clock.sleep(30)
    assert again == dead
    assert list(blocked_entities(cluster).values()) == [dead]
    assert not {(job, 1) for job in behind} & cluster.database.ledger.keys()
    await second.stopped()
    assert second.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
async def test_an_entity_is_blocked_although_the_databases_answer_was_lost() -> None:
    cluster = MemoryCluster(waiting_jobs())
    dead = cluster.submit("blocks", "stuck", attempts=1)
    behind = [cluster.submit("nothing", "stuck"), cluster.submit("effect", "stuck")]
    lost = [Fault("the connection broke")]

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        return lost.pop() if lost and name == "waiting_room.record" else None

    worker = cluster.start(hook)
    await cluster.until(lambda: is_over(cluster))
    assert list(blocked_entities(cluster).values()) == [dead]
    assert not {(job, 1) for job in behind} & cluster.database.ledger.keys()
    await worker.stopped()
    assert not lost
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
async def test_a_hot_entity_comes_back_in_order_and_its_more_urgent_jobs_first() -> None:
    cluster = MemoryCluster(waiting_jobs(), look_ahead=LookAhead(jobs=40))
    hot = [cluster.submit("long", "hot", b"0.2") for _ in range(300)]
    other = cluster.submit("effect", "other")
    worker = cluster.start()
    await cluster.clock.sleep(3)
    assert "q" in states(cluster)
    assert (other, 1) in cluster.database.ledger
    urgent = cluster.submit("effect", "hot", lane=Priority.HIGH)
    await cluster.until(lambda: (urgent, 1) in cluster.database.ledger, within=5)
    await cluster.until(lambda: is_over(cluster))
    ends = [ended_at(cluster.outcome(job)) for job in hot]
    assert ends == sorted(ends)
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("moment", [0.5, 2.0, 7.0, 21.0, 40.0])
async def test_a_hot_entity_that_is_taken_over_keeps_its_order(moment: float) -> None:
    cluster = MemoryCluster(waiting_jobs(), look_ahead=LookAhead(jobs=40))
    hot = [
        cluster.submit("flaky" if number in (3, 35, 60, 150) else "long", "hot", b"1")
        for number in range(60)
    ]
    hot += [cluster.submit("effect", "hot") for _ in range(100)]
    first = cluster.start()
    await cluster.clock.sleep(moment)
    first.kill()
    cluster.submit("effect", "hot", lane=Priority.CRITICAL)
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    ends = [ended_at(cluster.outcome(job)) for job in hot]
    assert ends == sorted(ends)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("type_", ["long", "sleeps"])
async def test_a_long_job_lets_its_partition_go_on_but_not_its_entity(type_: str) -> None:
    jobs, clock = waiting_jobs(), loop_of_the_test().clock

    @jobs.handler("sleeps")
    async def sleeps(request: Request[float]) -> None:
        await request.connection()
        await clock.sleep(request.payload)

    cluster = MemoryCluster(jobs)
    long = cluster.submit(type_, "N1", b"45")
    urgent = cluster.submit("effect", "N1", lane=Priority.CRITICAL)
    worker = cluster.start()
    await cluster.clock.sleep(25)
    behind = cluster.submit("effect", "N1")
    await cluster.until(lambda: "u" in states(cluster))
    late = cluster.submit("effect", "N1", lane=Priority.CRITICAL)
    await cluster.until(lambda: positions_are_at_the_end(cluster), within=5)
    assert (long, 1) not in cluster.database.ledger
    await cluster.until(lambda: is_over(cluster))
    assert urgent is not None
    ends = [ended_at(cluster.outcome(job)) for job in (long, late, behind)]
    assert ends == sorted(ends)
    await worker.stopped()
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("tick", range(-6, 7))
@pytest.mark.parametrize("type_", ["long", "quiet", "fails late"])
async def test_a_long_job_may_end_at_the_moment_its_row_is_written(tick: int, type_: str) -> None:
    jobs, clock = waiting_jobs(), loop_of_the_test().clock

    @jobs.handler("quiet")
    async def quiet(request: Request[float]) -> None:
        await clock.sleep(request.payload)

    @jobs.handler("fails late", retry=Retry(attempts=2, wait=wait_fixed(1)))
    async def fails_late(request: Request[float]) -> None:
        await request.connection()
        await clock.sleep(request.payload)
        raise RuntimeError("late")

    cluster = MemoryCluster(jobs)
    cluster.submit(type_, "N1", str(30 + tick * 0.01).encode())
    cluster.submit("effect", "N1")
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_whose_handler_nobody_registers_fails_after_the_grace_period() -> None:
    cluster = MemoryCluster(waiting_jobs(), grace=60)
    worker = cluster.start()
    missing, behind = cluster.submit("missing", "N1"), cluster.submit("effect", "N1")
    await cluster.clock.sleep(50)
    assert (missing, 1) not in cluster.database.ledger
    await cluster.until(lambda: is_over(cluster))
    end = cluster.outcome(missing).end
    assert end is not None
    assert end.at >= cluster.acked[0].record.submitted_at + 60_000_000
    assert getattr(end, "reason", None) is Reason.HANDLER_MISSING
    assert (behind, 1) in cluster.database.ledger
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_that_waits_for_its_handler_runs_once_there_is_one() -> None:
    jobs = waiting_jobs()
    cluster = MemoryCluster(jobs, grace=3600)
    worker = cluster.start()
    job = cluster.submit("missing", "N1")
    await cluster.until(lambda: states(cluster) == ["h"])

    async def registered(_: Request[Any]) -> None: ...

    jobs.register("missing", registered)
    await cluster.until(lambda: is_over(cluster), within=5)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_partition_that_comes_back_knows_nothing_of_its_earlier_spell() -> None:
    jobs, clock = waiting_jobs(), loop_of_the_test().clock

    @jobs.handler("slow", retry=Retry(attempts=2, wait=wait_fixed(1)))
    async def slow(request: Request[Any]) -> None:
        await request.connection()
        if request.attempt == 1:
            await clock.sleep(3)
            raise RuntimeError("once more")

    cluster = MemoryCluster(jobs)
    entity = partition_of_entity(cluster, 1)
    first = cluster.start()
    job = cluster.submit("slow", entity)
    await cluster.until(lambda: first.runtime.dispatcher.running)
    second = cluster.start()
    await cluster.until(lambda: second.owned() == {1})
    await cluster.until(lambda: (job, 1) in cluster.database.ledger)
    await second.stopped()
    await cluster.until(lambda: first.owned() == {0, 1})
    behind = cluster.submit("effect", entity)
    await cluster.until(lambda: is_over(cluster), within=30)
    assert (behind, 1) in cluster.database.ledger
    await first.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_death_that_blocks_is_told_by_the_next_owner_if_its_worker_died_with_it() -> None:
    cluster = MemoryCluster(waiting_jobs())
    dying: list[Member] = []

    async def dies_with_the_second_record(name: str) -> BaseException | None:
        if name == "waiting_room.record" and states(cluster) == ["r"]:
            return dying[0].die_in_a_call()
        return await onward(name)

    dying.append(cluster.member(dies_with_the_second_record))
    dying[0].start()
    job = cluster.submit("blocks", "N1")
    await cluster.until(lambda: dying[0].dead)
    assert states(cluster) == ["b"]
    assert cluster.job_failed() == []
    heir = cluster.start()
    await cluster.until(cluster.job_failed)
    assert cluster.body(job) in cluster.bodies(job)
    told = len(cluster.bodies(job))
    await cluster.clock.sleep(120)
    assert len(cluster.bodies(job)) == told, "once is enough"
    await heir.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_whom_a_death_left_without_a_head_comes_back_at_once_however_many_they_are() -> None:
    cluster = MemoryCluster(waiting_jobs())
    nothing_is_loaded = Gate("waiting_room.queues")
    first = cluster.start(nothing_is_loaded)
    for number in range(450):
        cluster.submit("flaky", f"N{number}", b"1")
    await cluster.until(lambda: states(cluster) == ["r"] * 450)
    for number in range(450):
        cluster.submit("nothing", f"N{number}")
    await cluster.until(lambda: states(cluster) == ["q"] * 450)
    first.kill()
    second = cluster.start()
    await cluster.until(lambda: second.owned() == {0, 1})
    await cluster.until(lambda: is_over(cluster), within=8)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_what_stands_behind_a_head_that_a_new_owner_found_comes_with_its_end() -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start()
    head = cluster.submit("flaky", "N1", b"3")
    await cluster.until(lambda: states(cluster) == ["r"])
    behind = cluster.submit("nothing", "N1")
    await cluster.until(lambda: states(cluster) == ["q", "r"])
    await cluster.until(lambda: positions_are_at_the_end(cluster))
    first.kill()
    second = cluster.start()
    await cluster.until(lambda: second.owned() == {0, 1})
    await cluster.until(lambda: (head, 1) in cluster.database.ledger)
    await cluster.until(lambda: (behind, 1) in cluster.database.ledger, within=1)
    await cluster.until(lambda: is_over(cluster))
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize(
    ("type_", "not_before"), [("effect", 3_600_000_000), ("unheard-of", None)], ids=str
)
async def test_a_lane_that_waiting_jobs_have_filled_is_read_on_once_rows_carry_them(
    type_: str, not_before: int | None
) -> None:
    cluster = MemoryCluster(
        waiting_jobs(), partitions=1, look_ahead=LookAhead(jobs=40), grace=3_600.0
    )
    later = None if not_before is None else cluster.clock.now() + not_before
    for number in range(200):
        cluster.submit(type_, f"N{number}", not_before=later)
    worker = cluster.start()
    await cluster.until(lambda: len(cluster.database.waiting) == 200)
    other = cluster.submit("effect", "other")
    await cluster.until(lambda: (other, 1) in cluster.database.ledger)
    await worker.stopped()


@in_virtual_time
async def test_a_hot_entity_keeps_no_lane_full_however_little_is_read_ahead() -> None:
    cluster = MemoryCluster(waiting_jobs(), partitions=1, look_ahead=LookAhead(jobs=40))
    worker = cluster.start()
    running = cluster.submit("long", "hot", b"20")
    for _ in range(60):
        cluster.submit("effect", "hot")
    await cluster.until(lambda: "q" in states(cluster))
    other = cluster.submit("effect", "cold")
    await cluster.until(lambda: (other, 1) in cluster.database.ledger)
    assert (running, 1) not in cluster.database.ledger
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_what_would_only_be_written_down_stays_in_the_log_while_every_slot_has_work() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    entities = [f"N{number}" for number in range(40)]
    for entity in entities:
        cluster.submit("flaky", entity, b"1")
    await cluster.until(lambda: states(cluster) == ["r"] * 40)
    for entity in entities * 5:
        cluster.submit("long", entity, b"1")
    await cluster.until(lambda: len(states(cluster)) == 240)
    most = 0
    for _ in range(200):
        for entity in entities[:10]:
            cluster.submit("nothing", entity)
        await cluster.clock.sleep(0.1)
        most = max(most, len(states(cluster)))
    assert most < 500, "of two thousand that came meanwhile"
    await cluster.until(lambda: is_over(cluster), within=300)
    await worker.stopped()
    check_waiting(cluster)
