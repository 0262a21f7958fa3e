"""Does a job go the straight line, whatever kind its handler is?"""

from __future__ import annotations

import threading
from typing import Any

from processor.domain.events import Completed, Started
from processor.domain.limits import TEXT_BYTES
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.domain.submission import Caller
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.invariants import check, recording, submit_a_mixture

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


@in_virtual_time
async def test_a_handler_that_never_touches_the_database_is_flushed_with_others() -> None:
    jobs = Jobs()

    @jobs.handler("echo")
    async def echo(request: Request[str]) -> str:
        return request.payload

    cluster = MemoryCluster(jobs)
    ids = [cluster.submit("echo", payload=b'"x"') for _ in range(20)]
    worker = cluster.start()
    await cluster.settled()
    assert all(cluster.database.ledger[job, 1].ending is Ending.COMPLETE for job in ids)
    assert all(cluster.bodies(job) == [cluster.body(job)] for job in ids)
    assert worker.calls.count("ledger.flush") < 20
    assert "transactions.begin" not in worker.calls


@in_virtual_time
async def test_a_def_handler_runs_in_a_thread_beside_the_loop() -> None:
    jobs = Jobs()
    threads: set[int] = set()

    @jobs.handler("square")
    def square(request: Request[int]) -> int:
        threads.add(threading.get_ident())
        return request.payload**2

    cluster = MemoryCluster(jobs)
    job = cluster.submit("square", payload=b"7")
    cluster.start()
    await cluster.settled()
    completed = cluster.outcome(job).events[-1]
    assert isinstance(completed, Completed)
    assert completed.result == b"49"
    assert threads
    assert threading.get_ident() not in threads


@in_virtual_time
async def test_a_request_tells_who_asked_and_where_it_runs() -> None:
    jobs = Jobs()
    seen: list[Request[Any]] = []

    @jobs.handler("look")
    async def look(request: Request[Any]) -> None:
        seen.append(request)

    cluster = MemoryCluster(jobs)
    caller = Caller(user="ann", request_id="r-1")
    batch = cluster.an_id()
    job = cluster.submit(
        "look", "N1", b"{}", Priority.LOW, tenant="acme", caller=caller, batch=batch
    )
    worker = cluster.start()
    await cluster.settled()
    (request,) = seen
    assert (request.job_id, request.type, request.entity) == (job, "look", "N1")
    assert (request.tenant, request.caller, request.batch_id) == ("acme", caller, batch)
    assert request.idempotency_key == f"{job}-1"
    assert (request.cluster.worker, request.cluster.lane) == (worker.runtime.name, Priority.LOW)
    assert (request.attempt, request.cluster.run, request.cluster.generation) == (1, 1, 1)
    outcome = cluster.outcome(job)
    assert (outcome.batch, outcome.request_id, outcome.tenant) == (batch, "r-1", "acme")


@in_virtual_time
async def test_a_long_job_shows_that_it_runs_and_how_far_it_is() -> None:
    jobs = Jobs()
    clock = loop_of_the_test().clock

    @jobs.handler("long")
    async def long(request: Request[Any]) -> None:
        await clock.sleep(1)
        await request.progress(50, "half")
        await clock.sleep(3)

    @jobs.handler("short")
    async def short(request: Request[Any]) -> None:
        await clock.sleep(0.1)

    cluster = MemoryCluster(jobs)
    job, brief = cluster.submit("long"), cluster.submit("short")
    cluster.start()
    await cluster.settled()
    started, progressed = cluster.lives(job)
    assert started.progress is None
    assert progressed.progress is not None
    assert (progressed.progress.percent, progressed.progress.note) == (50, "half")
    assert started.started == progressed.started == cluster.outcome(job).events[0]
    assert cluster.lives(brief) == []


@in_virtual_time
async def test_progress_that_is_no_number_is_the_handlers_own_error() -> None:
    jobs = Jobs()
    clock = loop_of_the_test().clock

    @jobs.handler("vague", retry=Retry(attempts=1))
    async def vague(request: Request[Any]) -> None:
        await request.progress("half")  # type: ignore[arg-type]
        await clock.sleep(2)

    @jobs.handler("talkative", retry=Retry(attempts=1))
    async def talkative(request: Request[Any]) -> None:
        await request.progress(1, "\ud800" + "ü" * 100_000)
        await clock.sleep(2)

    cluster = MemoryCluster(jobs)
    job, other = cluster.submit("vague"), cluster.submit("talkative")
    cluster.start()
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.FAILED
    assert cluster.database.ledger[other, 1].ending is Ending.COMPLETE
    told = cluster.lives(other)[-1].progress
    assert told is not None
    assert told.note.startswith("?ü")
    assert len(told.note.encode()) <= TEXT_BYTES


@in_virtual_time
async def test_two_workers_share_the_partitions_and_each_entity_has_one_of_them() -> None:
    jobs = recording()
    cluster = MemoryCluster(jobs, partitions=4)
    submit_a_mixture(cluster, entities=12)
    first, second = cluster.start(), cluster.start()
    await cluster.settled()
    assert (first.owned(), second.owned()) == ({0, 1}, {2, 3})
    check(cluster)
