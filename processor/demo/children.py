"""How are the demo's processes started, watched, killed and stopped?"""

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


@dataclass(slots=True)
class Child:
    """One process; its output goes to a file."""

    name: str
    process: asyncio.subprocess.Process
    output: Path
    killed: bool = False
    """By the demo, on purpose."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.returncode is None

    async def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to say goodbye."""
        self.killed = True
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it with SIGTERM and wait; raises `ProcessorError` where it does not end cleanly."""
        if self.killed:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            await self.kill()
            raise ProcessorError(
                f"{self.name} did not end within {STOP_SECONDS:g} s of SIGTERM"
            ) from None
        await self.check(asked=True)

    async def check(self, *, asked: bool = False) -> None:
        """Raise `ProcessorError` with its last lines where it has ended without being asked to."""
        if self.alive or self.killed or (asked and self.process.returncode == 0):
            return
        output = await asyncio.to_thread(self.output.read_text, "utf-8", "replace")
        lines = output.splitlines()[-LINES_SHOWN:]
        raise ProcessorError(
            f"{self.name} ended with exit code {self.process.returncode}; its last lines:\n"
            + "\n".join(f"  {line}" for line in lines)
        )


class Children:
    """The processes of one run; leaving ends them all, however it is left."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._children: list[Child] = []

    async def start(self, name: str, *arguments: str) -> Child:
        """Start `processor ARGUMENTS` as a process that also ends when this one dies."""
        path = self._folder / f"{name.replace(' ', '-')}.log"
        # A session of its own: Ctrl-C reaches the demo alone, which then stops them in order.
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "processor.demo.tethered",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment},
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
