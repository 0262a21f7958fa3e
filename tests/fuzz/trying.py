"""How is one input after the other tried, each within a bounded time and memory?"""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

SECONDS: Final = 5.0
"""Of this process's own work, for one input: what takes longer hangs."""
BYTES: Final = 512 * 1024 * 1024
"""More than the process had when it began, for all of them together."""
TELLS_EVERY: Final = 10_000
MANY: Final = 100_000


def inputs(few: int, many: int = MANY, each: int = 1) -> pytest.MarkDecorator:
    """How many seeds a test tries: few by default, many by name; `each` makes so many inputs."""
    long = (pytest.mark.long, pytest.mark.timeout(1_800))
    both = [
        pytest.param((few, each), id=f"{few * each}"),
        pytest.param((many, each), id=f"{many * each}", marks=long),
    ]
    return pytest.mark.parametrize("seeds", both, indirect=True)


def survives(attempt: Callable[[int], object], seeds: Sequence[int]) -> None:
    """Try the input of every seed; whatever is raised names the seed that repeats it."""
    with _bounded():
        for number, seed in enumerate(seeds, 1):
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                attempt(seed)
            except BaseException as error:
                error.add_note(f"the input of seed {seed} did this; --seed {seed} repeats it")
                raise
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if number % TELLS_EVERY == 0:
                sys.stderr.write(f"{number:,} of {len(seeds):,} inputs tried\n")


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Whoever wants much more memory, or works much longer, than one input needs is refused it."""
    before = signal.signal(signal.SIGVTALRM, _hangs)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGVTALRM, before)


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise AssertionError(f"one input takes more than {SECONDS:g} s")
