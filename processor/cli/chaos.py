"""What does `processor chaos` do?"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def chaos(  # noqa: PLR0917 - each is an option
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of jobs and faults; drawn where none is given.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Go on so long at the least.")] = 0.0,
    jobs: Annotated[int, typer.Option(min=1, help="Submit so many at the least.")] = 5_000,
    kills: Annotated[int, typer.Option(min=0, help="Go on until so many kill -9 were done.")] = 0,
    workers: Annotated[int, typer.Option(min=2, max=16, help="Worker processes.")] = 3,
    faults: Annotated[
        str | None, typer.Option(help="Which, with commas; all where none is given.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds from one fault to the next.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.05, max=1.0, help="Submit this share of what was measured as the most."),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure only how long work stands still after a death, a restart, a rebalance.",
        ),
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="Where what was done is written, as JSON lines.")
    ] = None,
) -> None:
    """Kill, freeze, cut off and restart everything while jobs are worked, and check every promise.

    With JOBS_KAFKA and JOBS_DATABASE set it runs there, in a namespace and a database of its own,
    and leaves the servers alone; else on servers that it starts and may kill. Exits with 0 only if
    nothing was lost, done twice, out of order or otherwise than promised.
    """
    from processor.chaos.report import tell
    from processor.chaos.running import settings_of, wreak
    from processor.chaos.wanted import Wanted, parse_faults, usual_faults
    from processor.cli.downloading import downloading
    from processor.cli.running import end_by_sigterm_too, run

    if measure:
        _measure(log or Path("processor-chaos-measured.jsonl"))
        return
    settings = settings_of(os.environ)
    chosen = usual_faults(kills, minutes) if faults is None else parse_faults(faults)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    path = Path(f"processor-chaos-{seed}.jsonl") if log is None else log
    wanted = Wanted(seed, path, chosen, jobs, workers, minutes, kills, every, rate)
    console = Console()
    end_by_sigterm_too()

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    say(f"seed {seed} · faults {', '.join(chosen)} · what is done is written to {path}")
    with downloading(console) as progress:
        report = run(wreak(wanted, settings, say, progress))
    tell(report, console)
    if not report.holds:
        raise typer.Exit(1)


def _measure(log: Path) -> None:
    from processor.chaos.measuring import SESSION_SECONDS, measure
    from processor.chaos.running import settings_of
    from processor.cli.downloading import downloading
    from processor.cli.running import run

    console = Console()

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    settings = settings_of(os.environ, SESSION_SECONDS)
    with downloading(console) as progress:
        run(measure(settings, log, say, progress))
