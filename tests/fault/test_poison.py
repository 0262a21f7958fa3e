"""Does a job that kills its process end, and nobody else with it?"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from processor.adapters.memory.cancelling import MemoryCancelling
from processor.adapters.memory.step import onward
from processor.domain.events import Reason
from processor.domain.ids import JobId, dead_letter_id, job_of_undecodable, partition_of
from processor.domain.priority import LANES, Priority
from processor.domain.quarantine import READ_AHEAD
from processor.ports.ledger import Ending, Entry, Fault
from processor.runtime.examining import AT_ONCE
from processor.runtime.fetching import LookAhead
from processor.runtime.keeping import Times
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member, this_process
from processor.testing.naming import TOPICS
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time, play
from projections.history import HistoryProjection
from tests.blocking import blocking_calls_fail
from tests.invariants import partition_of_entity
from tests.poison_in_memory import (
    DEADLY,
    LEAVEN,
    Supervisor,
    completed,
    is_calm,
    poisoned_jobs,
    reason_of,
)
from tests.waiting import (
    check_waiting,
    is_over,
    positions_are_at_the_end,
    states,
    submit_what_waits,
    waiting_jobs,
)

__all__ = ["blocking_calls_fail"]

LOST = Reason.WORKER_LOST
HIGH, NORMAL = Priority.HIGH, Priority.NORMAL


def a_cluster() -> MemoryCluster:
    return MemoryCluster(poisoned_jobs())


def innocents(cluster: MemoryCluster, number: int) -> list[JobId]:
    """Jobs of every lane in one partition, before and behind what is submitted in between."""
    entity = partition_of_entity(cluster, number)
    return [
        cluster.submit(type_, f"{entity}", b"null", lane)
        for lane in LANES
        for type_ in ("effect", "nothing", "effect")
    ]


async def works(worker: Member, jobs: int = 1) -> None:
    """Return when so many attempts of a worker run."""
    await worker.cluster.until(lambda: len(worker.runtime.dispatcher.running) >= jobs)


async def has_called(worker: Member, name: str) -> None:
    """Return when a worker has come to a call of that name."""
    await worker.cluster.until(lambda: name in worker.calls)


async def all_ended(cluster: MemoryCluster, line: Supervisor) -> None:
    await line.until(lambda: is_over(cluster))
    await line.until(lambda: is_calm(cluster))
    await line.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_poison_in_a_lane_ends_as_worker_lost_and_its_neighbours_complete() -> None:
    cluster = a_cluster()
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    bad = cluster.submit("poison", "bad")
    others += [*innocents(cluster, 0), *innocents(cluster, 1), cluster.submit("effect", "bad")]
    line = Supervisor(cluster)
    await all_ended(cluster, line)
    assert reason_of(cluster, bad) is LOST
    assert completed(cluster, *others)
    assert line.deaths == 5


@in_virtual_time
async def test_two_suspects_in_two_partitions_end_and_the_innocents_beside_them_complete() -> None:
    cluster = a_cluster()
    bad, others = [], []
    for number in range(cluster.partitions):
        others += innocents(cluster, number)
        bad.append(cluster.submit("poison", partition_of_entity(cluster, number), lane=HIGH))
        others += innocents(cluster, number)
    line = Supervisor(cluster, workers=2)
    await all_ended(cluster, line)
    assert [reason_of(cluster, one) for one in bad] == [LOST, LOST]
    assert completed(cluster, *others)


@in_virtual_time
async def test_poison_from_the_waiting_room_ends_as_worker_lost() -> None:
    cluster = a_cluster()
    bad = cluster.submit("again", "bad")
    behind = [cluster.submit("effect", "bad") for _ in range(3)]
    later = cluster.submit("poison", "later", not_before=cluster.clock.now() + 3_000_000)
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    line = Supervisor(cluster)
    await all_ended(cluster, line)
    assert [reason_of(cluster, one) for one in (bad, later)] == [LOST, LOST]
    assert completed(cluster, *behind, *others)
    assert [type(event).__name__ for event in cluster.outcome(bad).events] == [
        "Started",
        "Retrying",
        "Failed",
    ]


@in_virtual_time
async def test_poison_that_kills_after_its_partition_went_on_ends_as_worker_lost() -> None:
    cluster = a_cluster()
    bad = cluster.submit("late", "bad", b"40")
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    line = Supervisor(cluster)
    await all_ended(cluster, line)
    assert reason_of(cluster, bad) is LOST
    assert completed(cluster, *others)


@in_virtual_time
async def test_poison_that_kills_the_decoder_ends_by_its_bytes() -> None:
    cluster = a_cluster()
    cluster.codec = DEADLY
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    entity = partition_of_entity(cluster)
    bad = cluster.submit("nothing", entity, b'"%b"' % LEAVEN)
    place = cluster.acked.pop()
    others += [*innocents(cluster, 0), *innocents(cluster, 1)]
    line = Supervisor(cluster)
    await line.until(lambda: positions_are_at_the_end(cluster) and is_calm(cluster))
    await line.stopped()
    topic = TOPICS.lane(place.lane)
    job = job_of_undecodable(cluster.manner.cluster, topic, place.partition, place.offset)
    assert reason_of(cluster, job) is LOST
    told = cluster.outcome(job)
    assert told.submission is not None
    assert LEAVEN in told.submission
    assert (bad, 1) not in cluster.database.ledger, "nobody can know that it was this one"
    assert completed(cluster, *others)
    assert line.deaths == 5
    projection = HistoryProjection(TOPICS, cluster.partitions, DEADLY)
    for at in projection.places:
        projection.fold({at: cluster.topics.read(at, 0, 1_000)})


@in_virtual_time
async def test_poison_under_block_keeps_its_entity_until_a_replay_that_nobody_suspects() -> None:
    cluster = OperatedCluster(poisoned_jobs(), partitions=1)
    bad = cluster.submit("keeps", "bad")
    behind = cluster.submit("effect", "bad")
    cluster.submit("long", "long", b"25")  # so that it is not calm before
    line = Supervisor(cluster)
    await line.until(lambda: reason_of(cluster, bad) is LOST)
    await line.until(lambda: states(cluster) == ["b", "q"])
    assert (behind, 1) not in cluster.database.ledger
    await cluster.project()
    await cluster.operator.replay(dead_letter_id(bad, 1), "ada", "mended")
    await line.until(lambda: completed(cluster, behind), within=5)
    assert not is_calm(cluster)
    assert cluster.database.ledger[bad, 2].ending is Ending.COMPLETE
    assert line.deaths == 5
    await line.stopped()


@in_virtual_time
async def test_a_death_is_counted_however_short_the_drain_time_is() -> None:
    cluster = MemoryCluster(poisoned_jobs(), times=Times(session=6.0, drain=0.5))
    bad = cluster.submit("poison", "bad")
    line = Supervisor(cluster)
    await all_ended(cluster, line)
    assert reason_of(cluster, bad) is LOST


@in_virtual_time
async def test_an_owner_that_lives_past_the_drain_time_has_not_died() -> None:
    cluster = a_cluster()
    clock = cluster.clock

    async def stubborn(_request: Request[Any]) -> None:
        ends = clock.monotonic() + 100
        while clock.monotonic() < ends:
            with suppress(asyncio.CancelledError):
                await clock.sleep(ends - clock.monotonic())

    cluster.jobs.register("stubborn", stubborn)
    cluster.submit("stubborn", partition_of_entity(cluster, 1))
    owner = cluster.start()
    await works(owner)
    heir = cluster.start()
    await cluster.until(lambda: heir.owned() == {1})
    assert owner.runtime.dispatcher.running
    assert is_calm(cluster)
    owner.kill()
    heir.kill()


@in_virtual_time
async def test_suspects_are_decoded_before_any_of_them_runs_for_long() -> None:
    cluster = MemoryCluster(poisoned_jobs(), partitions=1)
    long = cluster.submit("long", "long", b"200")
    many = [cluster.submit("nothing") for _ in range(2 * READ_AHEAD)]

    async def slowly(name: str) -> BaseException | None:
        await cluster.clock.sleep(0.05)
        return await onward(name)

    first = cluster.start(slowly)
    await has_called(first, "log.fetch")
    first.kill()
    second = cluster.start(slowly)
    await cluster.until(lambda: cluster.database.owners[0].suspect_until)
    second.kill()
    assert cluster.database.owners[0].suspect_until == (0, 0, READ_AHEAD, 0)
    assert not cluster.database.ledger
    assert READ_AHEAD > 2 * AT_ONCE, "they are decoded in several turns"
    line = Supervisor(cluster)
    (worker,) = line.members
    await works(worker)
    (running,) = worker.runtime.dispatcher.running.values()
    assert running.record.job == long
    above = cluster.submit("nothing", "above")
    await cluster.until(lambda: completed(cluster, above, *many[READ_AHEAD:]), within=10)
    assert not completed(cluster, *many[: READ_AHEAD - 1])
    await all_ended(cluster, line)
    assert completed(cluster, *many)


@in_virtual_time
async def test_deaths_after_a_signal_to_stop_count_against_nobody() -> None:
    cluster = a_cluster()
    long = cluster.submit("late", "long", b"1000000")
    for _ in range(6):
        worker = cluster.start()
        await works(worker)
        worker.stop.set()
        await has_called(worker, "workers.leave")
        await cluster.clock.sleep(1)
        worker.kill()
    worker = cluster.start()
    await works(worker)
    assert is_calm(cluster)
    assert (long, 1) not in cluster.database.ledger
    worker.kill()


@in_virtual_time
async def test_that_a_worker_leaves_is_said_again_until_the_database_has_heard_it() -> None:
    cluster = a_cluster()
    cluster.submit("late", "long", b"1000000")
    told = 0

    async def fails_once(name: str) -> BaseException | None:
        nonlocal told
        if name == "workers.leave":
            told += 1
            if told == 1:
                raise Fault("the database is away")
        return await onward(name)

    worker = cluster.start(fails_once)
    await works(worker)
    worker.stop.set()
    await cluster.until(lambda: cluster.database.workers[worker.id].leaving)
    worker.kill()
    assert told == 2
    heir = cluster.start()
    await works(heir)
    assert is_calm(cluster)
    heir.kill()


@in_virtual_time
async def test_nothing_is_asked_about_suspects_where_nobody_died() -> None:
    cluster = MemoryCluster(waiting_jobs(), look_ahead=LookAhead(jobs=40))
    submit_what_waits(cluster)
    first = cluster.start()
    await cluster.clock.sleep(5)
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    for worker in (first, second):
        await worker.stopped()
        assert not [name for name in worker.calls if name.startswith("suspects.")]


@in_virtual_time
async def test_three_kills_from_outside_end_no_long_job_that_runs_beside() -> None:
    cluster = a_cluster()
    jobs = [cluster.submit("long", f"long-{number}", b"20") for number in range(4)]
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    for _ in range(3):
        worker = cluster.start()
        await works(worker)
        await cluster.clock.sleep(10)
        worker.kill()
    line = Supervisor(cluster)
    await all_ended(cluster, line)
    assert completed(cluster, *jobs, *others)
    assert line.deaths == 0


@in_virtual_time
async def test_a_suspect_is_alone_and_those_whom_nobody_suspects_go_on() -> None:
    cluster = a_cluster()
    long = [cluster.submit("long", f"{name}", b"60") for name in ("one", "two", "three", "four")]
    for _ in range(2):
        worker = cluster.start()
        await works(worker, 4)
        worker.kill()
    line = Supervisor(cluster)
    (worker,) = line.members
    await works(worker)
    await cluster.clock.sleep(5)
    assert len(worker.runtime.dispatcher.running) == 1
    assert len([mark for mark, _ in cluster.database.suspects.values() if mark]) == 1
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    await cluster.until(lambda: completed(cluster, *others), within=5)
    assert len(worker.runtime.dispatcher.running) == 1
    await all_ended(cluster, line)
    assert completed(cluster, *long)


@in_virtual_time
async def test_a_suspect_that_waits_for_its_turn_can_be_cancelled() -> None:
    cluster = a_cluster()
    first = cluster.submit("long", "one", b"60")
    bad = cluster.submit("poison", "bad")
    behind = cluster.submit("effect", "bad")
    line = Supervisor(cluster)
    await line.until(lambda: line.deaths == 2)
    (worker,) = line.members
    await works(worker)
    running = next(iter(worker.runtime.dispatcher.running.values()))
    assert running.record.job == first
    entry = Entry(bad, 1, partition_of("bad", cluster.partitions), NORMAL, -1, b"cancelled")
    await MemoryCancelling(cluster.database).cancel(entry)
    await line.until(lambda: completed(cluster, first, behind))
    assert line.deaths == 2
    await line.stopped()


def test_workers_may_die_at_any_call_while_poison_is_found() -> None:
    for number in range(8):
        play(die_now_and_then(number))


async def die_now_and_then(seed: int) -> None:
    """Deaths from outside, at random calls, beside poison of every kind."""
    cluster = a_cluster()
    chance = random.Random(seed)
    others = [*innocents(cluster, 0), *innocents(cluster, 1)]
    bad = [cluster.submit("poison", "bad"), cluster.submit("again", "worse")]
    others += [cluster.submit("flaky", "again", b"1"), cluster.submit("effect", "bad")]
    left = 3

    async def die(name: str) -> BaseException | None:
        nonlocal left
        await cluster.clock.sleep(chance.choice((0, 0, 0.005, 0.02)))
        if left and chance.random() < 0.01:
            left -= 1
            died = this_process().die_in_a_call()
            if chance.random() < 0.5:
                raise died
            return died
        return await onward(name)

    line = Supervisor(cluster, workers=2, hook=die)
    await all_ended(cluster, line)
    assert [reason_of(cluster, one) for one in bad] == [LOST, LOST]
    assert completed(cluster, *others)


@in_virtual_time
async def test_one_death_while_it_is_decoded_costs_a_job_that_kills_its_handler_not_its_name() -> (
    None
):
    cluster = a_cluster()
    bad = cluster.submit("poison", "bad")
    behind = cluster.submit("effect", "bad")
    lane, offset = cluster.acked[0].lane, cluster.acked[0].offset

    def ran_twice() -> bool:
        found = [suspect for _, suspect in cluster.database.suspects.values()]
        return [(one.lane, one.offset, one.deaths) for one in found] == [(lane, offset, 2)]

    async def die_decoding(name: str) -> BaseException | None:
        if ran_twice() and this_process().calls[-2:] == ["suspects.mark", "ledger.look_up"]:
            raise this_process().die_in_a_call()
        return await onward(name)

    line = Supervisor(cluster, hook=die_decoding)
    await all_ended(cluster, line)
    assert line.deaths == 5
    assert reason_of(cluster, bad) is LOST
    assert completed(cluster, behind)
