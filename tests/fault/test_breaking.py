"""Does a type that fails hold itself, and go on by itself when it works again?

Real workers over the memory adapters, in virtual time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tenacity import wait_fixed

from processor.adapters.event_kinds import EventKinds
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.step import onward
from processor.domain.breaker import Breaker, BreakerChanged, BreakerState
from processor.domain.errors import Reject
from processor.domain.ids import JobId
from processor.domain.retry import Retry
from processor.ports.holds import Hold, HoldKind
from processor.ports.ledger import Ending, Fault
from processor.ports.log import Place
from processor.runtime import probing
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member
from processor.testing.naming import CODEC, TOPICS
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

SLOTS = 4
RUN = 5
WAIT = 10.0
BREAKER = Breaker(run=RUN, wait=WAIT, longest=40.0)


@dataclass
class Service:
    """What the handlers of `pay` call, and who called it; those of `rest` need nothing."""

    works: bool = True
    calls: Counter[JobId] = field(default_factory=Counter)
    at: list[float] = field(default_factory=list)
    error: type[Exception] = ConnectionError

    def jobs(self, breaker: Breaker | None = BREAKER, retry: Retry | None = None) -> Jobs:
        """Handlers that call it."""
        jobs = Jobs()

        async def pay(request: Request[Any]) -> None:
            self.calls[request.job_id] += 1
            if not self.works:
                raise self.error("503 Service Unavailable")

        async def rest(request: Request[Any]) -> None: ...

        jobs.register(
            "pay", pay, retry=retry or Retry(attempts=3, wait=wait_fixed(1)), breaker=breaker
        )
        jobs.register("rest", rest, breaker=breaker)
        return jobs


def made(
    service: Service, breaker: Breaker | None = BREAKER, retry: Retry | None = None
) -> MemoryCluster:
    return MemoryCluster(service.jobs(breaker, retry), slots=SLOTS)


def submitted(cluster: MemoryCluster, count: int, type_: str = "pay") -> list[JobId]:
    return [cluster.submit(type_, f"{type_} {number}") for number in range(count)]


def held(cluster: MemoryCluster) -> list[Hold]:
    return [hold for hold in cluster.database.holds.values() if hold.is_breakers]


def dead(cluster: MemoryCluster) -> int:
    return sum(row.ending is Ending.FAILED for row in cluster.database.ledger.values())


def all_complete(cluster: MemoryCluster) -> bool:
    endings = {row.ending for row in cluster.database.ledger.values()}
    return endings == {Ending.COMPLETE} and len(cluster.database.ledger) == len(cluster.acked)


def news(cluster: MemoryCluster) -> list[BreakerChanged]:
    """What subscribers are told."""
    kinds = EventKinds(TOPICS, cluster.partitions, CODEC)
    decode = kinds.decoder(BreakerChanged)
    found = [
        decode(record.value or b"")
        for number in range(cluster.partitions)
        for record in cluster.topics.partitions[Place(TOPICS.breakers, number)].records
    ]
    return sorted(found, key=lambda one: one.at)


def of_release(cluster: MemoryCluster, release: str, jobs: Jobs | None = None) -> Member:
    member = cluster.member(jobs=jobs, release=release)
    member.start()
    return member


@in_virtual_time
async def test_a_service_that_is_down_costs_no_dead_letter_and_all_go_on_when_it_is_back() -> None:
    service = Service(works=False)
    cluster = made(service)
    worker = cluster.start()
    jobs = submitted(cluster, 60)
    others = submitted(cluster, 5, "rest")
    await cluster.until(lambda: held(cluster))
    await cluster.until(lambda: all((job, 1) in cluster.database.ledger for job in others))
    await cluster.clock.sleep(3)
    called = sum(service.calls.values())
    assert called <= RUN + SLOTS, "no more fail than those that ran when it was decided"
    hold = held(cluster)[0]
    assert hold.why.startswith("5 jobs failed one after the other, the last with ConnectionError")
    await cluster.until(lambda: held(cluster)[0].failed_probes == 4)
    assert cluster.clock.now() >= hold.since + 110_000_000, "after 10, 20, 40 and 40 seconds"
    assert sum(service.calls.values()) == called + 4
    assert dead(cluster) == 0
    service.works = True
    await cluster.until(lambda: all_complete(cluster))
    assert held(cluster) == []
    assert set(jobs) <= service.calls.keys()
    await worker.stopped()
    opened, closed = news(cluster)
    assert (opened.state, closed.state) == (BreakerState.OPEN, BreakerState.CLOSED)
    assert (opened.type, opened.hold) == (closed.type, closed.hold) == ("pay", hold.id)
    assert closed.because == "a probe succeeded"
    assert opened.event_id != closed.event_id


@in_virtual_time
async def test_dead_letters_of_what_is_never_tried_again_stay_below_the_limit() -> None:
    service = Service(works=False, error=Reject)
    cluster = made(service)
    worker = cluster.start()
    submitted(cluster, 200)
    await cluster.until(lambda: held(cluster))
    await cluster.clock.sleep(WAIT - 2)
    assert RUN <= dead(cluster) <= RUN + SLOTS
    await worker.stopped()


@in_virtual_time
async def test_without_its_breaker_a_type_fails_to_the_last_job() -> None:
    service = Service(works=False)
    cluster = made(service, breaker=None)
    worker = cluster.start()
    submitted(cluster, 40)
    await cluster.until(lambda: dead(cluster) == 40)
    assert not cluster.database.holds
    await worker.stopped()


@in_virtual_time
async def test_payloads_that_do_not_fit_count_as_failures() -> None:
    jobs = Jobs()

    @jobs.handler("strict", breaker=BREAKER)
    async def strict(request: Request[int]) -> None: ...

    cluster = MemoryCluster(jobs, slots=SLOTS)
    worker = cluster.start()
    for number in range(50):
        cluster.submit("strict", f"N{number}", b'"no number"')
    await cluster.until(lambda: held(cluster))
    assert held(cluster)[0].why.endswith("the last with ParseError")
    await cluster.clock.sleep(WAIT - 2)
    assert dead(cluster) <= RUN + SLOTS
    await worker.stopped()


@in_virtual_time
async def test_one_job_that_fails_again_and_again_does_not_hold_its_type() -> None:
    service = Service(works=False)
    cluster = made(service, retry=Retry(attempts=3 * RUN, wait=wait_fixed(1)))
    worker = cluster.start()
    (job,) = submitted(cluster, 1)
    await cluster.until(lambda: dead(cluster) == 1)
    assert service.calls[job] == 3 * RUN
    assert not cluster.database.holds
    await worker.stopped()


@in_virtual_time
async def test_a_bad_release_stops_itself_and_the_workers_of_the_old_one_go_on() -> None:
    bad, good = Service(works=False), Service()
    cluster = made(good)
    old = of_release(cluster, "old")
    new = of_release(cluster, "new", bad.jobs())
    await cluster.until(lambda: old.owned() and new.owned())
    submitted(cluster, 60)
    await cluster.until(lambda: held(cluster))
    (hold,) = held(cluster)
    assert hold.release == "new"
    kept = [one for one in cluster.acked if one.partition in new.owned()]
    free = [one for one in cluster.acked if one.partition in old.owned()]
    assert kept
    await cluster.until(lambda: all((one.job, 1) in cluster.database.ledger for one in free))
    # Rolled back: whoever takes over runs what the bad release kept, and its hold is ended.
    await new.stopped()
    await cluster.until(lambda: len(cluster.database.ledger) == len(cluster.acked))
    await cluster.until(lambda: not held(cluster))
    assert dead(cluster) == 0
    await old.stopped()
    assert news(cluster)[-1].because == "no worker of its release is left"


@in_virtual_time
async def test_of_many_workers_one_probes_at_a_time() -> None:
    service = Service(works=False)
    cluster = MemoryCluster(service.jobs(), 4, slots=SLOTS)
    workers = [cluster.start() for _ in range(3)]
    await cluster.until(lambda: all(worker.owned() for worker in workers))
    submitted(cluster, 80)
    await cluster.until(lambda: held(cluster))
    await cluster.clock.sleep(5)
    called = sum(service.calls.values())
    assert called <= len(workers) * (RUN + SLOTS)
    await cluster.clock.sleep(80)
    assert sum(service.calls.values()) - called == held(cluster)[0].failed_probes
    assert held(cluster)[0].failed_probes in (2, 3)
    service.works = True
    await cluster.until(lambda: all_complete(cluster))
    for worker in workers:
        await worker.stopped()


@in_virtual_time
async def test_a_worker_that_dies_while_it_probes_only_delays_the_next_probe() -> None:
    service = Service(works=False)
    jobs = service.jobs()
    pay = jobs.find("pay")
    assert pay is not None
    dying: list[Member] = []

    async def dies(request: Request[Any]) -> None:
        if dying:
            dying.pop().kill()
        service.calls[request.job_id] += 1
        if not service.works:
            raise ConnectionError

    jobs.register("pay", dies, retry=pay.retry, breaker=BREAKER)
    cluster = MemoryCluster(jobs, slots=SLOTS)
    first = cluster.start()
    submitted(cluster, 20)
    await cluster.until(lambda: held(cluster))
    dying.append(first)
    await cluster.until(lambda: not dying)
    assert held(cluster)[0].probe_by == first.id
    service.works = True
    second = cluster.start()
    await cluster.until(lambda: all_complete(cluster), within=60 + probing.LEASE)
    await second.stopped()


@in_virtual_time
async def test_a_job_that_arrives_is_the_probe_where_none_waits() -> None:
    service = Service(works=False, error=Reject)
    cluster = made(service)
    worker = cluster.start()
    submitted(cluster, RUN)
    await cluster.until(lambda: held(cluster))
    await cluster.clock.sleep(5 * WAIT)
    assert held(cluster)[0].failed_probes == 0
    service.works = True
    (job,) = submitted(cluster, 1)
    await cluster.until(lambda: not held(cluster), within=5)
    assert (job, 1) in cluster.database.ledger
    await worker.stopped()


@in_virtual_time
async def test_while_an_operator_holds_the_type_nothing_is_probed() -> None:
    service = Service(works=False)
    cluster = made(service)
    worker = cluster.start()
    submitted(cluster, 20)
    await cluster.until(lambda: held(cluster))
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "pay", "ann", "let it rest")
    await cluster.clock.sleep(5)
    called = sum(service.calls.values())
    await cluster.clock.sleep(10 * WAIT)
    assert sum(service.calls.values()) == called
    service.works = True
    # An operator's release of the type ends the breaker's hold too.
    await holds.release((HoldKind.TYPE, "pay"), "ann", "it has rested")
    await cluster.until(lambda: all_complete(cluster))
    await cluster.until(lambda: len(news(cluster)) == 2)
    assert [one.by for one in news(cluster)] == ["the breaker", "ann"]
    await worker.stopped()


@in_virtual_time
async def test_what_another_hold_kept_is_probed_once_the_breakers_alone_is_left() -> None:
    service = Service(works=False, error=Reject)
    cluster = made(service)
    worker = cluster.start()
    submitted(cluster, RUN)
    await cluster.until(lambda: held(cluster))
    holds = MemoryHolds(cluster.database)
    operators = await holds.hold(HoldKind.TYPE, "pay", "ann", "let it rest")
    await cluster.clock.sleep(2)
    job = cluster.submit("pay", "another")
    await cluster.until(lambda: cluster.database.waiting)
    assert [row.hold for row in cluster.database.waiting.values()] == [operators.id]
    service.works = True
    await holds.release(operators.id, "ann", "it has rested")
    await cluster.until(lambda: (job, 1) in cluster.database.ledger, within=3 * WAIT)
    await cluster.until(lambda: not held(cluster), within=5)
    await worker.stopped()


@in_virtual_time
async def test_a_database_that_does_not_answer_delays_the_hold_and_nothing_slips_through() -> None:
    service, refused = Service(works=False), [0]

    async def hook(name: str) -> BaseException | None:
        if name == "holds.trip" and refused[0] < 5:
            refused[0] += 1
            raise Fault("the connection was reset")
        return await onward(name)

    cluster = made(service)
    worker = cluster.start(hook)
    submitted(cluster, 60)
    await cluster.until(lambda: held(cluster))
    assert refused == [5]
    await cluster.clock.sleep(3)
    assert sum(service.calls.values()) <= RUN + SLOTS
    service.works = True
    await cluster.until(lambda: all_complete(cluster))
    await worker.stopped()


@in_virtual_time
async def test_who_dies_before_subscribers_are_told_leaves_it_to_others() -> None:
    service = Service(works=False)
    cluster = made(service)
    first = cluster.member()

    async def hook(name: str) -> BaseException | None:
        if name == "holds.untold" and held(cluster):
            first.kill()
        return await onward(name)

    first = cluster.member(hook)
    first.start()
    submitted(cluster, 20)
    await cluster.until(lambda: first.dead)
    assert news(cluster) == []
    second = cluster.start()
    await cluster.until(lambda: news(cluster))
    assert [one.state for one in news(cluster)] == [BreakerState.OPEN]
    await second.stopped()
