"""How does a command, a demo or a test get a running broker and database?"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from processor.domain.errors import ConfigurationError
from processor.local import family, jars, packages, state
from processor.local.folders import cache_folder, data_folder
from processor.local.server import StackError
from processor.local.state import Stack
from processor.local.supervisor import Plan

__all__ = ["LocalStack", "ServerName", "Stack", "StackError", "find", "running"]

ServerName = Literal["kafka", "postgres"]

STOP_SECONDS = 60.0
"""Longer than the supervisor itself gives a server before it kills it."""


class LocalStack:
    """A running stack in the hands of the process that started it."""

    def __init__(self, stack: Stack, supervisor: subprocess.Popen[str]) -> None:
        self.stack = stack
        self._supervisor = supervisor

    @property
    def supervisor(self) -> int:
        """The supervisor's process id."""
        return self._supervisor.pid

    def processes(self) -> dict[str, int]:
        """The servers' process ids by name; 0 for one that was stopped."""
        running = state.read(self.stack.folder)
        return {} if running is None else running.processes

    def wait(self) -> None:
        """Wait until the stack ends; raises StackError when a server was lost."""
        self._hear()

    def stop(self, server: ServerName) -> None:
        """End one server cleanly; the other goes on."""
        self._order(f"stop {server}")

    def kill(self, server: ServerName) -> None:
        """End one server with SIGKILL; the other goes on."""
        self._order(f"kill {server}")

    def start(self, server: ServerName) -> None:
        """Start one server again on the same port and wait until it serves."""
        self._order(f"start {server}")

    @contextlib.contextmanager
    def frozen(self, server: ServerName) -> Iterator[None]:
        """Hold one server still (SIGSTOP) for a while; its connections stay open."""
        pid = self.processes()[server]
        family.send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            family.send(pid, signal.SIGCONT)

    def _order(self, order: str) -> None:
        assert self._supervisor.stdin is not None  # noqa: S101 - asked for with PIPE
        self._supervisor.stdin.write(f"{order}\n")
        self._supervisor.stdin.flush()
        self._hear()

    def _hear(self) -> dict[str, object]:
        return _hear(self._supervisor)


def find(folder: Path | None = None) -> Stack | None:
    """The stack that runs in a data folder, started by whichever process; None when none does."""
    where = _folder(folder)
    running = state.read(where)
    return None if running is None else Stack(where, running.kafka, running.database)


@contextlib.contextmanager
def running(
    folder: Path | None = None,
    *,
    say: Callable[[str], None] = lambda _line: None,
    progress: jars.Progress | None = None,
    heap: str = "512m",
    buffers: str = "256MB",
) -> Iterator[LocalStack]:
    """A broker and a database in a data folder, which end with the block or with this process.

    The first time, Kafka is fetched into the user's cache, which `progress` follows. `heap` is
    the broker's, in the JVM's words; `buffers` are the database's, in its own. Raises
    ConfigurationError when a stack runs in the folder already, a jar is not the pinned one or
    cannot be fetched; StackError when a server does not start.
    """
    packages.require()
    where = _folder(folder)
    where.mkdir(mode=0o711, parents=True, exist_ok=True)
    (where / "logs").mkdir(exist_ok=True)
    here = jars.ensure(_cache(), progress)
    plan = Plan(os.getpid(), str(where), str(here), heap, buffers)
    with _supervised(where, plan) as supervisor:
        addresses = _hear(supervisor)["ready"]
        assert isinstance(addresses, dict)  # noqa: S101 - the supervisor's own words
        stack = Stack(where, **addresses)
        say(f"Kafka {stack.kafka} · PostgreSQL {stack.database} · data in {where}")
        yield LocalStack(stack, supervisor)


def _folder(folder: Path | None) -> Path:
    return (folder or data_folder(os.environ)).absolute()


def _cache() -> Path:
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    return cache


@contextlib.contextmanager
def _supervised(folder: Path, plan: Plan) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "processor.local.supervisor", json.dumps(asdict(plan))]
    with (folder / "logs" / "supervisor.log").open("a") as log:
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
    try:
        yield supervisor
    finally:
        assert supervisor.stdin is not None  # noqa: S101 - asked for with PIPE
        with contextlib.suppress(BrokenPipeError):
            supervisor.stdin.close()
        try:
            supervisor.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        assert supervisor.stdout is not None  # noqa: S101 - asked for with PIPE
        supervisor.stdout.close()


def _hear(supervisor: subprocess.Popen[str]) -> dict[str, object]:
    """The supervisor's next words; raises what it reports as failed, or its unasked end."""
    assert supervisor.stdout is not None  # noqa: S101 - asked for with PIPE
    line = supervisor.stdout.readline()
    if not line:
        raise StackError("the supervisor of the embedded stack has ended")
    words: dict[str, object] = json.loads(line)
    if "failed" in words:
        kind = ConfigurationError if words["kind"] == ConfigurationError.__name__ else StackError
        raise kind(str(words["failed"]))
    return words
