"""Does a job that runs long go on in its row, whatever breaks meanwhile?"""

from __future__ import annotations

import pytest

from processor.adapters.memory.step import onward
from processor.domain.priority import Priority
from processor.ports.ledger import Fault
from processor.testing.cluster import MemoryCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail
from tests.waiting import (
    check_waiting,
    ended_at,
    is_over,
    positions_are_at_the_end,
    states,
    waiting_jobs,
)

__all__ = ["blocking_calls_fail"]


@in_virtual_time
async def test_a_long_job_is_carried_although_the_databases_answer_was_lost() -> None:
    cluster = MemoryCluster(waiting_jobs())
    lost = [Fault("the connection broke")]

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        return lost.pop() if lost and name == "waiting_room.record" else None

    worker = cluster.start(hook)
    cluster.submit("long", "N1", b"60")
    await cluster.until(lambda: states(cluster) == ["u"])
    await cluster.until(lambda: positions_are_at_the_end(cluster), within=3)
    await cluster.until(lambda: is_over(cluster))
    await worker.stopped()
    assert worker.calls.count("waiting_room.record") == 2
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("moment", [29.0, 30.1, 31.0, 40.0, 44.9, 45.1])
async def test_a_long_job_whose_worker_dies_runs_again_before_all_others(moment: float) -> None:
    cluster = MemoryCluster(waiting_jobs())
    long = cluster.submit("long", "N1", b"45")
    first = cluster.start()
    await cluster.clock.sleep(1)
    behind = cluster.submit("effect", "N1", lane=Priority.LOW)
    await cluster.clock.sleep(moment - 1)
    first.kill()
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    assert ended_at(cluster.outcome(long)) <= ended_at(cluster.outcome(behind))
    await second.stopped()
    check_waiting(cluster)
