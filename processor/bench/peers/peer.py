"""What must another system be able to do, to be compared?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Final, Protocol

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.bench.work import Workload
    from processor.settings import Settings

PARTS: Final = {"pgqueuer": 1.0, "procrastinate": 0.05}
"""The part of our own number of jobs that each can be asked, so that it takes about as long."""


class Peer(Protocol):
    """Another system in a round's own database; `prepare` comes first."""

    async def prepare(self) -> None:
        """Make its tables."""
        ...

    async def submit(self, workload: Workload, jobs: int) -> None:
        """Enqueue so many by its fastest call, of low priority."""
        ...

    async def submit_one(self, workload: Workload, number: int, *, urgent: bool) -> None:
        """Enqueue one that carries the time."""
        ...

    async def analyze(self) -> None:
        """Let the planner know what its tables hold."""
        ...

    async def begun(self) -> int:
        """1 once a worker has taken a job, else 0; costs next to nothing."""
        ...

    async def lasted(self) -> float:
        """Seconds from the first job taken to the last completion, as its own tables say."""
        ...

    async def ended(self, workload: Workload, since: float, until: float) -> int:
        """How many completed in between, in seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A system that can be asked."""

    name: str
    version: str
    connected: Callable[[Settings], AbstractAsyncContextManager[Peer]]
    module: str
    """What a worker process of it runs, with the arguments MANNER, TYPE and FILE."""
    part: float

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}"


def find(name: str) -> Known:
    """The system of that name; raises `ConfigurationError`."""
    if name not in PARTS:
        raise ConfigurationError(f"{name!r} is none to compare with; there are {', '.join(PARTS)}")
    module = f"{__package__}.{name}_peer"
    try:
        connected = import_module(module).connected
        version = metadata.version(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        raise ConfigurationError(f"{name} is not installed: pip install {name}") from missing
    return Known(name, version, connected, module, PARTS[name])
