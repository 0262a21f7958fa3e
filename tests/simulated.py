"""Which handlers does our own simulation run, and what must they have written?"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator
from typing import Any, Final, cast

from tenacity import wait_fixed

from processor.domain.breaker import Breaker
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Ending
from processor.runtime.handlers import Handler, Jobs, Mode
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.member import this_process
from processor.testing.operated import OperatedCluster
from processor.testing.simulation.plan import Act, Chances, Plan
from processor.testing.simulation.running import Simulation
from processor.testing.virtual_time import loop_of_the_test
from tests.invariants import WRITING, effects
from tests.waiting import HAVE_EFFECTS, waiting_jobs

PAYLOADS: Final = {
    "flaky": 2,
    "patient": 1,
    "long": 0.7,
    "parent": 1,
    "needs_a_number": "no number",
}
CALM: Final = (Act.START, Act.STOP, Act.REJOIN, Act.SLOW, Act.COPY, Act.HOLD, Act.CANCEL)
"""After which no handler that was called need be called again."""
TYPES: Final = (
    "effect", "effect", "nothing", "stumbles", "fails", "rejects", "flaky", "patient", "blocks",
    "long", "parent", "needs_a_number", "missing", "poison", "moody", "frail", "whim", "large",
    "calls", "picky",
)  # fmt: skip
GROUPED: Final = ("effect", "stumbles", "fails", "flaky", "parent", "poison")
"""Whose jobs share transactions."""


RECORD_BYTES: Final = 128 * 1024
"""More than this the log does not take, so that a handler can easily return too much (H10)."""
EAGER: Final = Breaker(run=3, ratio=0.5, of=8, wait=0.5, longest=2.0)
"""Opens where a few jobs fail, so that runs of few jobs have breakers that open and close."""
HEALED_AT: Final = 16.0
"""Seconds into a run from which on the world outside is not ill any more."""
CALL_OUTSIDE: Final = frozenset({"nothing", "calls"})
HAVE_AN_EFFECT: Final = WRITING | {*HAVE_EFFECTS, "moody", "whim"}


class Witnessed(Jobs):
    """Handlers whose every call is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.called: Counter[tuple[JobId, int]] = Counter()
        """By job and generation."""
        self.unheard: list[str] = []
        """Calls by workers that their coordinator had not heard for a whole session."""

    def witness(self, handler: Handler[Any], transaction: Mode) -> None:
        """Register a handler, with a witness of its calls."""

        @functools.wraps(handler.function)
        async def witnessed(request: Request[Any]) -> object:
            self.called[request.job_id, request.cluster.generation] += 1
            member = this_process()
            if member.membership.heartbeat_age() > member.cluster.manner.times.session:
                self.unheard.append(f"{member.name} began {request.job_id} long unheard (H7)")
            return await cast("Awaitable[object]", handler.function(request))

        self.register(
            handler.type,
            witnessed,
            retry=handler.retry,
            timeout=handler.timeout,
            transaction=transaction,
            breaker=EAGER,
        )


def ill(at: float, seconds: int) -> bool:
    """Whether the world outside is ill then: for so many of eight seconds, until it is healed."""
    return at < HEALED_AT and int(at) % 8 < seconds


def register_what_calls_outside(jobs: Jobs) -> None:
    """Handlers of a world that is ill now and then: another attempt fares otherwise."""
    clock = loop_of_the_test().clock

    async def calls(_: Request[Any]) -> None:
        await clock.sleep(1.0)

    async def frail(request: Request[Any]) -> None:
        await calls(request)
        if ill(clock.monotonic(), 5):
            raise ConnectionError("nothing was written")

    async def moody(request: Request[Any]) -> None:
        await calls(request)
        await take_effect(jobs, request)
        if ill(clock.monotonic(), 5):
            raise ConnectionError("not now")

    async def whim(request: Request[Any]) -> None:
        await take_effect(jobs, request)
        if ill(clock.monotonic(), 3):
            raise ConnectionError("never again")

    often = Retry(attempts=20, wait=wait_fixed(3))
    jobs.register("calls", calls)
    jobs.register("frail", frail, retry=often)
    jobs.register("moody", moody, retry=often)
    jobs.register("whim", whim, retry=Retry(attempts=1))


async def take_effect(jobs: Jobs, request: Request[Any]) -> None:
    """Write what `effect` writes."""
    write = jobs.find("effect")
    assert write is not None
    await cast("Awaitable[object]", write(request))


def simulated_jobs() -> Jobs:
    """The handlers that wait, and those that submit, return too much, or kill their worker."""
    jobs = waiting_jobs()

    @jobs.handler("parent", retry=Retry(attempts=3, wait=wait_fixed(2)))
    async def parent(request: Request[int]) -> None:
        request.submit(Submission("nothing", request.attempt, entity="child"))
        connection = await request.connection()
        await connection.put(("parent", request.job_id), request.attempt)
        if request.attempt <= request.payload:
            raise RuntimeError("not yet")

    @jobs.handler("picky", retry=Retry(attempts=20, wait=wait_fixed(3)))
    async def picky(request: Request[Any]) -> None:
        clock = loop_of_the_test().clock
        await clock.sleep(0.7)
        await request.connection()
        if this_process().name != "worker-0" and ill(clock.monotonic(), 8):
            raise ConnectionError("only the first worker is let in at first")

    @jobs.handler("large", retry=Retry(attempts=2))
    async def large(request: Request[Any]) -> str:
        await take_effect(jobs, request)
        return "x" * RECORD_BYTES

    @jobs.handler("poison", retry=Retry(attempts=2))
    async def poison(request: Request[Any]) -> None:
        connection = await request.connection()
        await connection.put(("poison", request.job_id), 1)
        raise this_process().die_in_a_call()

    register_what_calls_outside(jobs)
    witnessed = Witnessed()
    for type_ in jobs:
        handler = jobs.find(type_)
        assert handler is not None
        witnessed.witness(handler, "grouped" if type_ in GROUPED else "own")
    return witnessed


def wrong_effects(cluster: OperatedCluster, plan: Plan) -> Iterator[str]:
    """1, 2, 6: once, if and only if the job is complete, in the order of the log."""
    assert isinstance(cluster.jobs, Witnessed)
    yield from cluster.jobs.unheard
    if all(step.act in CALM for step in plan.steps) and not any(
        one.record.type == "poison" for one in cluster.acked
    ):
        yield from _called_again(cluster)
    written = effects(cluster)
    for job, times in Counter(effect.job for effect in written).items():
        if times > 1:
            yield f"1: {job} took effect {times} times"
    types = {acked.job: acked.record.type for acked in cluster.acked}
    rows = cluster.database.ledger.items()
    complete = {job for (job, _), row in rows if row.ending is Ending.COMPLETE}
    expected = {job for job in complete if types.get(job) in HAVE_AN_EFFECT}
    for job in expected ^ {effect.job for effect in written}:
        yield f"2: {job} is complete without its effect, or the other way round"
    yield from _out_of_order(cluster)


def _called_again(cluster: OperatedCluster) -> Iterator[str]:
    """A handler without a transaction is called again only after a death, a cut or a fault."""
    assert isinstance(cluster.jobs, Witnessed)
    types = {acked.job: acked.record.type for acked in cluster.acked}
    for (job, generation), times in cluster.jobs.called.items():
        if times > 1 and types.get(job) in CALL_OUTSIDE:
            yield f"H28, H33: the handler of {job} g{generation} was called {times} times"


def _out_of_order(cluster: OperatedCluster) -> Iterator[str]:
    number = {effect.job: effect.number for effect in effects(cluster)}
    again = {job for job, generation in cluster.database.ledger if generation > 1}
    late = {acked.job for acked in cluster.acked if acked.record.not_before}
    lines: dict[tuple[str, Priority], list[Any]] = defaultdict(list)
    for acked in sorted(cluster.acked, key=lambda one: one.offset):
        if acked.job in number and acked.job not in again | late:
            lines[acked.record.entity, acked.lane].append(number[acked.job])
    for line, numbers in lines.items():
        if numbers != sorted(numbers):
            yield f"6: {line} took effect in the order {numbers}"


SIMULATION: Final = Simulation(
    simulated_jobs,
    Chances(TYPES),
    PAYLOADS,
    patience=900.0,  # a job that kills its workers takes half a minute to be convicted
    effects=wrong_effects,
    record_bytes=RECORD_BYTES,
)
