"""Which processes belong to a server?

PostgreSQL serves each connection from a child that leads a session of its own: a signal to the
server's process, or to its group, does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process first, so that it has no more children, and then its children.

    Children are known on Linux only; elsewhere they are left to notice for themselves.
    """
    before = _children(pid)
    os.kill(pid, number)
    for child in before | _children(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(int(child) for child in thread.read_text("ascii").split())
    return found
