"""What do the processes take from one moment to another, and what does anybody else?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from processor.bench.processes import Family

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
    """Set when it is made."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._since = time.perf_counter()
        self._busy = _busy()
        self._spent = family.spent()

    def read(self) -> Taken:
        """What was taken so far."""
        spent, busy = self._family.spent(), _busy()
        seconds = time.perf_counter() - self._since
        cpu = {name: max(0.0, spent[name] - before) for name, before in self._spent.items()}
        others = max(0.0, busy - self._busy - sum(cpu.values())) / seconds
        return Taken(seconds, cpu, self._family.memory(), others)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in BUSY))
