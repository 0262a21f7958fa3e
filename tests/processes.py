"""In how many processes do the tests run?

Half of the whole suite's time somebody waits, for a session to end or a server to start: in two
processes it takes little more than half as long. Each of them has a broker and a database of its
own, which a single test named by hand need not pay for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FEW = 10
"""So many files are no more than what somebody works at."""
AT_MOST = 2
MEMORY = 2 << 30
"""Bytes that one of them takes, with its servers and all that its tests start beside them."""


def processes(files: int, cores: int, memory: int) -> int:
    """How many are started for so many files, on so many cores, with so many bytes of memory.

    Zero: none beside the one that is asked.
    """
    affordable = min(AT_MOST, cores, memory // MEMORY)
    return affordable if files > FEW and affordable > 1 else 0


def files(arguments: Sequence[str], folder: Path) -> int:
    """How many files of tests a command line names."""
    named = (folder / argument.partition("::")[0] for argument in arguments)
    return sum(len([*path.rglob("test_*.py")]) if path.is_dir() else 1 for path in named)
