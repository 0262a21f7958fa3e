"""What does `processor local` do?"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from processor.cli.telling import tell_json


def local(
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where the data lies; by default JOBS_LOCAL, or a folder in your home.",
            show_default=False,
        ),
    ] = None,
    heap: Annotated[str, typer.Option(help="Memory for the broker, as the JVM says it.")] = "512m",
    buffers: Annotated[
        str, typer.Option(help="Memory for the database, as PostgreSQL says it.")
    ] = "256MB",
    env: Annotated[
        bool, typer.Option("--env", help="Print the settings that name the running one, and end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --env: as JSON.")] = False,
) -> None:
    """Run Apache Kafka and PostgreSQL here, from Python packages alone, until Ctrl-C."""
    if env:
        _print_settings(folder, json=json)
        return
    from processor.cli.downloading import downloading
    from processor.local.stack import running
    from processor.settings import Settings

    if folder is None and (named := Settings.from_env(os.environ).local):
        folder = Path(named)
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        with (
            downloading(console) as progress,
            running(
                folder,
                say=lambda line: console.print(line, soft_wrap=True, highlight=False),
                progress=progress,
                heap=heap,
                buffers=buffers,
            ) as started,
        ):
            started.wait()
    except KeyboardInterrupt:
        console.print("stopped")


def _print_settings(folder: Path | None, *, json: bool) -> None:
    from processor.cli.finding import settings_of_local
    from processor.domain.errors import ConfigurationError

    found = settings_of_local(folder)
    if not found:
        raise ConfigurationError("no `processor local` runs here: start it in another terminal")
    if json:
        tell_json(dict(found), indent=2)
        return
    for name, value in found.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


def _end(_number: int, _frame: FrameType | None) -> None:
    """Leave once; a second Ctrl-C must not cut the servers' clean end short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
