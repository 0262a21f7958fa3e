"""How is one run worked by processes of their own, each started from the command line?

`submit` reads from a pipe that is fed while the run goes on, so that there is always work in the
middle of which something can be killed, however fast or slow the machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from processor.domain.events import Failed
from tests import chaos
from tests.commands import Commands
from tests.evidence import CHECKPOINTS, CODEC, POSITIONS, Evidence, ends_of, gather
from tests.feeding import ENDINGS, Submitting, kind_of
from tests.violations import AFTERWARDS, Check, afterwards, during, unprojected

APPLICATION = "chaos:jobs"
LOOK_SECONDS = 0.05
BACKLOG = 300
"""So many jobs at least are submitted and not ended while a run is fed."""

NOW = "SELECT clock_timestamp()"
SETTLED = "SELECT count(*) FROM jobs.ledger"
WORKERS = "SELECT worker, count(*), max(at) FROM chaos_effect GROUP BY worker"
OWNED = "SELECT partition FROM jobs.ownership WHERE worker::text LIKE $1 || '%' AND NOT released"
ELSEWHERE = """
SELECT min(at) FROM chaos_effect
WHERE at > $1 AND partition = ANY ($2) AND split_part(worker, '/', 2) <> $3
"""


@dataclass
class Process:
    """One process of a run; its output goes to a file."""

    name: str
    popen: subprocess.Popen[bytes]
    output: Path
    expected: bool = False
    """Its end, by whatever the test did to it."""

    @property
    def pid(self) -> int:
        return self.popen.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say goodbye."""
        self.expected = True
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C; it must drain and end well."""
        self.expected = True
        self.popen.send_signal(number)
        code = await asyncio.to_thread(self.popen.wait)
        assert code == 0, f"{self.name} ended with {code}:\n{self.said()}"

    def check(self) -> None:
        """Fail if it has ended by itself."""
        code = self.popen.poll()
        assert self.expected or code is None, f"{self.name} ended with {code}:\n{self.said()}"


@dataclass
class Separately:
    """One run: its processes, and what it has come to."""

    run: Commands
    kafka: str
    database: str
    connection: asyncpg.Connection[Any]
    submitting: Submitting
    processes: list[Process] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self, *command: str) -> Process:
        """Start `processor COMMAND`."""
        name = f"{command[0]}-{len(self.processes)}"
        output = self.run.folder / f"{name}.log"
        self.processes.append(Process(name, self.run.spawn(output, *command), output))
        return self.processes[-1]

    def worker(self, application: str = APPLICATION) -> Process:
        return self.start("worker", application)

    async def until(self, reached: Callable[[], Awaitable[bool]], why: str) -> None:
        """Look until it is so; a process that ends by itself fails the test, time does not."""
        try:
            while not await reached():
                for process in self.processes:
                    process.check()
                await asyncio.sleep(LOOK_SECONDS)
        except BaseException as error:
            error.add_note(f"waiting until {why}; {self.standing()}")
            raise

    def standing(self) -> str:
        """What the processes said last, for whoever reads why a test failed."""
        tails = (f"{one.name} ({one.pid}):\n{one.said()[-1500:]}" for one in self.processes)
        handed_in = (
            f"{self.submitting.written} lines, submit was begun {self.submitting.begun} times"
        )
        return f"{handed_in}\n" + "\n".join(tails)

    @contextlib.asynccontextmanager
    async def fed(self, least: int = 0) -> AsyncIterator[None]:
        """While the block lasts there is always a backlog; in all at least so many lines."""
        over = asyncio.Event()

        async def feed() -> None:
            while not over.is_set() or self.submitting.written < least:
                await asyncio.to_thread(self.submitting.go_on)
                if self.submitting.written - await self.settled() < BACKLOG:
                    await asyncio.to_thread(self.submitting.write, BACKLOG)
                await asyncio.sleep(LOOK_SECONDS)

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            yield
            over.set()

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database; over a new connection where the old one broke, until it answers."""
        while True:
            try:
                async with self.asking:
                    if self.connection.is_closed():
                        self.connection = await asyncpg.connect(self.database)
                    return await self.connection.fetch(query, *values)
            except (
                OSError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                asyncpg.PostgresConnectionError,
            ):
                self.connection.terminate()
            except asyncpg.OperatorInterventionError:
                pass  # it ends, or it does not serve yet
            await asyncio.sleep(LOOK_SECONDS)

    async def settled(self) -> int:
        """How many jobs have ended."""
        return int((await self.fetch(SETTLED))[0][0])

    async def effects_of(self, process: Process) -> int:
        """How many effects a worker has left behind."""
        found = {name: count for name, count, _ in await self.fetch(WORKERS)}
        return sum(count for name, count in found.items() if name.split("/")[1] == str(process.pid))

    async def holding(self, process: Process) -> list[int]:
        """The partitions that a worker which has worked holds, once it holds some."""
        names = [name for name, *_ in await self.fetch(WORKERS)]
        mine = next(name for name in names if name.split("/")[1] == str(process.pid))
        held: list[int] = []

        async def some() -> bool:
            held[:] = [number for (number,) in await self.fetch(OWNED, mine.split("/")[2])]
            return bool(held)

        await self.until(some, f"{process.name} holds a partition")
        return held

    async def kill(self, process: Process) -> float:
        """Kill a worker; the seconds until somebody else has worked in one of its partitions."""
        held = await self.holding(process)
        ((killed,),) = await self.fetch(NOW)
        process.kill()
        return await self.until_worked_elsewhere(process, held, killed)

    async def until_worked_elsewhere(
        self, process: Process, partitions: list[int], since: datetime
    ) -> float:
        """Seconds until somebody else has worked in one of those partitions."""
        first: list[datetime] = []

        async def worked() -> bool:
            ((at,),) = await self.fetch(ELSEWHERE, since, partitions, str(process.pid))
            first[:] = [at]
            return at is not None

        await self.until(worked, f"{process.name}'s partitions are worked elsewhere")
        return (first[0] - since).total_seconds()

    async def has_worked(self, *workers: Process) -> None:
        """Return when each of them has left at least one effect more than now."""
        before = {worker.pid: await self.effects_of(worker) for worker in workers}

        async def all_have() -> bool:
            counts = [await self.effects_of(one) > before[one.pid] for one in workers]
            return all(counts)

        await self.until(all_have, f"{[one.name for one in workers]} have worked")

    async def has_settled(self, count: int) -> None:
        """Return when so many jobs more have ended."""
        wanted = await self.settled() + count

        async def have() -> bool:
            return await self.settled() >= wanted

        await self.until(have, f"{wanted} jobs have ended")

    async def evidence(self) -> Evidence:
        return await gather(self.database, self.kafka, self.run.settings.namespace)

    async def look(self) -> None:
        """Check what must hold also in the middle of a run."""
        assert (broken := during(await self.evidence())) == [], broken[:20]

    async def at_rest(
        self, besides: Collection[UUID] = (), checks: Collection[Check] = AFTERWARDS
    ) -> Evidence:
        """Submit no more, let everything come to its end, and check all that must hold then.

        `besides` are jobs that were acknowledged to somebody else.
        """
        await asyncio.to_thread(self.submitting.end)
        acked = [*self.submitting.acked, *besides]
        await self.until(self._is_at_rest, f"{len(acked)} jobs have ended and are projected")
        seen = await self.evidence()
        assert unprojected(seen) == []
        assert (broken := afterwards(seen, acked, checks)) == [], broken[:20]
        return seen

    async def ended(self, checks: Collection[Check] = AFTERWARDS) -> Evidence:
        """The same of a run that was only fed: each line has the end that is its kind's."""
        seen = await self.at_rest(checks=checks)
        wanted = Counter(ENDINGS[kind_of(number)] for number in range(self.submitting.written))
        assert (found := endings(seen)) == wanted, f"{found}, not {wanted}"
        return seen

    async def _is_at_rest(self) -> bool:
        """Whether positions and checkpoints, read first, stand at the ends of their topics."""
        positions = await self.fetch(POSITIONS)
        checkpoints = await self.fetch(CHECKPOINTS)
        topics = self.run.settings.topics
        ends = await ends_of(self.kafka, topics)
        return all(
            ends[topic, partition] == position
            for partition, *lanes in positions
            for topic, position in zip(topics.lanes, lanes, strict=True)
        ) and all(ends[topic, partition] == done for _, topic, partition, done in checkpoints)


def endings(seen: Evidence) -> Counter[str]:
    """How many jobs ended in which way."""
    ends: Counter[str] = Counter()
    for row in seen.tables.ledger.values():
        end = getattr(CODEC.decode_journal(row.body), "end", None)
        ends[end.reason.value if isinstance(end, Failed) else "complete"] += 1
    return ends


@contextlib.asynccontextmanager
async def separately(run: Commands, kafka: str, database: str) -> AsyncIterator[Separately]:
    """A run with nothing but its topics, its tables and a `submit` that waits for lines."""
    shutil.copy(chaos.__file__, run.folder / "chaos.py")
    migrated = await asyncio.to_thread(run, "migrate")
    assert migrated.code == 0, migrated
    connection = await asyncpg.connect(database)
    await connection.execute(chaos.TABLE)
    submitting = Submitting(run)
    one = Separately(run, kafka, database, connection, submitting)
    try:
        yield one
        for process in one.processes:
            process.check()
            if not process.expected:
                await process.stop()
    finally:
        submitting.kill()
        _end(*(process.popen for process in one.processes))
        one.connection.terminate()


def _end(*left: subprocess.Popen[bytes]) -> None:
    for popen in left:
        with popen:
            popen.kill()
