"""Who starts the two servers, and ends both when whoever asked for them is gone?

Run as `python -m processor.local.supervisor PLAN` by `stack`. Standard input is the pipe to the
parent: lines are orders (`kill kafka`, `start postgres`), its end is the parent's end, for
whatever reason. Standard output tells the parent, one JSON object a line: `ready`, `done`,
`failed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.domain.errors import ProcessorError
from processor.local import java, kafka, postgres, state
from processor.local.account import database_folder, unprivileged
from processor.local.ports import HOST, Ports, reserved
from processor.local.server import Server

WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parent wants."""

    parent: int
    """Its process id."""
    folder: str
    jars: str
    heap: str
    """Of the broker, in the JVM's words: 512m."""
    buffers: str
    """Shared buffers of the database, in its words: 256MB."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers of one data folder, and what to write down about them."""

    folder: Path
    kafka: Server
    postgres: Server
    addresses: tuple[str, str]

    def each(self) -> dict[str, Server]:
        """By the names that orders use."""
        return {"kafka": self.kafka, "postgres": self.postgres}

    def note(self) -> None:
        """Write down what runs now."""
        processes = {name: server.pid for name, server in self.each().items()}
        state.write(self.folder, state.Running(os.getpid(), *self.addresses, processes))


@contextlib.asynccontextmanager
async def serving(
    plan: Plan, ports: Ports, broker: Mapping[str, str | int] = kafka.NOTHING
) -> AsyncIterator[Servers]:
    """Both servers, ended on the way out however far they came.

    `broker` holds those of its properties that are others than usual.
    """
    folder, jars = Path(plan.folder), Path(plan.jars)
    account = unprivileged()
    place = database_folder(folder, account)
    programs = postgres.binaries(account)
    database = postgres.server(folder, programs, place, account, ports.postgres, plan.buffers)
    servers = Servers(
        folder,
        Server(kafka.node(folder, jars, ports, plan.heap, broker)),
        Server(database),
        (f"{HOST}:{ports.kafka}", postgres.address(ports.postgres)),
    )
    try:
        await asyncio.gather(
            _then(kafka.prepare(folder, jars), servers.kafka.start),
            _then(postgres.prepare(database, programs, place), servers.postgres.start),
        )
        servers.note()
        yield servers
    finally:
        await asyncio.gather(*(server.stop() for server in servers.each().values()))
        state.clear(folder)


async def _then(first: Awaitable[None], second: Callable[[], Awaitable[None]]) -> None:
    await first
    await second()


async def obey(servers: Servers, orders: asyncio.Queue[str]) -> None:
    """Carry out orders, and look after the servers between them; raises StackError."""
    while True:
        try:
            order = await asyncio.wait_for(orders.get(), WATCH_SECONDS)
        except TimeoutError:
            for server in servers.each().values():
                if lost := server.lost():
                    raise lost from None
            continue
        verb, _, name = order.partition(" ")
        server = servers.each()[name]
        await {"start": server.start, "stop": server.stop, "kill": server.kill}[verb]()
        servers.note()
        tell(done=order)


async def supervise(plan: Plan, ports: Ports) -> None:
    """Serve until the parent ends, a signal comes or a server is lost."""
    orders: asyncio.Queue[str] = asyncio.Queue()
    over = asyncio.create_task(_until_over(plan.parent, orders))
    work = asyncio.create_task(_work(plan, ports, orders))
    await asyncio.wait((over, work), return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _work(plan: Plan, ports: Ports, orders: asyncio.Queue[str]) -> None:
    async with serving(plan, ports) as servers:
        kafka_address, database = servers.addresses
        tell(ready={"kafka": kafka_address, "database": database})
        aside = asyncio.create_task(java.remember_classes(servers.folder, Path(plan.jars)))
        try:
            await obey(servers, orders)
        finally:
            aside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await aside


async def _until_over(parent: int, orders: asyncio.Queue[str]) -> None:
    """Return when the parent has gone or a signal has come, passing its orders on until then."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def listen() -> None:
        while line := await lines.readline():
            orders.put_nowait(line.decode().strip())
        over.set()

    async def watch() -> None:
        # The pipe tells at once; but a forked child of the parent may hold its other end open.
        while os.getppid() == parent:  # noqa: ASYNC110 - a parent's end sets no event
            await asyncio.sleep(WATCH_SECONDS)
        over.set()

    watching = (asyncio.create_task(listen()), asyncio.create_task(watch()))
    try:
        await over.wait()
    finally:
        for task in watching:
            task.cancel()


def tell(**what: object) -> None:
    """Say one thing to the parent, if there still is one."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Supervise what the one argument describes."""
    plan = Plan(**json.loads(sys.argv[1]))
    try:
        folder = Path(plan.folder)
        with state.hold(folder):
            state.clear(folder)  # what a supervisor that was killed has left
            with reserved(folder) as ports:
                asyncio.run(supervise(plan, ports))
    except ProcessorError as error:
        tell(failed=str(error), kind=type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
