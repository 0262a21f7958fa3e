"""Is what a hold kept let out at the rate that was asked for, in order, by all workers together?"""

from __future__ import annotations

import pytest

from processor.domain.errors import ConfigurationError
from processor.domain.ids import JobId
from processor.ports.holds import HoldKind, HoldMode
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]


@in_virtual_time
async def test_what_a_hold_kept_is_let_out_at_a_rate_by_two_workers_and_then_all_is_free() -> None:
    jobs, ran = Jobs(), list[tuple[JobId, float]]()
    cluster = OperatedCluster(jobs, 4)

    async def works(request: Request[None]) -> None:
        ran.append((request.job_id, cluster.clock.monotonic()))

    jobs.register("works", works)
    client = cluster.a_client()

    async def release(kind: HoldKind, value: str, rate: int) -> bool:
        return await client.release(kind, value, by="ada", because="why", rate=rate)

    await client.hold(HoldKind.TYPE, "works", by="ada", because="why")
    entities = [[cluster.submit("works", f"N{number}") for _ in range(2)] for number in range(30)]
    cluster.start()
    cluster.start()
    await cluster.until(lambda: len(cluster.database.waiting) == 60)
    with pytest.raises(ConfigurationError, match="a rate is 1 job a second or more"):
        await release(HoldKind.TYPE, "works", 0)
    with pytest.raises(ConfigurationError, match="a lane is released at once"):
        await release(HoldKind.LANE, "low", 5)
    began = cluster.clock.monotonic()
    assert await release(HoldKind.TYPE, "works", 5)
    (hold,) = await client.holds()
    assert (hold.mode, hold.rate) == (HoldMode.RELEASING, 5)
    await cluster.until(lambda: len(ran) >= 10)
    anew = cluster.submit("works", "fresh")
    await cluster.until(lambda: len(ran) == 61, within=300)
    heads = {pair[0] for pair in entities}
    times = [at - began for job, at in ran if job in heads]
    # 30 rows at 5 a second, each worker in steps of a second with what it may at once
    assert 4.0 <= max(times) <= 9.0
    for pair in entities:
        assert [job for job, _ in ran if job in pair] == pair
    assert anew in {job for job, _ in ran}
    await cluster.until(lambda: not cluster.database.holds)
    await cluster.settled()
