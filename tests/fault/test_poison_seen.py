"""Who hears of a job that killed its workers?"""

from __future__ import annotations

from processor.domain.events import Reason
from processor.domain.ids import dead_letter_id
from processor.domain.job import State
from processor.testing.naming import CODEC
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from tests.poison_in_memory import Supervisor, is_calm, poisoned_jobs, reason_of
from tests.telemetry import Collected


@in_virtual_time
async def test_a_job_that_killed_its_workers_is_told_as_any_other_failure() -> None:
    cluster, collected = OperatedCluster(poisoned_jobs()), Collected()
    cluster.metrics = collected.metrics
    job = cluster.submit("poison", "bad")
    line = Supervisor(cluster)
    await line.until(lambda: reason_of(cluster, job) and is_calm(cluster))
    await line.stopped()
    assert collected.total("job.failures_total", reason="WorkerLost", type="poison") == 1
    (told,) = {CODEC.decode_job_failed(body) for body in cluster.job_failed()}
    assert (told.job, told.reason, told.attempts) == (job, Reason.WORKER_LOST, 0)
    status = await cluster.status(job)
    assert status.state is State.FAILED
    assert status.current.error is not None
    assert status.current.error.message.startswith("3 workers died, each while running this job")
    letter = await cluster.projections.by_id(dead_letter_id(job, 1))
    assert letter is not None
    assert letter.closed is None
