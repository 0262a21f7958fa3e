"""What does a bad handler come to, and does it stop its neighbours?

The README's table of bad handlers, row by row, on the real parts: each runs beside innocent jobs of
its own entity and of others in its partition, which come all the time. How long those stood still
is measured and told, never asserted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import resource
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from structlog.testing import capture_logs
from structlog.typing import EventDict

from processor import (
    JobId,
    Jobs,
    JobStatus,
    Reject,
    Request,
    Retry,
    State,
    Submission,
    TransactionMisused,
)
from processor.domain.ids import partition_of
from processor.runtime.keeping import Times
from tests.commands import Commands
from tests.together import Together, events, together

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

ONCE = Retry(attempts=1)
README = (Path(__file__).parents[2] / "README.md").read_text()
TABLES = """
CREATE TABLE effect (job uuid, note text);
CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
"""
TIME_OUT = 1.5
"""Seconds that a bad handler has: many times what its neighbours need."""
GRACE = 0.5
LAG = 0.5
BLOCKED = 1.5
FOLLOW_UPS = 5_000
LARGE = 50 * 1024 * 1024
NOBODY = "nobody"
EVERY = 0.02
"""Seconds between two innocent jobs that come by themselves."""


@dataclass(frozen=True)
class Bad:
    """A row of the README's table."""

    handler: str
    """The method below that does it."""
    does: str
    ends: str
    """Begins with how the attempt ends: its reason, or that it is complete."""
    stops: str = NOBODY
    """Who stands still meanwhile, and for how long."""
    said: str = ""
    """How the error begins."""
    meanwhile: bool = False
    """Its neighbours end between its beginning and its end."""

    @property
    def reason(self) -> str:
        (reason, *_) = re.findall(r"`(\w+)`", self.ends)
        return str(reason)

    @property
    def row(self) -> str:
        return f"| {self.does} | {self.ends} | {self.stops} |"


BAD = [
    Bad(
        "runs_out_of_memory",
        "runs out of memory and lives",
        "`HandlerFailed` (`MemoryError`)",
    ),
    Bad(
        "hangs",
        "hangs",
        "`AttemptTimeout`",
        "its entity, until its time-out",
        "the attempt took longer than",
        meanwhile=True,
    ),
    Bad(
        "swallows_its_time_out",
        "swallows the cancellation at its time-out, and returns",
        "`AttemptTimeout`, whatever it returns",
        "its entity, until it returns, at most 5 s longer",
        "the attempt took longer than",
        meanwhile=True,
    ),
    Bad(
        "swallows_it_for_ever",
        "swallows the cancellation, and goes on",
        "`AttemptTimeout`; it is left behind, and what it does through its request is refused",
        "its entity, 5 s longer than its time-out",
        "the attempt took longer than",
        meanwhile=True,
    ),
    Bad(
        "hangs_in_a_thread",
        "hangs in a thread (`def`)",
        "`AttemptTimeout`, once the thread ends: a thread cannot be stopped",
        "its entity, and a slot of its worker, until the thread ends or the worker stops",
        "the attempt took longer than",
        meanwhile=True,
    ),
    Bad(
        "blocks_the_event_loop",
        "blocks the event loop",
        "`complete`, if it returns; a line says who blocks it, and where",
        "everybody in its worker, as long as it blocks; past the session time-out others go on",
    ),
    Bad(
        "cancels_itself",
        "cancels its own task",
        "`HandlerFailed`, the second time; the first is not counted",
    ),
    Bad("exits", "calls `sys.exit`", "`HandlerFailed` (`SystemExit`)", said="it wants to leave"),
    Bad(
        "leaks_its_session",
        "leaks its session to a task of its own",
        "`complete`; the task is refused once the handler has returned",
    ),
    Bad(
        "leaves_a_query_running",
        "returns while a query of its own runs",
        "`TransactionMisused`",
        "nobody; its entity up to 2 s, until the query is broken off",
    ),
    Bad("commits", "calls `session.commit()`", "`complete`: it waits for the job's own"),
    Bad(
        "rolls_back",
        "calls `session.rollback()`",
        "`TransactionMisused`",
        said="the handler rolled its session back",
    ),
    Bad(
        "sends_commit",
        "sends `COMMIT` or `ROLLBACK`, and swallows that it is refused",
        "`TransactionMisused`; nothing was sent",
        said="the handler would have ended its job's transaction (COMMIT)",
    ),
    Bad(
        "swallows_an_sql_error",
        "swallows an SQL error",
        "`TransactionMisused`",
        said="the handler went on after an SQL error",
    ),
    Bad(
        "violates_a_deferred_constraint",
        "violates a deferred constraint",
        "`HandlerFailed`, with what the database says at the COMMIT",
        said="duplicate key value violates unique constraint",
    ),
    Bad(
        "returns_what_is_not_json",
        "returns what is not JSON",
        "`ResultInvalid`, never again",
        said="the result is not JSON",
    ),
    Bad(
        "returns_50_megabytes",
        "returns 50 MB",
        "`ResultInvalid`, never again, before the COMMIT",
        "everybody in its worker, as long as it takes to write it as JSON",
        said="the result has 52,428,802 bytes; at most 262,144 are kept",
    ),
    Bad(
        "submits_5000_follow_ups",
        "submits 5,000 follow-ups",
        "`Reject`, never again; none is sent",
        said="more than 1,000 follow-ups",
    ),
    Bad(
        "swallows_that_they_are_too_many",
        "swallows that they are too many",
        "`Reject`, never again; none is sent",
        said="more than 1,000 follow-ups",
    ),
]
"""All rows but those of handlers that end their process."""


class Large(str):
    """A result of which it can be seen that it is gone."""

    __slots__ = ("__weakref__",)


async def write(request: Request[Any], note: str) -> None:
    connection = await request.connection()
    await connection.execute("INSERT INTO effect VALUES ($1, $2)", request.job_id, note)


@contextlib.contextmanager
def no_more_memory() -> Iterator[None]:
    """This process gets no more than a few megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**24, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Handlers:
    """What they do: each of these is one way to be bad."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.enough = asyncio.Event()
        self.thread_ends = threading.Event()
        self.left: list[asyncio.Task[Any]] = []
        self.refused: list[BaseException] = []
        self.results: list[weakref.ref[Large]] = []

    async def runs_out_of_memory(self, _: Request[Any]) -> None:
        with no_more_memory():
            bytearray(8 * 2**30)

    async def hangs(self, _: Request[Any]) -> None:
        await asyncio.Event().wait()

    async def swallows_its_time_out(self, _: Request[Any]) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "as if nothing had been"

    async def swallows_it_for_ever(self, request: Request[Any]) -> str:
        while not self.enough.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.enough.wait()
        try:
            await write(request, "late")
        except TransactionMisused as error:
            self.refused.append(error)
        return "as if nothing had been"

    def hangs_in_a_thread(self, _: Request[Any]) -> None:
        self.loop.call_soon_threadsafe(self.begun.set)
        self.thread_ends.wait()

    async def blocks_the_event_loop(self, _: Request[Any]) -> None:
        time.sleep(BLOCKED)  # noqa: ASYNC251 - that is what it is bad for

    async def cancels_itself(self, _: Request[Any]) -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel()
        await asyncio.Event().wait()

    async def exits(self, _: Request[Any]) -> None:
        sys.exit("it wants to leave")

    async def leaks_its_session(self, request: Request[Any]) -> None:
        session = await request.session()
        self.left.append(asyncio.create_task(self._write_when_it_is_over(session)))

    async def _write_when_it_is_over(self, session: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        await self.enough.wait()
        try:
            await session.execute(text("INSERT INTO effect VALUES (NULL, 'late')"))
        except TransactionMisused as error:
            self.refused.append(error)

    async def leaves_a_query_running(self, request: Request[Any]) -> None:
        connection = await request.connection()
        self.left.append(asyncio.create_task(connection.execute("SELECT pg_sleep(600)")))
        await asyncio.sleep(0)

    async def commits(self, request: Request[Any]) -> None:
        await (await request.session()).commit()

    async def rolls_back(self, request: Request[Any]) -> None:
        await (await request.session()).rollback()

    async def sends_commit(self, request: Request[Any]) -> None:
        with contextlib.suppress(TransactionMisused):
            await (await request.connection()).execute("COMMIT")

    async def swallows_an_sql_error(self, request: Request[Any]) -> None:
        with contextlib.suppress(Exception):
            await (await request.connection()).execute("INSERT INTO nowhere VALUES (1)")

    async def violates_a_deferred_constraint(self, request: Request[Any]) -> None:
        await (await request.connection()).execute("INSERT INTO once VALUES (1), (1)")

    async def returns_what_is_not_json(self, _: Request[Any]) -> object:
        return object()

    async def returns_50_megabytes(self, _: Request[Any]) -> str:
        result = Large("x" * LARGE)
        self.results.append(weakref.ref(result))
        return result

    async def submits_5000_follow_ups(self, request: Request[Any]) -> None:
        request.submit(Submission("follow-up", number) for number in range(FOLLOW_UPS))

    async def swallows_that_they_are_too_many(self, request: Request[Any]) -> None:
        for number in range(FOLLOW_UPS):
            with contextlib.suppress(Reject):
                request.submit(Submission("follow-up", number))


def of_the_first_partition() -> Iterator[str]:
    """Names of the first of two partitions."""
    return (name for name in map("entity-{}".format, count()) if not partition_of(name, 2))


@dataclass
class World:
    """A worker, and innocent jobs that it has all the time."""

    of: Together
    lines: list[EventDict]
    handlers: Handlers = field(default_factory=Handlers)
    ran_at: list[float] = field(default_factory=list)
    """When innocent jobs ended, in seconds."""
    entities: Iterator[str] = field(default_factory=of_the_first_partition)

    def register(self, jobs: Jobs) -> None:
        jobs.register("innocent", self.innocent, retry=ONCE)
        jobs.register("hangs_in_a_thread", self.in_a_thread, retry=ONCE, timeout=TIME_OUT)
        for bad in BAD:
            if jobs.find(bad.handler) is None:
                function = partial(self.bad, bad.handler)
                jobs.register(bad.handler, taking_a_request(function), retry=ONCE, timeout=TIME_OUT)

    async def innocent(self, request: Request[Any]) -> None:
        await write(request, "innocent")
        self.ran_at.append(time.monotonic())

    def in_a_thread(self, request: Request[Any]) -> None:
        self.handlers.hangs_in_a_thread(request)

    async def bad(self, name: str, request: Request[Any]) -> object:
        """What every bad handler does first: an effect, which is kept only if it is complete."""
        await write(request, "bad")
        self.handlers.begun.set()
        return await getattr(self.handlers, name)(request)

    @contextlib.asynccontextmanager
    async def neighbours(self) -> AsyncIterator[list[JobId]]:
        """Innocent jobs of other entities of the partition run before the block, and come in it."""
        jobs: list[JobId] = []
        enough = asyncio.Event()

        async def come() -> None:
            for entity in cycle([next(self.entities) for _ in range(8)]):
                jobs.append(await self.of.client.submit(Submission("innocent", entity=entity)))
                if enough.is_set():
                    return
                await asyncio.sleep(EVERY)

        coming = asyncio.create_task(come())
        try:
            while not self.ran_at:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(EVERY)
            yield jobs
        finally:
            enough.set()
            await coming

    async def notes(self, job: JobId) -> list[str]:
        rows = await self.of.database.fetch("SELECT note FROM effect WHERE job = $1", job)
        return [row["note"] for row in rows]

    async def until(self, said: str, where: str = "") -> EventDict:
        """A line that the worker has written of a place, once it is there."""
        async with asyncio.timeout(60):
            while True:
                for line in self.lines:
                    if line["event"] == said and line.get("where", "").startswith(where):
                        return line
                await asyncio.sleep(EVERY)


def taking_a_request(function: Callable[[Request[Any]], Any]) -> Callable[[Request[Any]], Any]:
    async def handler(request: Request[Any]) -> object:
        return await function(request)

    return handler


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_run: Commands) -> AsyncIterator[World]:
    jobs = Jobs()
    settings = replace(shared_run.settings, connections=4, slots=8)
    with capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.bootstrap.working.Times", partial(Times, grace=GRACE, lag=LAG))
        async with together(settings, jobs) as of:
            await of.database.execute(TABLES)
            world = World(of, lines)
            world.register(jobs)
            yield world
            world.handlers.thread_ends.set()


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: World) -> AsyncIterator[World]:
    """The world; afterwards everything that was left behind is let go, and was in vain."""
    shared.handlers = Handlers()
    shared.lines.clear()
    shared.ran_at.clear()
    yield shared
    handlers = shared.handlers
    handlers.enough.set()
    handlers.thread_ends.set()
    await asyncio.gather(*handlers.left, return_exceptions=True)
    late = "SELECT count(*) FROM effect WHERE note = 'late'"
    assert await shared.of.database.fetchval(late) == 0


def said_of(status: JobStatus) -> tuple[str, str]:
    """How it ended, in the table's words, and what its error says."""
    error = status.current.error
    return (str(status.state), "") if error is None else (str(error.reason), error.message)


def ended_at(status: JobStatus) -> int:
    return int(events(status)[-1].at)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.handler)
async def test_a_bad_handler_comes_to_its_stated_end_and_its_neighbours_go_on(
    world: World, bad: Bad, record_property: Callable[[str, object], None]
) -> None:
    entity = next(world.entities)
    async with world.neighbours() as neighbours:
        job, behind = await world.of.client.submit(
            [Submission(bad.handler, entity=entity), Submission("innocent", entity=entity)]
        )
        await world.handlers.begun.wait()
        beside = await world.of.client.submit(
            Submission("innocent", entity=next(world.entities)) for _ in range(8)
        )
        innocent = [await world.of.ended(one) for one in beside]
        if bad.handler == "hangs_in_a_thread":
            await world.until("a thread runs past its time-out and keeps its slot")
            world.handlers.thread_ends.set()
        status = await world.of.ended(job)
        innocent.append(await world.of.ended(behind))
    innocent += [await world.of.ended(one) for one in neighbours]
    reason, message = said_of(status)
    assert reason == bad.reason
    assert message.startswith(bad.said)
    assert {one.state for one in innocent} == {State.COMPLETE}
    assert ended_at(innocent[8]) >= ended_at(status), "its entity's next job is not before it"
    if bad.meanwhile:
        assert max(map(ended_at, innocent[:8])) < ended_at(status), "they did not wait for it"
    kept = ["bad"] if status.state is State.COMPLETE else []
    assert [note for note in await world.notes(job) if note != "innocent"] == kept
    gap = max(after - before for before, after in pairwise(sorted(world.ran_at)))
    record_property("neighbours_stood_still", round(gap, 3))
    print(f"{bad.handler}: its neighbours stood still for {gap * 1000:,.0f} ms at the most")  # noqa: T201
    if (also := AFTERWARDS.get(bad.handler)) is not None:
        await also(world, job)


async def its_late_write_is_refused(world: World, job: JobId) -> None:
    line = await world.until(
        "a handler goes on although its time is over, and is left behind: it must let"
        " CancelledError out"
    )
    assert (line["job"], line["type"]) == (str(job), "swallows_it_for_ever")
    assert line["place"].startswith("test_bad_handlers:swallows_it_for_ever:")
    await it_is_refused(world, job)


async def it_is_refused(world: World, _: JobId) -> None:
    world.handlers.enough.set()
    async with asyncio.timeout(60):
        while not world.handlers.refused:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(EVERY)
    assert "has returned" in str(world.handlers.refused[0])


async def a_thread_has_said_who_it_is(world: World, job: JobId) -> None:
    place = "test_bad_handlers:blocks_the_event_loop:"
    line = await world.until("the event loop stands still", place)
    assert (line["job"], line["type"]) == (str(job), "blocks_the_event_loop")


async def its_memory_is_given_back(world: World, _: JobId) -> None:
    gc.collect()
    assert [result() for result in world.handlers.results] == [None]


async def none_of_them_was_sent(world: World, _: JobId) -> None:
    """A follow-up would wait for a handler of its type."""
    assert await world.of.database.fetchval("SELECT count(*) FROM jobs.waiting") == 0
    assert not [line for line in world.lines if line.get("type") == "follow-up"]


AFTERWARDS = {
    "swallows_it_for_ever": its_late_write_is_refused,
    "leaks_its_session": it_is_refused,
    "blocks_the_event_loop": a_thread_has_said_who_it_is,
    "returns_50_megabytes": its_memory_is_given_back,
    "submits_5000_follow_ups": none_of_them_was_sent,
    "swallows_that_they_are_too_many": none_of_them_was_sent,
}
"""What is to be seen besides, of some."""


async def test_the_readme_says_of_each_what_it_comes_to() -> None:
    head = "| a handler that | ends its attempt as | who stands still meanwhile |"
    table = README.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    assert [line for line in table if "`WorkerLost`" not in line] == [bad.row for bad in BAD]
