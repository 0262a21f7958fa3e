"""Which waiting job starts next, and in how many slots?

Deficit round robin over the lanes' ready entities into N slots; each lane leaves a slot to the
lanes above it. A slot is held while the attempt runs; the entity is held until the job is settled.

Theory of operation. Attempts are started one after the other in one task, the carrier, each in a
context of its own. An attempt that never waits leaves it to the next one; one that has to wait
keeps it as its own task, and another carrier goes on with the rest. Jobs that may share a
transaction are gathered on the way; once nothing more starts at once, or others must have a turn,
they start together, each group as a task that holds one slot.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

import structlog

from processor.domain.lanes import Shares, may_send
from processor.domain.priority import LANES
from processor.runtime.stepping import Rest, first_step

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from processor.domain.mailbox import Mailboxes
    from processor.domain.priority import Priority
    from processor.runtime.admission import Admission
    from processor.runtime.delivery import Delivery
    from processor.runtime.gathering import Gathering
    from processor.runtime.partition import OwnedPartition

BURST: Final = 32
"""Attempts that a carrier starts before everybody else has a turn."""

log = structlog.get_logger(__name__)


class Dispatcher:
    """Starts attempts while there are slots, ready entities, and the gate is open."""

    def __init__(
        self,
        mailboxes: Mailboxes[Delivery],
        slots: int,
        start: Callable[[Delivery], Coroutine[Any, Any, None] | None],
        gate: Callable[[], bool],
        is_lane_held: Callable[[Priority], bool],
        admission: Admission,
        gathering: Callable[[list[int], Callable[[], None]], Gathering],
    ) -> None:
        """`start` gives what is left of an attempt; `gathering` is given the slots held by lane."""
        self._mailboxes = mailboxes
        self._slots = slots
        self._start = start
        self._gate = gate
        self._is_lane_held = is_lane_held
        self._admission = admission
        self._shares = Shares()
        self._held = [0 for _ in LANES]
        self.gathering = gathering(self._held, self.wake)
        self._asked = False
        self._stopped = False
        self._left_behind: set[asyncio.Task[Any]] = set()
        self._carrier: asyncio.Task[None] | None = None
        self._context: Context | None = None
        """What every attempt begins with: not what another one left."""
        self.running: dict[asyncio.Task[Any], Delivery] = {}
        self.dispatched = 0
        """Attempts started so far: tells that the dispatcher makes progress."""

    def wake(self) -> None:
        """Look soon whether a job can start; many calls make one look."""
        if not self._asked:
            self._asked = True
            if self._context is None:
                self._context = copy_context()
            asyncio.get_running_loop().call_soon(self._pump, context=self._context)

    def is_full(self, lane: Priority) -> bool:
        """Whether no job of a lane can start before another ends."""
        return not may_send(lane, self._held, self._slots)

    def has_more(self) -> bool:
        """Whether there are jobs that could start if there are slots for them."""
        return any(self._mailboxes.ready)

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True

    def attempts(self) -> Iterator[Delivery]:
        """The jobs whose attempts run now, in a group or not."""
        yield from self.running.values()
        yield from self.gathering.turns.values()

    async def idle(self, timeout: float) -> None:
        """Return when no attempt of now runs any more, or after that many seconds."""
        if attempts := {*self.running, *self.gathering.groups}:
            await asyncio.wait(attempts, timeout=timeout)

    def forsake(self) -> None:
        """Keep the attempts that do not end from keeping their loop from ending, for ever.

        They were cancelled, and have had the time to end. A loop that is closed cancels what it
        knows and waits for that.
        """
        groups = (*self.gathering.groups, *self.gathering.left_behind)
        for carrier in (*self.running, *groups, *self._left_behind):
            asyncio.tasks._unregister_task(carrier)  # noqa: SLF001 - documented for who extends asyncio

    def cancel(self, partition: OwnedPartition | None = None) -> None:
        """Cancel the running attempts of a partition, or all."""
        for carrier, delivery in self.running.items():
            if partition is None or delivery.partition is partition:
                self._cancel_soon(carrier, delivery)
        self.gathering.leave(partition)

    def stop_one(self, delivery: Delivery) -> bool:
        """Stop the attempt of a job that was ended from outside; False where none runs."""
        for carrier, running in self.running.items():
            if running is delivery:
                delivery.cancelled = True
                self._cancel_soon(carrier, delivery)
                return True
        return self.gathering.stop_one(delivery)

    def _cancel_soon(self, carrier: asyncio.Task[Any], delivery: Delivery) -> None:
        """Not at once: who asks may be the attempt itself, which may not have to wait any more."""

        def cancel() -> None:
            if self.running.get(carrier) is delivery:
                delivery.stopped = True
                carrier.cancel()

        asyncio.get_running_loop().call_soon(cancel)

    def go_on_without(self, delivery: Delivery, ending: Coroutine[None, None, None]) -> None:
        """Let `ending` have the slot of a job whose attempt does not end.

        Its carrier is left to it: nobody waits for that any more.
        """
        (carrier,) = (one for one, running in self.running.items() if running is delivery)
        del self.running[carrier]
        self._left_behind.add(carrier)
        self._begin(delivery, ending)

    def carry_on(
        self,
        delivery: Delivery,
        rest: Coroutine[None, None, None],
        context: Context | None = None,
    ) -> None:
        """Run what is left to do of a job that left its group, also where no slot is free."""
        self._held[delivery.lane] += 1
        self._begin(delivery, rest, context)

    def _begin(
        self,
        delivery: Delivery,
        rest: Coroutine[None, None, None],
        context: Context | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        if context is None and self._context is not None:
            context = self._context.copy()
        task = loop.create_task(self._end(delivery, rest), context=context)
        self.running[task] = delivery

    async def _end(self, delivery: Delivery, ending: Coroutine[None, None, None]) -> None:
        try:
            await ending
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is only told
            _tell(error)
        finally:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - this is one
            self._left_behind.discard(task)
            if self.running.get(task) is delivery:  # it was not left behind
                del self.running[task]
                self._held[delivery.lane] -= 1
                self._admission.ended(delivery)
                self.gathering.over(delivery)
                self.wake()

    def _pump(self) -> None:
        if self._may_begin():
            loop = asyncio.get_running_loop()
            self._carrier = loop.create_task(self._carry(), context=self._context)
        else:
            self._asked = False
            self._start_groups()

    def _may_begin(self) -> bool:
        shut = self._stopped or not self._gate()
        return not shut and (any(self._mailboxes.ready) or self._admission.call_next())

    async def _carry(self) -> None:
        """Start one attempt after the other, until one has waited, or others must have a turn."""
        self._asked = False
        carrier = asyncio.current_task()
        assert carrier is not None  # noqa: S101 - this is one
        if self._stopped or not self._gate():
            self._start_groups()
            return
        served = [not self._is_lane_held(lane) for lane in LANES]
        alone = self.gathering.look()
        may = [served[lane] and may_send(lane, self._held, self._slots) for lane in LANES]
        try:
            for _ in range(BURST):
                delivery = self._next(may, served, alone=alone)
                if delivery is None:
                    self._start_groups()
                    return
                self.running[carrier] = delivery
                rest = self._first_of(delivery)
                if rest is not None:
                    await self._wait_for(rest, delivery, carrier)
                    break
                # One that cancelled its own task must not have the next one pay for it.
                if carrier.cancelling():
                    break
            else:
                self._start_groups()
        finally:
            self.running.pop(carrier, None)
            self._left_behind.discard(carrier)
        self.wake()

    def _first_of(self, delivery: Delivery) -> Rest | None:
        """Start one attempt; what is left of it where it has to wait."""
        delivery.partition.out += 1
        self.dispatched += 1
        context = copy_context() if self._context is None else self._context.copy()
        try:
            rest = context.run(self._start, delivery)
            if rest is not None and isinstance(taken := first_step(rest, context), Rest):
                return taken
        except BaseException as error:  # noqa: BLE001 - it is only told
            _tell(error)
        self._admission.ended(delivery)
        return None

    async def _wait_for(self, rest: Rest, delivery: Delivery, carrier: asyncio.Task[Any]) -> None:
        self._held[delivery.lane] += 1
        self.wake()  # the others do not wait for this one
        try:
            await rest
        except BaseException as error:  # noqa: BLE001 - it is only told
            _tell(error)
        finally:
            if self.running.get(carrier) is delivery:  # it was not left behind
                self._held[delivery.lane] -= 1
                self._admission.ended(delivery)

    def _next(self, may: Sequence[bool], served: Sequence[bool], *, alone: bool) -> Delivery | None:
        """Take the next job among those lanes; None where nothing may start by itself.

        What may share a transaction is gathered meanwhile, unless each runs `alone`.
        """
        mailboxes, gathering = self._mailboxes, self.gathering
        everywhere = all(may)
        while True:
            ready = mailboxes.ready
            if not alone:
                ready = gathering.with_room(mailboxes, may, served)
            elif not everywhere:
                ready = [count if one else 0 for count, one in zip(ready, may, strict=True)]
            lane = self._shares.pick(ready)
            if lane is None:
                if self._admission.call_next():
                    continue
                return None
            delivery = mailboxes.take(lane)
            if not alone and gathering.takes(lane, delivery):
                continue
            if delivery.partition.quarantine is None or self._admission.admits(delivery):
                return delivery

    def _start_groups(self) -> None:
        self.dispatched += self.gathering.start(
            self._context, lambda one: self._begin(one, self._by_itself(one))
        )

    async def _by_itself(self, delivery: Delivery) -> None:
        """Run a job that could have shared its transaction and found nobody."""
        rest = self._start(delivery)
        if rest is not None:
            await rest


def _tell(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    if not isinstance(error, asyncio.CancelledError):
        log.critical("an attempt broke outside its handler", exc_info=error)
