"""What does `processor submit` tell while it works, and how far it came when it ends early?"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from processor.domain.errors import SubmitError

if TYPE_CHECKING:
    from processor.domain.ids import JobId

SHOWN: Final = 10
"""Ids on a terminal, where nobody reads a million."""


class Report:
    """Ids to standard output, progress and the sum to standard error."""

    def __init__(self, progress: Progress, batch: UUID, *, checking: bool) -> None:
        self._progress = progress
        self._line = progress.add_task("", total=None, done=0, rate=0)
        self._batch = batch
        self._checking = checking
        self._began = time.monotonic()
        self._shown: list[JobId] = []
        self._terminal = sys.stdout.isatty()
        self._wanted = True
        self.done = 0
        """Submissions that are appended."""
        self.line = 0
        """The last line of which everything up to it is appended."""
        self.tried = 0
        """The last line that may be appended."""

    def begin(self, now: float) -> None:
        """Count the time from here."""
        self._began = now

    def expect(self, size: int | None) -> None:
        """How many bytes there are to read, where known."""
        self._progress.update(self._line, total=size)

    def try_to(self, line: int) -> None:
        """Up to this line something may now be appended."""
        self.tried = line

    def advance(self, ids: Sequence[JobId], line: int, read: int) -> None:
        """Everything up to this line is appended."""
        self.done += len(ids)
        self.line = self.tried = line
        self._progress.update(self._line, advance=read, done=self.done, rate=self._rate())
        if self._checking:
            return
        if self._terminal:
            self._shown += ids[: SHOWN - len(self._shown)]
        elif self._wanted:
            self._tell("".join(f"{job}\n" for job in ids))

    def _tell(self, ids: str) -> None:
        try:
            sys.stdout.write(ids)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the ids has gone; the submissions are wanted all the same.
            self._wanted = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def refusal(self, why: SubmitError) -> SubmitError:
        """The one line of an early end."""
        return type(why)(f"{why}; {self.standing()}", why.unknown)

    def standing(self) -> str:
        """What is appended, and how to go on."""
        if not self.tried:
            return "nothing was sent"
        told = (
            f"every line up to {self.line} is appended" if self.line else "no line is known to be"
        )
        if self.tried > self.line:
            told += f", perhaps some of those up to {self.tried}"
        return (
            f"{told}, nothing after; mend it and submit the whole again with"
            f" --batch {self._batch}: what is appended is not done twice"
        )

    def end(self) -> None:
        """The sum."""
        for job in self._shown:
            sys.stdout.write(f"{job}\n")
        if len(self._shown) < self.done and self._terminal and not self._checking:
            sys.stdout.write(f"… and {self.done - len(self._shown):,} more\n")
        seconds = time.monotonic() - self._began
        what = "can be submitted" if self._checking else f"submitted, batch {self._batch}"
        sys.stderr.write(f"{self.done:,} {what} ({seconds:.1f} s, {self._rate():,}/s)\n")

    def _rate(self) -> int:
        return round(self.done / max(time.monotonic() - self._began, 1e-3))


@contextmanager
def reporting(size: int | None, batch: UUID, *, checking: bool) -> Iterator[Report]:
    """A bar where standard error is a terminal; the sum, or what an interruption left behind."""
    progress = Progress(
        TextColumn("checking" if checking else "submitting"),
        BarColumn(),
        TextColumn("{task.fields[done]:,} · {task.fields[rate]:,}/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    report = Report(progress, batch, checking=checking)
    report.expect(size)
    try:
        with progress:
            yield report
    except KeyboardInterrupt:
        if not checking:
            sys.stderr.write(f"processor: interrupted; {report.standing()}\n")
        raise
    report.end()
