"""What does an attempt need of its worker?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from processor.ports.clock import Clock
    from processor.runtime.breaking import Breakers
    from processor.runtime.calling import Caller
    from processor.runtime.delivery import Delivery
    from processor.runtime.flusher import Flusher
    from processor.runtime.handlers import Jobs
    from processor.runtime.observing import Observer
    from processor.runtime.outcomes import Outcomes
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.recording import Recorder
    from processor.runtime.run import Desk
    from processor.runtime.settling import Settling


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What an attempt needs of its worker."""

    jobs: Jobs
    outcomes: Outcomes
    desk: Desk
    clock: Clock
    caller: Caller
    flusher: Flusher
    recorder: Recorder
    settling: Settling
    breakers: Breakers
    observer: Observer
    grace: float
    """Seconds that a job waits for a handler of its type."""
    doubt: Callable[[OwnedPartition, str], None]
    look_afresh: Callable[[int], None]
    """Has what is held in a partition looked at soon."""
    go_on_without: Callable[[Delivery, Coroutine[None, None, None]], None]
    """Lets a coroutine have the slot of an attempt that does not end."""
