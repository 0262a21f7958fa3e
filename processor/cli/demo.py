"""What does `processor demo` do?"""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer
from rich.console import Console

FIRST = 5_000


def demo(
    everything: Annotated[
        bool, typer.Option("--all", help="All 336,776 flights, not the first 5,000.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill one worker (SIGKILL) in the middle of the work.")
    ] = False,
    flights: Annotated[int, typer.Option(min=1, hidden=True)] = FIRST,
) -> None:
    """Work real flights, each a job, and compare what they left behind with the file.

    Uses the stack that JOBS_* names or that `processor local` runs, else starts one that ends with
    the demo. Exits with 0 only if every aircraft agrees.
    """
    from processor.cli.downloading import downloading
    from processor.cli.running import end_by_sigterm_too, run
    from processor.demo.export import ALL
    from processor.demo.report import tell
    from processor.demo.running import demonstrate
    from processor.demo.working import Wanted
    from processor.staging.place import stack
    from projections.timeline import describe

    began = time.monotonic()
    console = Console()
    wanted = Wanted(ALL if everything else min(flights, ALL), workers, kill)
    end_by_sigterm_too()

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    with downloading(console) as progress, stack(os.environ, "demo", say, progress) as settings:
        report = run(demonstrate(settings, wanted, console, describe))
        tell(report, console)
    say(f"All of it took {time.monotonic() - began:.1f} s.")
    if not report.agrees:
        raise typer.Exit(1)
