"""Which processes belong to a server, and when have all of them gone?

PostgreSQL serves each connection from a child that leads a session of its own: a signal to the
server's process, or to its group, does not reach it. As long as one of them lives, the memory that
they share is in use, and the next server refuses to start.

Children are known on Linux only; elsewhere they are left to notice for themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

GLANCE = 0.002
STILL_SECONDS = 1.0
_ENDED = frozenset("ZX")
_STILL = _ENDED | frozenset("Tt")


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process first, so that it has no more children, and then its children."""
    before = _children(pid)
    os.kill(pid, number)
    for child in before | _children(pid):
        _signal(child, number)


async def kill(pid: int) -> None:
    """Kill a process and its children, and return when none of them does anything any more.

    Its parent still has to reap it. Does nothing when it has been reaped.
    """
    _signal(pid, signal.SIGSTOP)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STILL_SECONDS):  # what waits for its disk stops after that
            await _until(pid, _STILL)
    members = _children(pid) | {pid}
    for member in members:
        _signal(member, signal.SIGKILL)
    for member in members:
        await _until(member, _ENDED)


async def _until(pid: int, states: frozenset[str]) -> None:
    while _state(pid) not in states:  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(GLANCE)


def _state(pid: int) -> str:
    """One letter, as the kernel writes it; X also when the process has been reaped."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return "X"
    return told.rpartition(")")[2].split()[0]  # its name, in brackets, may hold anything


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(int(child) for child in thread.read_text("ascii").split())
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
