"""Does a job go the straight line, whatever kind its handler is?"""

from __future__ import annotations

from processor.domain.events import Completed, Started
from processor.domain.priority import LANES, Priority
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from tests.blocking import blocking_calls_fail
from tests.virtual_time import in_virtual_time
from tests.worlds import MemoryCluster

__all__ = ["blocking_calls_fail"]


@in_virtual_time
async def test_a_handlers_writes_its_ledger_row_and_its_outcome_are_there_together() -> None:
    jobs = Jobs()

    @jobs.handler("count")
    async def count(request: Request[int]) -> dict[str, int]:
        connection = await request.connection()
        await connection.put(request.entity, request.payload)
        return {"counted": request.payload}

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    job = cluster.submit("count", "N1", b"5", Priority.HIGH)
    await cluster.settled()
    assert cluster.database.values == {"N1": 5}
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.bodies(job) == [cluster.body(job)]
    outcome = cluster.outcome(job)
    started, completed = outcome.events
    assert isinstance(started, Started)
    assert (started.attempt, started.run, started.worker) == (1, 1, worker.runtime.name)
    assert isinstance(completed, Completed)
    assert completed.result == b'{"counted":5}'
    assert outcome.submission is None
