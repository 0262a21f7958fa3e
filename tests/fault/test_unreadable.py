"""Does what this release cannot read stop the worker, or anybody else's jobs?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from processor.domain.events import Completed, Retrying, Started, Unknown
from processor.domain.ids import JobId
from processor.domain.job import State
from processor.ports.ledger import Ending
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Gate
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail
from tests.waiting import check_waiting, is_over, positions_are_at_the_end, states, waiting_jobs

__all__ = ["blocking_calls_fail"]

OF_A_LATER_RELEASE = b"\xc3\x01" + b"later on" + b"and what it says"
SECOND = 1_000_000


def rewrite(
    cluster: MemoryCluster,
    job: JobId,
    *,
    submission: bytes | None = None,
    body: bytes | None = None,
) -> tuple[bytes, bytes | None]:
    """Put other bytes into a job's row; those that were there."""
    stands = cluster.database.waiting[job, 1]
    wait = replace(
        stands.wait,
        submission=stands.wait.submission if submission is None else submission,
        body=stands.wait.body if body is None else body,
    )
    row = replace(stands.row, body=wait.body)
    cluster.database.waiting[job, 1] = replace(stands, wait=wait, row=row)
    return stands.wait.submission, stands.wait.body


def complete(cluster: MemoryCluster, *jobs: JobId) -> bool:
    ledger = cluster.database.ledger
    return all((job, 1) in ledger and ledger[job, 1].ending is Ending.COMPLETE for job in jobs)


@in_virtual_time
async def test_a_job_whose_past_is_corrupt_goes_on_by_the_counts_of_its_row() -> None:
    cluster = OperatedCluster(waiting_jobs())
    worker = cluster.start()
    job, behind = cluster.submit("flaky", "N1", b"2"), cluster.submit("effect", "N1")
    await cluster.until(lambda: states(cluster) == ["q", "r"])
    rewrite(cluster, job, body=b"what is this")
    await cluster.until(lambda: is_over(cluster))
    assert complete(cluster, job, behind)
    kinds = [type(event) for event in cluster.outcome(job).events]
    assert kinds == [Unknown, Unknown, Started, Retrying, Started, Completed]
    status = await cluster.status(job)
    assert (status.state, status.attempts) == (State.COMPLETE, 3)
    told = [type(one.event) for one in status.history]
    assert told.count(Started) == 3, "what was published before it broke is still told"
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    await worker.stopped()


@in_virtual_time
@pytest.mark.parametrize("part", ["submission", "body"])
async def test_a_row_of_a_later_release_waits_for_it_and_says_so_once(part: str) -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start()
    job, behind = cluster.submit("flaky", "N1", b"1"), cluster.submit("effect", "N1")
    await cluster.until(lambda: states(cluster) == ["q", "r"])
    submission, body = rewrite(cluster, job, **{part: OF_A_LATER_RELEASE})
    other = cluster.submit("flaky", "N2", b"1")
    with capture_logs() as logs:
        await cluster.until(lambda: complete(cluster, other))
        await cluster.clock.sleep(30)
    said = [log for log in logs if "deploy readers first" in log["event"]]
    assert [log["job"] for log in said] == [str(job)]
    assert not {(job, 1), (behind, 1)} & cluster.database.ledger.keys()
    await first.stopped()
    rewrite(cluster, job, submission=submission, body=body)
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster), within=15)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_overdue_rows_of_a_later_release_keep_nobody_else_from_coming_back() -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start()
    due = cluster.clock.now() + 5 * SECOND
    later = [cluster.submit("nothing", f"N{number}", not_before=due) for number in range(250)]
    await cluster.until(lambda: states(cluster) == ["s"] * 250)
    as_they_were = {job: rewrite(cluster, job, submission=OF_A_LATER_RELEASE) for job in later}
    after = cluster.submit("effect", "N0", not_before=due + SECOND)
    await cluster.until(lambda: complete(cluster, after), within=15)
    assert states(cluster) == ["s"] * 250
    await first.stopped()
    for job, (submission, _) in as_they_were.items():
        rewrite(cluster, job, submission=submission)
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster), within=15)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_nothing_overtakes_a_queued_row_of_a_later_release() -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start()
    cluster.submit("flaky", "N1", b"1")
    await cluster.until(lambda: states(cluster) == ["r"])
    ones = [cluster.submit("effect", "N1") for _ in range(4)]
    await cluster.until(lambda: states(cluster) == ["q"] * 4 + ["r"])
    submission, _ = rewrite(cluster, ones[1], submission=OF_A_LATER_RELEASE)
    await cluster.until(lambda: complete(cluster, ones[0]))
    ones.append(cluster.submit("effect", "N1"))
    asked = first.calls.count("waiting_room.queues")
    await cluster.clock.sleep(60)
    assert [complete(cluster, job) for job in ones] == [True, False, False, False, False]
    assert first.calls.count("waiting_room.queues") - asked <= 10, (
        "it is not asked for all the time"
    )
    await first.stopped()
    rewrite(cluster, ones[1], submission=submission)
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster), within=30)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("bytes_", [OF_A_LATER_RELEASE, b"what is this"])
async def test_an_end_that_cannot_be_read_ends_no_worker(bytes_: bytes) -> None:
    cluster = MemoryCluster(waiting_jobs())
    first = cluster.start(Gate("ownership.advance", "ownership.release"))
    job = cluster.submit("fails", "N1")
    await cluster.until(lambda: (job, 1) in cluster.database.ledger)
    first.kill()
    end = cluster.database.ledger[job, 1]
    cluster.database.ledger[job, 1] = replace(end, body=bytes_)
    second = cluster.start()
    behind = cluster.submit("effect", "N1")
    await cluster.until(lambda: complete(cluster, behind))
    await cluster.clock.sleep(5)
    is_later = bytes_ is OF_A_LATER_RELEASE
    assert positions_are_at_the_end(cluster) is not is_later
    assert (bytes_ in cluster.published()) is not is_later
    await second.stopped()
    cluster.database.ledger[job, 1] = end
    third = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    await third.stopped()
    if is_later:
        check_waiting(cluster)
