"""Does every flight get worked once and in order, whatever happens on the way?"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.bootstrap.migrating import migrate
from processor.bootstrap.producing import connected
from processor.demo import tables
from processor.demo.expectation import Expectation, differences, expect
from processor.demo.export import rows
from processor.demo.report import Report, Times
from processor.demo.showing import showing
from processor.demo.watching import Watch
from processor.demo.working import Run, Wanted
from processor.domain.errors import Unavailable
from processor.settings import Settings
from processor.staging.children import Children
from processor.staging.place import Place, made, variables

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.runtime.client import Client

    Describe = Callable[[JobStatus], Sequence[str]]


async def demonstrate(
    settings: Settings, wanted: Wanted, console: Console, describe: Describe
) -> Report:
    """Work the flights on this stack and compare.

    Every process that was started has ended then. Raises `ProcessorError` when the work stops.
    """
    expecting = asyncio.create_task(asyncio.to_thread(expect, rows(wanted.flights)))
    async with made(settings, "demo") as place:
        await migrate(place.settings)
        with _logs(console) as folder, _database_away():
            await place.connection.execute(tables.CREATE)
            return await _work(place, wanted, console, describe, folder, await expecting)


@contextlib.contextmanager
def _database_away() -> Iterator[None]:
    """The workers outlive a database that goes away for a while; the demo's own look does not."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise Unavailable(f"the demo lost its connection to the database: {error}") from error


async def _work(
    place: Place,
    wanted: Wanted,
    console: Console,
    describe: Describe,
    folder: Path,
    expected: Expectation,
) -> Report:
    watch = Watch(place.connection, place.settings.topics.events)
    async with (
        Children(folder, variables(place.settings)) as children,
        connected(place.settings) as client,
    ):
        run = Run(wanted, console, children, watch)
        for _ in range(wanted.workers):
            await run.start_worker()
        await children.start("projector", "projector")
        with showing(console, expected.lanes) as show:
            jobs = await run.work(client, show)
        whole = time.monotonic() - run.began
        lives = await _lives(client, expected, jobs, describe)
    # Only now, when no worker is left that could still write.
    found = await watch.found()
    times = Times(run.submitted, await watch.worked(), whole)
    found_out = differences(expected, found, jobs)
    return Report(place.settings, expected, found, found_out, lives, times)


async def _lives(
    client: Client, expected: Expectation, jobs: Sequence[JobId], describe: Describe
) -> dict[str, Sequence[str]]:
    """What the first flight of each kind went through."""
    finished = next((place for place in range(len(jobs)) if place not in expected.unfit), None)
    dead = min(expected.unfit, default=None)
    examples = {"The life of a finished job": finished, "The life of a dead one": dead}
    return {
        title: describe(await client.status(jobs[place]))
        for title, place in examples.items()
        if place is not None
    }


@contextlib.contextmanager
def _logs(console: Console) -> Iterator[Path]:
    """A folder for what the processes write, kept when something goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix="processor-demo-"))
    try:
        yield folder
    except Exception:
        console.print(f"what the processes wrote is kept in {folder}", soft_wrap=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
