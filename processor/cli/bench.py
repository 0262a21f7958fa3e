"""What does `processor bench` do?"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.bench.asking import Asked
    from processor.bench.comparing import Comparison
    from processor.bench.ground import Ground
    from processor.bench.question import Answer


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; all without one. `W2` are all that begin so.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Jobs of a round, instead of each one's own number.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Rounds that are measured.")] = 2,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Where all of it goes as JSON.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where a CPU profile goes: a .svg, .json or .txt."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="PEER", help="Ask it the same in turns: pgqueuer or procrastinate."),
    ] = None,
) -> None:
    """Measure how fast it is, everything on: validation, history, metrics, sampled traces.

    Uses the stack that JOBS_* names, else starts one that ends with the benchmark. Each round has
    topics and a database of its own, gone afterwards.
    """
    from processor.cli.downloading import downloading
    from processor.cli.running import end_by_sigterm_too, run

    try:
        from processor.bench import asking, catalogue, ground, observed, question, showing
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"a benchmark needs {missing.name}: pip install 'job-processor[bench]'"
        ) from missing

    chosen = catalogue.chosen(names or ())
    manner = question.Manner(jobs, workers, repeat, profile)
    asked = asking.asked(chosen, manner, against, named=bool(names))
    end_by_sigterm_too()
    observed.observe()
    folder = Path(tempfile.mkdtemp(prefix="processor-bench-logs-"))
    try:
        with (
            showing.showing() as show,
            downloading(show.console) as progress,
            ground.stack(os.environ, show.say, progress) as settings,
        ):
            run(_ask(ground.Ground(settings, folder, show), asked, json))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ask(ground: Ground, asked: Asked, file: Path | None) -> None:
    from pydantic_core import to_json
    from rich.console import Console

    from processor.bench.telling import as_json, lines

    console = Console()
    told: list[Answer | Comparison] = []
    async for answer in asked(ground):
        told.append(answer)
        for line in lines(answer):
            console.print(line, soft_wrap=True, highlight=False)
        if file is not None:
            text = to_json(as_json(told, ground.settings), indent=2)
            await asyncio.to_thread(file.write_bytes, text + b"\n")
