"""How are thousands of simulated runs shared by all processors, and how far have they come?

`python -m tests.many_runs FIRST END STEP` runs every so manieth seed, and tells of each in a line:
the seed, and how many promises it broke. It ends when nobody reads that any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Final

from tests.simulated import SIMULATION

TELLS_EVERY: Final = 10.0
"""Seconds."""


def broken(seeds: range, tell: Callable[[str], None]) -> list[int]:
    """The seeds whose runs broke a promise; tells every few seconds how far they have come."""
    found: list[int] = []
    begun = told = time.monotonic()
    for number, (seed, violations) in enumerate(_ran(seeds), 1):
        found += [seed] if violations else []
        now = time.monotonic()
        if now - told > TELLS_EVERY or number == len(seeds):
            told, each = now, (now - begun) / number
            tell(
                f"{number:,} of {len(seeds):,} runs, {len(found)} broke a promise {found or ''},"
                f" {each * 1000:.0f} ms a run, {each * (len(seeds) - number):.0f} s left"
            )
    return sorted(found)


def _ran(seeds: range) -> Iterator[tuple[int, int]]:
    """Each seed and its violations, from one process a processor."""
    lines: SimpleQueue[str] = SimpleQueue()
    several = os.cpu_count() or 1
    with ExitStack() as held:
        for number in range(several):
            process = held.enter_context(_started(seeds[number::several]))
            held.callback(process.kill)
            Thread(target=_read, args=(process, lines), daemon=True).start()
        for _ in seeds:
            line = lines.get()
            assert line, "a process ended before its runs did"
            seed, violations = map(int, line.split())
            yield seed, violations


def _started(seeds: range) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.many_runs", seeds.start, seeds.stop, seeds.step]
    return subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _read(process: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    if process.wait():
        lines.put("")


if __name__ == "__main__":
    told, sys.stdout = sys.stdout, sys.stderr  # a run that fails prints what was logged
    for one in range(*map(int, sys.argv[1:])):
        told.write(f"{one} {len(SIMULATION.seed(one).violations)}\n")
        told.flush()
