"""What do a simulated worker's calls meet on their way?

Every call of a port takes as long as chance wants, within its run's seed; so every interleaving can
come. On its way it may fail, lose its answer, be the worker's last, or stand still with it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from processor.ports.ledger import Fault
from processor.ports.log import LogFailure
from processor.testing.simulation.plan import Act

if TYPE_CHECKING:
    from processor.ports.clock import Clock
    from processor.testing.simulation.plan import Step

    Refusal = Callable[[str], BaseException | None]

QUICK: Final = (0.0, 0.0, 0.0, 0.001, 0.004, 0.02, 0.1)
SLOW: Final = (0.05, 0.3, 1.0)
_DATABASE: Final = (
    "ledger.",
    "ownership.",
    "workers.",
    "waiting_room.",
    "holds.",
    "transactions.",
    "transaction.",
    "connection.",
    "session.",
    "office.",
    "horizon.",
    "read_side.",
    "cancelling.",
    "operations.",
    "suspects.",
    "projection.",
)


class Sky:
    """What all workers of a run share: is the database there, and the broker?"""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.chance = random.Random(seed)
        self.database_back = 0.0
        """When the database answers again, by the clock."""
        self.broker_back = 0.0
        self.calls = blake2b(digest_size=8)
        """Over every call of the run and its time: two runs with the same one were the same."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called when a job's transaction is about to commit."""
        self.timeline = 1
        """Of the database that is the primary now."""

    def refuse(self, name: str, timeline: int) -> BaseException | None:
        """The error of a call whose other end is away, or is another than when it began."""
        now = self.clock.monotonic()
        away = now < self.database_back or timeline != self.timeline
        if away and name.startswith(_DATABASE):
            return fault_of(name, "the database is away")
        if now < self.broker_back and name == "log.append":
            return LogFailure("the broker is away")
        return None


class Weather:
    """One worker's; stands as the step of its adapters."""

    def __init__(self, sky: Sky, die: Callable[[], BaseException]) -> None:
        """`die` ends the worker and says with what its call ends."""
        self._sky = sky
        self._die = die
        self._next: dict[Act, str] = {}
        """What the next call of a name meets that can; any without one."""
        self._freeze: tuple[str, Callable[[], None]] | None = None
        self.slow_until = 0.0
        self.thawed = asyncio.Event()
        self.thawed.set()

    def turn(self, step: Step) -> None:
        """Let the next calls meet what a step says."""
        if step.act is Act.SLOW:
            self.slow_until = self._sky.clock.monotonic() + step.seconds
        else:
            self._next[step.act] = step.call

    def freeze_at(self, call: str, freeze: Callable[[], None]) -> None:
        """Do this with the next call of that name, which then waits until it is thawed."""
        self._freeze = (call, freeze)

    async def __call__(self, name: str) -> BaseException | None:
        """See `processor.adapters.memory.step.Step`."""
        sky, clock, timeline = self._sky, self._sky.clock, self._sky.timeline
        sky.calls.update(f"{name} {clock.monotonic()};".encode())
        slow = clock.monotonic() < self.slow_until
        await clock.sleep(sky.chance.choice(SLOW if slow else QUICK))
        if self._freeze is not None and name == self._freeze[0]:
            self._freeze[1]()
            self._freeze = None
        if not self.thawed.is_set():
            await self.thawed.wait()
        if name == "log.fetch" and clock.monotonic() < sky.broker_back:
            await clock.sleep(sky.broker_back - clock.monotonic())
        if name == "transaction.complete":
            sky.on_commit()
        refusal = sky.refuse(name, timeline)
        if refusal is not None:
            raise refusal
        return self._once(name) if self._next else None

    def _once(self, name: str) -> BaseException | None:
        if self._meets(Act.DIE_AFTER_CALL, name):
            return self._die()
        error = fault_of(name, "the connection broke")
        if error is None:
            return None
        if self._meets(Act.FAIL_CALL, name):
            raise error
        return error if self._meets(Act.LOSE_ANSWER, name) else None

    def _meets(self, act: Act, name: str) -> bool:
        if self._next.get(act) not in {"", name}:
            return False
        del self._next[act]
        return True


def fault_of(name: str, why: str) -> BaseException | None:
    """How that call of a port may fail; None for one that never does."""
    if name == "transaction.rollback":  # it never raises, says its port
        return None
    if name.startswith(_DATABASE):
        return Fault(why)
    return LogFailure(why) if name == "log.append" else None
