"""What does `processor worker` do?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from processor.runtime.handlers import Jobs
    from processor.settings import Settings


def worker(
    application: Annotated[
        str, typer.Argument(metavar="MODULE:JOBS", help="Where your `Jobs` are, as Python names.")
    ],
) -> None:
    """Run the jobs of an application's handlers until Ctrl-C, which lets the running ones end."""
    from processor.cli.application import find_jobs
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    jobs = find_jobs(application)
    if not list(jobs):
        sys.stderr.write(f"{application} has no handlers yet; jobs wait until it has\n")
    run(_work(jobs, settings), quiet=False)


async def _work(jobs: Jobs, settings: Settings) -> None:
    from processor.bootstrap.working import Worker
    from processor.cli.running import asked_to_stop

    async with Worker(jobs, settings):
        await asked_to_stop()
