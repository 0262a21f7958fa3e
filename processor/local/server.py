"""How is one server process started, watched and ended, whatever becomes of the supervisor?

Each server has a session of its own, so that the terminal's Ctrl-C does not reach it, and on Linux
the kernel kills it should the supervisor die without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from processor.domain.errors import ProcessorError
from processor.local import family
from processor.local.account import Account

START_SECONDS = 60.0
STOP_SECONDS = 20.0
GLANCE = 0.02
AGAIN = 0.2
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of linux/prctl.h."""


class StackError(ProcessorError):
    """A server of the embedded stack did not start, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as whom, and how it is known to be ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    """The working folder."""
    log: Path
    ready: bytes
    """What its log says once it serves."""
    end: signal.Signals
    """The signal on which it ends cleanly."""
    account: Account | None = None
    unended: Sequence[bytes] = ()
    """What its log says while something of its former life still runs: it is then tried again."""

    def spawn(self, output: IO[bytes] | int, entered: int = subprocess.DEVNULL) -> Spawned:
        """The process, not waited for."""
        return subprocess.Popen(
            list(self.command),
            stdin=entered,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=dict(self.environment),
            start_new_session=True,
            user=None if self.account is None else self.account.user,
            group=None if self.account is None else self.account.group,
            extra_groups=None if self.account is None else [],
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one thread, one system call
        )


Spawned = subprocess.Popen[bytes]


@dataclass(slots=True)
class Server:
    """A program that is run again on the same port whenever it is asked for."""

    program: Program
    process: Spawned | None = field(default=None, init=False)
    wanted: bool = field(default=False, init=False)

    @property
    def pid(self) -> int:
        """The process id; 0 when it does not run."""
        return 0 if self.process is None else self.process.pid

    async def start(self) -> None:
        """Start and wait until it serves; does nothing when it runs. Raises StackError."""
        if self.process is not None:
            return
        log = self.program.log
        if log.exists():
            log.replace(log.with_suffix(".before.log"))
        async with _deadline(START_SECONDS, self._failure("was not ready in time")):
            while not await self._serves(log):  # noqa: ASYNC110 - no event tells its end
                await asyncio.sleep(AGAIN)
        self.wanted = True

    async def _serves(self, log: Path) -> bool:
        """Spawn it and wait until it serves; False when its former life is not over yet."""
        with log.open("wb") as output:
            self.process = self.program.spawn(output)
        with log.open("rb") as said:
            heard = b""
            while self.program.ready not in heard:
                ended = not self.alive()
                heard += said.read()
                if ended and any(words in heard for words in self.program.unended):
                    return False
                if ended:
                    raise self._failure("did not start")
                await asyncio.sleep(GLANCE)
        return True

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def lost(self) -> StackError | None:
        """What to say when it ended without being asked."""
        return self._failure("ended by itself") if self.wanted and not self.alive() else None

    async def stop(self) -> None:
        """End it cleanly, and after a while by force; stopping twice is legal."""
        self.wanted = False
        if self.process is None:
            return
        if self.alive():
            self.process.send_signal(self.program.end)
            family.send(self.process.pid, signal.SIGCONT)  # a frozen one would never hear of it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await _ended(self.process)
        await self.kill()

    async def kill(self) -> None:
        """End it as a power loss would, with all of its children."""
        self.wanted = False
        if self.process is None:
            return
        if self.alive():
            await family.kill(self.process.pid)
        await _ended(self.process)
        self.process = None

    def _failure(self, what: str) -> StackError:
        code = None if self.process is None else self.process.poll()
        how = "" if code is None else f" (exit code {code})"
        return StackError(f"{self.program.name} {what}{how}; its log: {self.program.log}")


async def run(program: Program, entered: bytes = b"", seconds: float = START_SECONDS) -> None:
    """Run a program to its end, `entered` as its standard input. Raises StackError."""
    with program.log.open("wb") as output:
        process = program.spawn(output, subprocess.PIPE)
    try:
        assert process.stdin is not None  # noqa: S101 - asked for with PIPE
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(entered)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        async with _deadline(seconds, StackError(f"{program.name} hangs")):
            await _ended(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started itself
            process.wait()
    if process.returncode:
        raise StackError(
            f"{program.name} failed (exit code {process.returncode}); its log: {program.log}"
        )


async def _ended(process: Spawned) -> None:
    while process.poll() is None:  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(GLANCE)


@contextlib.asynccontextmanager
async def _deadline(seconds: float, failure: StackError) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise failure from None


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        control(_DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask_the_kernel
