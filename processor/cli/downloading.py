"""How is the one download shown?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


@contextlib.contextmanager
def downloading(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar that appears with the first bytes and is finished with the last."""
    bar = Progress(
        TextColumn("fetching Apache Kafka, once"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
    )
    line = bar.add_task("", start=True)

    def came(here: int, total: int) -> None:
        if here < total:
            bar.start()
        bar.update(line, completed=here, total=total)
        if here >= total:
            bar.stop()

    try:
        yield came
    finally:
        # A bar that never was must not leave an empty line.
        if bar.live.is_started:
            bar.stop()
