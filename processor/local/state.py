"""What runs in a data folder, and who runs it?

A running supervisor holds a lock on `lock`, which the system takes back when it dies, however it
dies: no number of a process can be mistaken for it. `running.json` says where the servers are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from processor.domain.errors import ConfigurationError

LOOKED_AT = 0.5
"""Seconds for which another command may hold the lock only because it looks."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running broker and database."""

    folder: Path
    kafka: str
    """host:port"""
    database: str
    """postgresql://user@host:port/name"""


@dataclass(frozen=True, slots=True)
class Running:
    """What the supervisor writes down once both servers answer."""

    supervisor: int
    kafka: str
    database: str
    processes: dict[str, int]
    """Process ids by server: kafka, postgres."""


def write(folder: Path, running: Running) -> None:
    """Say where the servers are; whoever reads sees the old text or the new one."""
    aside = folder / f"running.json.{os.getpid()}"
    aside.write_text(json.dumps(asdict(running)), "utf-8")
    aside.replace(folder / "running.json")


def read(folder: Path) -> Running | None:
    """What the folder's living supervisor wrote; None when none lives or it is not ready."""
    try:
        with (folder / "lock").open("rb") as lock:
            if _take(lock.fileno(), fcntl.LOCK_SH):
                return None
        return Running(**json.loads((folder / "running.json").read_text("utf-8")))
    except FileNotFoundError:
        return None


def clear(folder: Path) -> None:
    """Say that nothing runs any more."""
    (folder / "running.json").unlink(missing_ok=True)


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the one supervisor of a data folder; raises ConfigurationError naming the first."""
    with (folder / "lock").open("a+b") as lock:
        deadline = time.monotonic() + LOOKED_AT
        while not _take(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                lock.seek(0)
                owner = lock.read().decode() or "another"
                raise ConfigurationError(
                    f"a stack runs in {folder} already (process {owner}):"
                    " use it, stop it, or name another data folder"
                )
            time.sleep(0.02)
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        lock.flush()
        yield


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
