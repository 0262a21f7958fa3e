"""Where does a process spend its CPU time?

py-spy looks at it from outside, 200 times a second, so that the process runs as it would.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from processor.domain.errors import ConfigurationError

RATE: Final = 200
FORMATS: Final = {".svg": "flamegraph", ".json": "speedscope", ".txt": "raw"}


def sampler() -> str:
    """Where py-spy is; raises `ConfigurationError`."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ConfigurationError("a profile needs py-spy: pip install py-spy")
    return found


def format_of(file: Path) -> str:
    """How a profile is written; raises `ConfigurationError`."""
    if file.suffix not in FORMATS:
        raise ConfigurationError(
            "a profile is a .svg (flame graph), a .json (speedscope) or a .txt (stacks), not"
            f" {file}"
        )
    return FORMATS[file.suffix]


@contextlib.asynccontextmanager
async def profiled(process: int, file: Path | None) -> AsyncIterator[None]:
    """While the block lasts, a process is looked at; nothing where no file is wanted."""
    if file is None:
        yield
        return
    command = [sampler(), "record", "--pid", str(process), "--output", str(file)]
    command += ["--format", format_of(file), "--rate", str(RATE), "--nonblocking"]
    looking = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            looking.send_signal(signal.SIGINT)
        _, said = await looking.communicate()
    if not await asyncio.to_thread(file.exists):
        raise ConfigurationError(f"py-spy made no profile: {said.decode(errors='replace').strip()}")
