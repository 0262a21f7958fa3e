"""What does `processor worker` do?"""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def worker(
    application: Annotated[
        str, typer.Argument(metavar="MODULE:JOBS", help="Where your `Jobs` are, as Python names.")
    ],
) -> None:
    """Run the jobs of an application's handlers until Ctrl-C, which lets the running ones end."""
    from processor.bootstrap.working import Worker
    from processor.cli.application import find_jobs
    from processor.cli.finding import find_settings
    from processor.cli.running import run, serve

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    jobs = find_jobs(application)
    if not list(jobs):
        sys.stderr.write(f"{application} has no handlers yet; jobs wait until it has\n")
    run(serve(Worker(jobs, settings)), quiet=False)
