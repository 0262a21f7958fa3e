"""Do retries follow their policy, and does their entity keep its order meanwhile?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from tenacity import (
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_type,
    wait_chain,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)
from tenacity.wait import WaitBaseT

from processor import (
    JobId,
    Jobs,
    JobStatus,
    Priority,
    Reject,
    Request,
    Retry,
    State,
    Submission,
    TryAgain,
)
from processor.domain.events import Completed, Failed, Reason, Retrying, Started
from processor.domain.ids import dead_letter_id
from tests.commands import Commands
from tests.together import Together, events, together

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

SECOND = 1_000_000
POLICIES: dict[str, tuple[WaitBaseT, list[tuple[float, float]]]] = {
    "at once": (wait_none(), [(0, 0)] * 3),
    "fixed": (wait_fixed(0.1), [(0.1, 0.1)] * 3),
    "random": (wait_random(0.05, 0.2), [(0.05, 0.2)] * 3),
    "incrementing": (wait_incrementing(0.05, 0.1), [(0.05, 0.05), (0.15, 0.15), (0.25, 0.25)]),
    "exponential": (
        wait_exponential(multiplier=0.05, max=0.15),
        [(0.05, 0.05), (0.1, 0.1), (0.15, 0.15)],
    ),
    "full jitter": (
        wait_random_exponential(multiplier=0.05, max=0.15),
        [(0, 0.05), (0, 0.1), (0, 0.15)],
    ),
    "jitter": (
        wait_exponential_jitter(multiplier=0.05, max=0.5, jitter=0.02),
        [(0.05, 0.07), (0.1, 0.12), (0.2, 0.22)],
    ),
    "one after the other": (
        wait_chain(wait_fixed(0.05), wait_fixed(0.1)),
        [(0.05, 0.05), (0.1, 0.1), (0.1, 0.1)],
    ),
    "sum": (wait_fixed(0.1) + wait_random(0, 0.05), [(0.1, 0.15)] * 3),
}
"""Each of tenacity's own strategies, with the bounds in seconds of the waits after each attempt."""
FAST = wait_fixed(0.05)


class Application:
    """Handlers that fail as often as they are told, and say in which order their work was done."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.is_open = asyncio.Event()
        self.done: list[JobId] = []
        for name, (wait, _) in POLICIES.items():
            self.jobs.register(name, self.fails, retry=Retry(attempts=4, wait=wait))
        again = Retry(attempts=4, wait=FAST)
        self.jobs.register("flaky", self.fails, retry=again)
        self.jobs.register("patient", self.waits_for_the_gate, retry=Retry(attempts=1))
        self.jobs.register("rejects", self.rejects, retry=again)
        self.jobs.register("asks for time", self.asks_for_time, retry=again)
        block = Retry(attempts=2, wait=FAST, on_exhausted="block")
        self.jobs.register("blocks", self.blocks, retry=block)
        for name, on in (
            ("only for lost", retry_if_exception_type(ConnectionError)),
            ("not for values", retry_if_not_exception_type(ValueError)),
            ("for what it says", retry_if_exception_message(match="lost")),
        ):
            self.jobs.register(name, self.raises, retry=Retry(attempts=3, wait=FAST, on=on))

    async def fails(self, request: Request[int]) -> int:
        """Fail so many times, then work."""
        if request.attempt <= request.payload:
            raise RuntimeError(f"attempt {request.attempt} of {request.cluster.run} runs")
        self.done.append(request.job_id)
        return request.attempt

    async def waits_for_the_gate(self, request: Request[None]) -> None:
        if not self.is_open.is_set():
            raise TryAgain(0.1)
        self.done.append(request.job_id)

    async def rejects(self, request: Request[int]) -> None:
        if request.attempt < request.payload:
            raise RuntimeError("not yet")
        raise Reject("no such tail number")

    async def asks_for_time(self, request: Request[None]) -> int:
        if request.cluster.run == 1:
            raise TryAgain(timedelta(seconds=0.1), "the gate is closed")
        if request.cluster.run in (2, 4):
            raise RuntimeError(f"run {request.cluster.run}")
        if request.cluster.run == 3:
            raise TryAgain(0.05)
        return request.attempt

    async def blocks(self, request: Request[None]) -> None:
        if not self.is_open.is_set():
            raise RuntimeError("the gate is closed")
        self.done.append(request.job_id)

    async def raises(self, request: Request[str]) -> None:
        raise ConnectionError("lost") if request.payload == "lost" else ValueError("wrong")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_run: Commands) -> AsyncIterator[tuple[Together, Application]]:
    application = Application()
    async with together(shared_run.settings, application.jobs) as of:
        yield of, application


@pytest_asyncio.fixture(loop_scope="module")
async def of(shared: tuple[Together, Application]) -> Together:
    return shared[0]


@pytest_asyncio.fixture(loop_scope="module")
async def application(shared: tuple[Together, Application]) -> AsyncIterator[Application]:
    """As new: the gate is closed, nothing is done. What waits for the gate must be over after."""
    shared[1].is_open.clear()
    shared[1].done.clear()
    yield shared[1]
    await shared[0].waiting(0)


async def submit(of: Together, type_: str, payload: object = None, **fields: Any) -> JobId:  # noqa: ANN401 - any field
    return await of.client.submit(Submission(type_, payload, **fields))


def kinds(status: JobStatus) -> list[type]:
    return [type(event) for event in events(status)]


def waits(status: JobStatus) -> list[int]:
    """How long each next attempt was put off, in microseconds; no attempt began too early."""
    history = events(status)
    for before, after in pairwise(history):
        if isinstance(before, Retrying):
            assert isinstance(after, Started)
            assert after.at >= before.due_at >= before.at
    return [event.due_at - event.at for event in history if isinstance(event, Retrying)]


def errors(status: JobStatus) -> list[str]:
    return [one.error.message for one in events(status) if isinstance(one, Retrying | Failed)]


async def test_retries_follow_the_policy_with_attempts_errors_and_due_times_in_the_history(
    of: Together,
) -> None:
    jobs = {name: await submit(of, name, 9) for name in POLICIES}
    for name, job in jobs.items():
        status = await of.ended(job)
        assert (status.state, status.attempts) == (State.FAILED, 4), name
        assert kinds(status) == [Started, Retrying] * 3 + [Started, Failed], name
        history = events(status)
        assert [one.attempt for one in history] == [1, 1, 2, 2, 3, 3, 4, 4], name
        assert [one.run for one in history if isinstance(one, Started)] == [1, 2, 3, 4], name
        assert errors(status) == [f"attempt {n} of {n} runs" for n in (1, 2, 3, 4)], name
        bounds = POLICIES[name][1]
        for wait, (least, most) in zip(waits(status), bounds, strict=True):
            assert least * SECOND - 1 <= wait <= most * SECOND + 1, name
        letter = (await of.letter(job)).died
        assert [(one.attempt, one.error.message) for one in letter.errors] == [
            (n, f"attempt {n} of {n} runs") for n in (1, 2, 3, 4)
        ]
        assert [one.at for one in letter.errors] == [
            one.at for one in history if isinstance(one, Retrying | Failed)
        ]


async def test_a_submissions_own_attempts_go_before_the_policys(of: Together) -> None:
    one, more = await submit(of, "flaky", 9, attempts=1), await submit(of, "flaky", 5, attempts=6)
    assert kinds(await of.ended(one)) == [Started, Failed]
    status = await of.ended(more)
    assert kinds(status) == [Started, Retrying] * 5 + [Started, Completed]
    assert (status.attempts, await of.client.result(more)) == (6, 6)


@pytest.mark.parametrize(
    ("type_", "payload", "attempts"),
    [
        ("only for lost", "lost", 3),
        ("only for lost", "wrong", 1),
        ("not for values", "lost", 3),
        ("not for values", "wrong", 1),
        ("for what it says", "lost", 3),
        ("for what it says", "wrong", 1),
    ],
)
async def test_only_the_exceptions_that_the_policy_names_are_followed_by_another_attempt(
    of: Together, type_: str, payload: str, attempts: int
) -> None:
    status = await of.ended(await submit(of, type_, payload))
    assert (status.state, status.attempts) == (State.FAILED, attempts)


async def test_try_again_comes_after_its_time_and_is_no_attempt(of: Together) -> None:
    job = await submit(of, "asks for time")
    status = await of.ended(job)
    assert kinds(status) == [Started, Retrying] * 4 + [Started, Completed]
    started = [one for one in events(status) if isinstance(one, Started)]
    assert [(one.attempt, one.run) for one in started] == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert waits(status) == [SECOND // 10, *[SECOND // 20] * 3]
    reasons = [one.error.reason for one in events(status) if isinstance(one, Retrying)]
    assert reasons == [Reason.TRY_AGAIN, Reason.HANDLER_FAILED] * 2
    assert errors(status)[0] == "the gate is closed"
    assert await of.client.result(job) == 3


@pytest.mark.parametrize("attempt", [1, 3])
async def test_a_reject_ends_the_job_with_its_reason_whatever_attempts_are_left(
    of: Together, attempt: int
) -> None:
    job = await submit(of, "rejects", attempt)
    status = await of.ended(job)
    assert kinds(status) == [Started, Retrying] * (attempt - 1) + [Started, Failed]
    assert (status.current.reason, errors(status)[-1]) == (Reason.REJECTED, "no such tail number")
    letter = (await of.letter(job)).died
    assert (letter.reason, len(letter.errors)) == (Reason.REJECTED, attempt)


async def test_order_per_entity_survives_retries_in_all_four_lanes(
    of: Together, application: Application
) -> None:
    lines: dict[tuple[str, Priority], list[JobId]] = defaultdict(list)
    jobs = [
        Submission("flaky", number % 3, entity=entity, priority=lane)
        for number in range(5)
        for lane in reversed(Priority)
        for entity in ("one lane " + lane.name, "all lanes")
    ]
    for one, job in zip(jobs, await of.client.submit(jobs), strict=True):
        assert one.entity is not None
        assert one.priority is not None
        lines[one.entity, one.priority].append(job)
    statuses = {job: await of.ended(job) for line in lines.values() for job in line}
    assert {status.state for status in statuses.values()} == {State.COMPLETE}
    for line in lines.values():
        assert [job for job in application.done if job in line] == line
    spells: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for status in statuses.values():
        history = events(status)
        spells[status.entity].append((history[0].at, history[-1].at))
    for of_entity in spells.values():
        for (_, ended), (started, _) in pairwise(sorted(of_entity)):
            assert ended <= started, "a job between its attempts was overtaken"


async def test_what_waits_behind_a_retrying_job_goes_by_lane_and_then_in_the_logs_order(
    of: Together, application: Application
) -> None:
    head = await submit(of, "patient", entity="held")
    await of.waiting(1)
    lanes = [*reversed(Priority), *reversed(Priority)]
    behind = {
        await submit(of, "flaky", number % 2, entity="held", priority=lane): (lane, number)
        for number, lane in enumerate(lanes)
    }
    other = await submit(of, "flaky", 0, entity="free")
    await of.ended(other)
    await of.waiting(1 + len(behind))
    application.is_open.set()
    for job in behind:
        await of.ended(job)
    assert application.done == [other, head, *sorted(behind, key=lambda job: behind[job])]


@pytest.mark.parametrize("ends_it", ["replay", "discard"])
async def test_a_job_that_blocks_keeps_its_entity_until_it_is_replayed_or_discarded(
    of: Together, application: Application, ends_it: str
) -> None:
    dead = await submit(of, "blocks", entity=ends_it)
    assert kinds(await of.ended(dead)) == [Started, Retrying, Started, Failed]
    behind = [
        await submit(of, "flaky", 1, entity=ends_it, priority=lane) for lane in reversed(Priority)
    ]
    others = [await submit(of, "flaky", 1, entity=f"beside {ends_it}") for _ in range(3)]
    for job in others:
        await of.ended(job)
    await of.waiting(1 + len(behind))
    assert application.done == others
    assert {(await of.client.status(job)).state for job in behind} == {State.QUEUED}
    application.is_open.set()
    letter = dead_letter_id(dead, 1)
    if ends_it == "replay":
        await of.client.replay(letter, by="ada", because="the gate is open")
    else:
        await of.client.discard(letter, by="ada", because="it never opens")
    for job in behind:
        await of.ended(job)
    first = [dead] if ends_it == "replay" else []
    assert application.done == [*others, *first, *reversed(behind)]
    status = await of.ended(dead, 2 if ends_it == "replay" else 1)
    assert status.state is (State.COMPLETE if ends_it == "replay" else State.FAILED)
