"""Is every promise kept when a worker dies at any of its calls while jobs wait?

As in `test_runtime_death`, with what waits: retries, a schedule, a block, an entity that spills.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from processor.runtime.fetching import LookAhead
from processor.runtime.recording import UNTOLD_FOR
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member
from processor.testing.virtual_time import play
from tests.blocking import blocking_calls_fail
from tests.fault.test_runtime_death import At, fault_of
from tests.proofs import Record
from tests.waiting import check_waiting, is_over, submit_what_waits, waiting_jobs

__all__ = ["blocking_calls_fail"]

SAMPLE = 97
"""Every so manieth call is tried by default; all of them with `-m long`."""
QUIET = UNTOLD_FOR + 3.0
"""Seconds after the end in which nothing more may happen, but that a death is told."""


def a_cluster() -> MemoryCluster:
    cluster = MemoryCluster(waiting_jobs(), look_ahead=LookAhead(jobs=40))
    submit_what_waits(cluster)
    return cluster


async def finished(cluster: MemoryCluster, *workers: Member) -> None:
    await cluster.until(lambda: is_over(cluster), within=180)
    await cluster.clock.sleep(QUIET)
    for worker in workers:
        await worker.stopped()
    check_waiting(cluster)


def calls_of_an_undisturbed_run() -> list[str]:
    names: list[str] = []

    async def scenario() -> None:
        cluster = a_cluster()
        worker = cluster.start()
        await cluster.until(lambda: is_over(cluster))
        names.extend(worker.calls)
        await finished(cluster, worker)

    play(scenario())
    return names


def calls(sampled: bool, record_property: Record) -> Sequence[int]:  # noqa: FBT001 - of the test
    every = len(calls_of_an_undisturbed_run())
    assert every > 300
    tried = range(0, every, SAMPLE) if sampled else range(every)
    record_property("runs", len(tried))
    return tried


async def die_and_go_on(call: int, *, after: bool, beside: bool) -> None:
    cluster = a_cluster()
    victim: list[Member] = []
    hook = At(call, lambda _: victim[0].die_in_a_call(), after=after)
    victim.append(cluster.member(hook))
    victim[0].start()
    heir = cluster.start() if beside else None
    await cluster.until(lambda: victim[0].dead or is_over(cluster))
    heir = heir or cluster.start()
    await finished(cluster, heir)


def broken(name: str) -> BaseException | None:
    if name.startswith(("waiting_room.", "holds.")):
        return fault_of("ledger." + name)
    return fault_of(name)


async def fail_and_go_on(call: int, *, after: bool) -> None:
    cluster = a_cluster()
    worker = cluster.start(At(call, broken, after=after))
    await finished(cluster, worker)


LONG = (pytest.mark.long, pytest.mark.timeout(1_800))
SAMPLED = pytest.mark.parametrize(
    "sampled",
    [pytest.param(True, id="sample"), pytest.param(False, id="all", marks=LONG)],
)
WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def test_what_waits_comes_back_in_an_undisturbed_run() -> None:
    names = calls_of_an_undisturbed_run()
    assert {"waiting_room.record", "waiting_room.enqueue", "waiting_room.queues"} <= set(names)


@SAMPLED
@WHEN
@pytest.mark.parametrize("beside", [False, True], ids=["successor", "beside"])
def test_a_worker_may_die_at_any_call_while_jobs_wait(
    after: bool,  # noqa: FBT001
    beside: bool,  # noqa: FBT001
    sampled: bool,  # noqa: FBT001
    record_property: Record,
) -> None:
    for call in calls(sampled, record_property):
        play(die_and_go_on(call, after=after, beside=beside))


@SAMPLED
@WHEN
def test_any_call_may_fail_while_jobs_wait(
    after: bool,  # noqa: FBT001
    sampled: bool,  # noqa: FBT001
    record_property: Record,
) -> None:
    for call in calls(sampled, record_property):
        play(fail_and_go_on(call, after=after))
