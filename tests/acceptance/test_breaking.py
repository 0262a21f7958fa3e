"""A service answers 503: does its type hold itself, say so, and go on by itself when that is over?

On the real stack.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tenacity import wait_fixed

from processor import Breaker, BreakerChanged, Client, JobId, Jobs, Request, Retry, Submission
from processor.domain.explanation import Cause, Explanation
from tests.commands import Commands
from tests.inside import told, working

pytestmark = pytest.mark.timeout(240)

JOBS, SLOTS, ATTEMPTS = 60, 4, 3
BREAKER = Breaker(run=5, wait=2.0, longest=2.0)


class Payments:
    """A service, and the handler that calls it."""

    def __init__(self) -> None:
        self.answers = 503
        self.calls: Counter[JobId] = Counter()
        self.answering = asyncio.Event()
        self.answering.set()
        self.jobs = Jobs()
        retry = Retry(attempts=ATTEMPTS, wait=wait_fixed(0.2))
        self.jobs.register("pay", self.pay, retry=retry, breaker=BREAKER)
        self.jobs.register("rest", self.rest)

    async def pay(self, request: Request[None]) -> None:
        self.calls[request.job_id] += 1
        await self.answering.wait()
        if self.answers != 200:
            raise ConnectionError(f"the payment service answers {self.answers}")

    async def rest(self, request: Request[None]) -> None:
        """Return at once."""


async def explained(client: Client, jobs: list[JobId], said: str) -> Explanation:
    """The explanation of one of the jobs, as soon as it names a hold and says that."""
    async with asyncio.timeout(60):
        while True:
            for job in jobs:
                found = await client.explain(job)
                if found.cause is Cause.HELD and said in found.sentence:
                    return found
            await asyncio.sleep(0.05)  # nobody tells


async def letters(ready: Commands) -> int:
    (seen,) = await told(ready, "overview")
    return sum(group["letters"] for group in seen["dead_letters"])


async def seen_holds(ready: Commands) -> list[dict[str, Any]]:
    (seen,) = await told(ready, "overview")
    held: list[dict[str, Any]] = seen["held"]
    return held


async def test_a_type_holds_itself_while_its_service_is_away_and_goes_on_with_no_command(
    ready: Commands,
) -> None:
    payments = Payments()
    settings = replace(ready.settings, slots=SLOTS, release="7")
    async with working(settings, payments.jobs) as client:
        jobs = await client.submit([Submission("pay") for _ in range(JOBS)])
        found = await explained(client, jobs[-5:], "the next probe may start at ")
        assert found.sentence.startswith(
            "type pay is held for workers of release 7 until a probe succeeds, since "
        )
        assert "by the breaker: 5 jobs failed one after the other, the last with Conn" in (
            found.sentence
        )
        assert (found.details["by"], found.details["release"]) == ("the breaker", "7")
        (hold,) = await seen_holds(ready)
        assert (hold["value"], hold["by"], hold["release"]) == ("pay", "the breaker", "7")
        # Another type goes on; and of this one no more failed than those that ran.
        await client.result(await client.submit(Submission("rest")), timeout=60)
        assert len(payments.calls) <= BREAKER.run + SLOTS + hold["failed_probes"] + 1

        payments.answering.clear()
        found = await explained(client, jobs[-5:], "; a probe runs at worker ")
        assert found.details["probe_by"] is not None
        assert await letters(ready) == 0

        payments.answers = 200
        payments.answering.set()
        for job in jobs:
            await client.result(job, timeout=60)
        assert await seen_holds(ready) == []
        assert await letters(ready) == 0
        async with client.events.subscribe(BreakerChanged, group="desk") as news:
            opened, closed = await anext(news), await anext(news)
        assert (opened.state, closed.state) == ("open", "closed")
        assert opened.hold == closed.hold == found.details["hold"]
        assert (closed.type, closed.by, closed.because) == (
            "pay",
            "the breaker",
            "a probe succeeded",
        )
