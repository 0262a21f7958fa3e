"""What users test their handlers with: one handler, a whole cluster in memory, the real stack.

Every public name stands here and is imported when it is first used. Nothing here needs more than
the bare install, save `processor.testing.fixtures`: pytest and the extra `local`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from processor.testing.crashing import crash_everywhere
    from processor.testing.harness import Harness
    from processor.testing.inside import working
    from processor.testing.recording import Call
    from processor.testing.running import Progress, Ran, run
    from processor.testing.simulating import SimulatedJob, simulate
    from processor.testing.virtual_time import (
        StandstillError,
        VirtualTimeLoop,
        in_virtual_time,
        play,
    )

__all__ = [
    "Call",
    "Harness",
    "Progress",
    "Ran",
    "SimulatedJob",
    "StandstillError",
    "VirtualTimeLoop",
    "crash_everywhere",
    "in_virtual_time",
    "play",
    "run",
    "simulate",
    "working",
]

_PLACES: Final = {
    "Harness": "processor.testing.harness",
    "crash_everywhere": "processor.testing.crashing",
    "Call": "processor.testing.recording",
    "Progress": "processor.testing.running",
    "Ran": "processor.testing.running",
    "run": "processor.testing.running",
    "SimulatedJob": "processor.testing.simulating",
    "simulate": "processor.testing.simulating",
    "working": "processor.testing.inside",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_PLACES.get(name, "processor.testing.virtual_time"))
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
