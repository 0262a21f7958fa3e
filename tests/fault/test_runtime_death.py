"""Is every promise kept when a worker dies at any of its calls, or any call of it fails?

One scenario is run over and over: each time one call of a port is the worker's last, before its
effect or after it, or fails in one of these two ways; then another worker, or the same, goes on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest

from processor.ports.ledger import Fault
from processor.ports.log import LogFailure
from processor.runtime.handlers import Jobs
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member
from processor.testing.virtual_time import loop_of_the_test, play
from tests.blocking import blocking_calls_fail
from tests.invariants import check, recording, submit_a_mixture
from tests.proofs import Record

__all__ = ["blocking_calls_fail"]

SAMPLE = 12
"""Every so manieth call is tried by default; all of them with `-m long`."""
DATABASE = ("ledger.", "ownership.", "workers.", "suspects.", "transactions.", "transaction.")


class At:
    """Steps in at the k-th call of a worker, counted from 0; every call takes some time.

    So positions are written, and others go on, while a job is anywhere on its way.
    """

    def __init__(
        self, call: int, act: Callable[[str], BaseException | None], *, after: bool
    ) -> None:
        self._call = call
        self._act = act
        self._after = after
        self._calls = itertools.count()
        self._clock = loop_of_the_test().clock
        self._chance = random.Random(3)

    async def __call__(self, name: str) -> BaseException | None:
        await self._clock.sleep(self._chance.choice((0, 0, 0.005, 0.02, 0.1)))
        if next(self._calls) != self._call:
            return None
        error = self._act(name)
        if error is not None and not self._after:
            raise error
        return error


def a_mixture(jobs: Jobs | None = None, entities: int = 3) -> MemoryCluster:
    """A cluster with jobs of every kind."""
    cluster = MemoryCluster(jobs or recording())
    submit_a_mixture(cluster, entities)
    return cluster


def calls_of_an_undisturbed_run(made: Callable[[], MemoryCluster] = a_mixture) -> list[str]:
    names: list[str] = []

    async def scenario() -> None:
        cluster = made()
        worker = cluster.start(At(-1, lambda _: None, after=False))
        await cluster.settled()
        names.extend(worker.calls)
        await worker.stopped()
        check(cluster)

    play(scenario())
    return names


def calls(sampled: bool, record_property: Record) -> Sequence[int]:  # noqa: FBT001 - of the test
    every = len(calls_of_an_undisturbed_run())
    assert every > 100
    tried = range(0, every, SAMPLE) if sampled else range(every)
    record_property("runs", len(tried))
    return tried


async def die_and_go_on(
    call: int,
    *,
    after: bool,
    beside: bool,
    made: Callable[[], MemoryCluster] = a_mixture,
) -> None:
    cluster = made()
    victim: list[Member] = []
    hook = At(call, lambda _: victim[0].die_in_a_call(), after=after)
    victim.append(cluster.member(hook))
    victim[0].start()
    heir = cluster.start() if beside else None
    await cluster.until(lambda: victim[0].dead or cluster.at_the_end())
    heir = heir or cluster.start()
    submit_a_mixture(cluster, len({one.record.entity for one in cluster.acked}))
    await cluster.settled()
    await heir.stopped()
    check(cluster)


def fault_of(name: str) -> BaseException | None:
    if name == "transaction.rollback":  # it never raises, says its port
        return None
    if name.startswith(DATABASE):
        return Fault("the connection broke")
    return LogFailure("the broker is away") if name == "log.append" else None


async def fail_and_go_on(
    call: int, *, after: bool, made: Callable[[], MemoryCluster] = a_mixture
) -> None:
    cluster = made()
    hook = At(call, fault_of, after=after)
    worker = cluster.start(hook)
    await cluster.settled()
    await worker.stopped()
    check(cluster)


LONG = (pytest.mark.long, pytest.mark.timeout(1_800))
SAMPLED = pytest.mark.parametrize(
    "sampled",
    [pytest.param(True, id="sample"), pytest.param(False, id="all", marks=LONG)],
)
WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def test_an_undisturbed_run_keeps_every_promise() -> None:
    assert len(calls_of_an_undisturbed_run()) > 100


@SAMPLED
@WHEN
@pytest.mark.parametrize("beside", [False, True], ids=["successor", "beside"])
def test_a_worker_may_die_at_any_call(
    after: bool,  # noqa: FBT001
    beside: bool,  # noqa: FBT001
    sampled: bool,  # noqa: FBT001
    record_property: Record,
) -> None:
    for call in calls(sampled, record_property):
        play(die_and_go_on(call, after=after, beside=beside))


@SAMPLED
@WHEN
def test_any_call_may_fail(
    after: bool,  # noqa: FBT001
    sampled: bool,  # noqa: FBT001
    record_property: Record,
) -> None:
    for call in calls(sampled, record_property):
        play(fail_and_go_on(call, after=after))
