"""What does it cost a job to be counted, measured and traced?

`python -m tests.benchmarks.observing` prints nanoseconds per job, without and with the SDK.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from processor.adapters.clock import SystemClock
from processor.adapters.histograms import record_all
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.domain.topics import Topics
from processor.ports.ledger import Ending
from processor.ports.log import Place
from processor.runtime.dispatcher import BURST
from processor.runtime.observing import Observer
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing
from tests.telemetry import Collected

JOBS = 50_000
ROUNDS = 5
TIME = 1_800_000_000_000_000
RECORD = SubmissionRecord(JobId(UUID(int=1)), "flight.landed", b"{}", "N123", Priority.HIGH, TIME)
PLACE = Place("jobs.high", 3)


def attempt(observer: Observer) -> Callable[[], None]:
    delivery: Any = SimpleNamespace(
        record=RECORD,
        lane=Priority.HIGH,
        partition=SimpleNamespace(number=3),
        offset=1,
        events=(),
        runs=0,
        faults=0,
        returned=0,
        running=None,
        cancelled=False,
    )
    runs = count(1)

    def one() -> None:
        span, _ = observer.begin(delivery)
        run: Any = SimpleNamespace(
            delivery=delivery, at=TIME, attempt=1, number=1, called=False, span=span, last=None
        )
        observer.called(run)
        observer.end(run)
        observer.settled(delivery, Ending.COMPLETE)
        if next(runs) % BURST == 0:
            observer.tell()

    return one


def nothing() -> Callable[[], None]:
    def one() -> None:
        SimpleNamespace(delivery=None, started=None, called=False, span=None, last=None)

    return one


def submission(tracing: Tracing) -> Callable[[], None]:
    def one() -> None:
        if tracing.on:
            span, _ = tracing.send(RECORD, PLACE, remote=False)
            assert span is not None
            tracing.sent(span, 1)

    return one


def nanoseconds(work: Callable[[], None], jobs: int = JOBS) -> float:
    def round_() -> float:
        began = time.process_time_ns()
        for _ in range(jobs):
            work()
        return (time.process_time_ns() - began) / jobs

    return min(contextvars.Context().run(round_) for _ in range(ROUNDS))


async def main() -> None:
    made = nanoseconds(nothing())
    for name, metrics, tracing in (
        ("without an SDK", MetricsService(), Tracing()),
        (
            "with metrics collected",
            MetricsService(provider=Collected().meters, record_all=record_all),
            Tracing(),
        ),
        (
            "with metrics and spans",
            MetricsService(provider=Collected().meters, record_all=record_all),
            Collected().tracing(),
        ),
    ):
        jobs = 2_000 if tracing.on else JOBS
        observer = Observer(Topics(), SystemClock(), metrics, tracing)
        per_attempt = nanoseconds(attempt(observer), jobs) - made
        per_submission = nanoseconds(submission(tracing), jobs)
        print(f"{name:24} {per_attempt:9,.0f} ns an attempt, {per_submission:9,.0f} a submission")  # noqa: T201 - what it is for


if __name__ == "__main__":
    asyncio.run(main())
