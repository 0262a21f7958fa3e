"""What is told while a round is under way?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Show:
    """A bar where standard error is a terminal, a line for each step elsewhere."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self.console = console
        self._line = progress.add_task("", total=None)
        self._doing = ""
        self._of = ""

    def begin(self, of: str) -> None:
        """A round begins."""
        self._of = of
        self.step("making topics and tables")

    def step(self, doing: str, done: int = 0, total: int | None = None) -> None:
        """What is being done, and how far it is."""
        if doing != self._doing and not self.console.is_terminal:
            self.console.print(f"{self._of}: {doing}", soft_wrap=True, highlight=False)
        self._doing = doing
        self._progress.update(
            self._line, description=f"{self._of}: {doing}", completed=done, total=total
        )

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def showing() -> Iterator[Show]:
    """On standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        yield Show(progress, console)
