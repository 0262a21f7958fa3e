"""What do the processes take from one moment to another, and what does anybody else?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from processor.bench.processes import Family
    from processor.staging.children import Child

LOOK_SECONDS: Final = 0.1
REMEMBER_SECONDS: Final = 2.0
BUSY: Final = ("user", "nice", "system", "irq", "softirq", "steal")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken since the meter was set."""

    seconds: float
    cpu: Mapping[str, float]
    """CPU seconds, by process."""
    memory: Mapping[str, float]
    """MiB at the end, by process."""
    others: float
    """Cores that were busy with anything else, the benchmark's own looking included."""

    def per_thousand(self, jobs: float) -> dict[str, float]:
        """CPU seconds for 1,000 jobs, by process."""
        return {name: spent / max(jobs, 1) * 1000 for name, spent in self.cpu.items()}


class Meter:
    """Set when it is made; of a process that ends it keeps what it saw last."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._since = time.perf_counter()
        self._busy = _busy()
        self._before = family.spent()
        self._spent = dict(self._before)
        self._memory: dict[str, float] = {}

    def look(self) -> None:
        """Look at the CPU, which is cheap."""
        for name, spent in self._family.spent().items():
            self._spent[name] = max(self._spent[name], spent)

    def look_at_memory(self) -> None:
        """Look at the memory, which takes some milliseconds."""
        for name, mebibytes in self._family.memory().items():
            self._memory[name] = max(self._memory.get(name, 0.0), mebibytes)

    def read(self) -> Taken:
        """What was taken so far."""
        self.look()
        busy, seconds = _busy() - self._busy, time.perf_counter() - self._since
        self.look_at_memory()
        cpu = {name: spent - self._before[name] for name, spent in self._spent.items()}
        others = max(0.0, busy - sum(cpu.values())) / seconds
        return Taken(seconds, cpu, self._memory, others)


async def until_ended(children: Sequence[Child], meter: Meter) -> Taken:
    """Wait until processes have ended by themselves; what was taken until then.

    Raises `ProcessorError` where one did not end well.
    """
    ending = asyncio.gather(*(child.process.wait() for child in children))
    remembered = -REMEMBER_SECONDS
    while not ending.done():
        meter.look()
        if time.monotonic() - remembered >= REMEMBER_SECONDS:
            meter.look_at_memory()
            remembered = time.monotonic()
        await asyncio.wait({ending}, timeout=LOOK_SECONDS)
    taken = meter.read()
    for child in children:
        await child.check(asked=True)
    return taken


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in BUSY))
