"""How are the processes of a run started, watched, frozen, killed and stopped?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from processor.domain.errors import ProcessorError

STOP_SECONDS = 45.0
"""Longer than a worker's own drain; then it is killed, and that is an error."""
LINES_SHOWN = 15
_ENDS = frozenset({0, -signal.SIGTERM})


@dataclass(slots=True)
class Child:
    """One process; its output goes to a file."""

    name: str
    process: asyncio.subprocess.Process
    output: Path
    killed: bool = False
    """By the run, on purpose."""
    asked: bool = False
    """To end."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.returncode is None

    def freeze(self) -> None:
        """Hold it still (SIGSTOP); its connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on, whoever held it still; harmless where nobody did."""
        if self.alive:
            self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to say goodbye."""
        self.killed = True
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it with SIGTERM and wait; raises `ProcessorError` where it does not end cleanly."""
        if self.killed:
            return
        self.asked = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
            self.wake()  # a frozen process would never hear of it
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            await self.kill()
            raise ProcessorError(
                f"{self.name} did not end within {STOP_SECONDS:g} s of SIGTERM"
            ) from None
        await self.check()

    async def check(self, *, asked: bool = False) -> None:
        """Raise `ProcessorError` with its last lines where it has ended without being asked to."""
        # One that has not come to hear signals yet has nothing to end in order.
        asked = asked or self.asked
        if self.alive or self.killed or (asked and self.process.returncode in _ENDS):
            return
        output = await asyncio.to_thread(self.output.read_text, "utf-8", "replace")
        lines = output.splitlines()[-LINES_SHOWN:]
        raise ProcessorError(
            f"{self.name} ended with exit code {self.process.returncode}; its last lines:\n"
            + "\n".join(f"  {line}" for line in lines)
        )


class Children:
    """The processes of one run; leaving ends them all, however it is left.

    What they say goes to files in `folder`; `within` is the folder that they work in, else ours.
    `runs` is the module that each of them runs, and that runs the command line.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        within: Path | None = None,
        *,
        runs: str = "processor.staging.tethered",
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._within = within
        self._runs = runs
        self._children: list[Child] = []

    async def start(self, name: str, *arguments: str, **changed: str) -> Child:
        """Start `processor ARGUMENTS` as a process that also ends when this one dies.

        `changed` are variables of its environment alone.
        """
        path = self._folder / f"{name.replace(' ', '-')}.log"
        # A session of its own: Ctrl-C reaches this process alone, which then stops them in order.
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                self._runs,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._within,
                env={**os.environ, **self._environment, **changed},
                start_new_session=True,
            )
        finally:
            os.close(output)
        child = Child(name, process, path)
        self._children.append(child)
        return child

    async def check(self) -> None:
        """Raise `ProcessorError` where one has ended without being asked to."""
        for child in self._children:
            await child.check()

    async def stop(self) -> None:
        """End all; raises the first error once every one has ended."""
        ends = await asyncio.gather(
            *(child.stop() for child in self._children), return_exceptions=True
        )
        self._children.clear()
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        except ProcessorError:
            if error is None:  # else the first error is the one to tell
                raise
