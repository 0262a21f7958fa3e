"""What are the jobs that run together, and how is one of them stopped, or all?"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from processor.domain.priority import Priority
    from processor.ports.ledger import Answer, Fault
    from processor.ports.shared_transactions import SharedTransaction
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Handler
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.run import Run
    from processor.runtime.turn import Turn


class Member:
    """A job of a group, and how far it came in the transaction of now."""

    __slots__ = ("body", "context", "delivery", "error", "handler", "run", "verdict")

    def __init__(self, delivery: Delivery, handler: Handler[Any]) -> None:
        self.delivery = delivery
        self.handler = handler
        self.context: Context = copy_context()
        """What its handler sets there is its own."""
        self.forget()

    def forget(self) -> None:
        """Nothing of it stands any more: it is to be run again."""
        self.run: Run | None = None
        self.verdict: Answer | None = None
        self.body: bytes | None = None
        """Its outcome, where what it did is kept."""
        self.error: BaseException | None = None

    def begin(self, begin: Callable[[Delivery], Run]) -> Run:
        """Its run begins, seen as the delivery's; its span is its own context's."""
        run = self.run = self.delivery.running = self.context.run(begin, self.delivery)
        return run

    @property
    def is_wanted(self) -> bool:
        """Whether it may still run: nobody ended it, and its partition is kept."""
        return self.delivery.partition.open and not self.delivery.cancelled


class BrokenUp(Exception):  # noqa: N818 - reads as a sentence
    """The transaction of a group is of no use to the others any more."""

    def __init__(
        self,
        culprit: Member | None = None,
        fault: Fault | None = None,
        *,
        is_known: bool = True,
    ) -> None:
        self.culprit = culprit
        """Whose turn it was."""
        self.fault = fault
        self.is_known = is_known and fault is None
        """Whether that job failed, and no other."""


class JobGroup:
    """Jobs of different entities that share a transaction, one after the other."""

    def __init__(
        self,
        lane: Priority,
        kind: str,
        deliveries: list[Delivery],
        turns: dict[asyncio.Task[Any], Delivery],
    ) -> None:
        """`turns` shows others whose turn it is."""
        self.lane = lane
        self.kind = kind
        self.deliveries = deliveries
        """Those that have not gone their own way."""
        self.transaction: SharedTransaction | None = None
        self.stopped = False
        """Everything stops: the worker lets all of it go."""
        self.dissolved = False
        """Its handler does not end: the others have gone on without it."""
        self.task: asyncio.Task[None] | None = None
        self._turns = turns
        self._turn: Turn | None = None
        self._who: Sequence[Member] = ()

    def begin_turn(self, turn: Turn, who: Sequence[Member]) -> None:
        """It is the turn of these now."""
        self._turn, self._who = turn, who
        if self.task is not None:
            self._turns[self.task] = who[0].delivery

    def end_turn(self) -> None:
        """It is nobody's turn."""
        self._turn, self._who = None, ()
        if self.task is not None:
            self._turns.pop(self.task, None)

    def leave(self, partition: OwnedPartition | None) -> None:
        """Stop what runs of a partition that is lost, or cannot be waited for any longer; or all.

        All: the transaction is rolled back, nothing is recorded.
        """
        if partition is None:
            self.stopped = True
            if self.task is not None:
                self.task.cancel()
        elif any(member.delivery.partition is partition for member in self._who):
            self._break_off()

    def stop_one(self, delivery: Delivery) -> bool:
        """Stop a job that was ended from outside; False where it is not one of these."""
        if delivery not in self.deliveries:
            return False
        delivery.cancelled = True
        if any(member.delivery is delivery for member in self._who):
            asyncio.get_running_loop().call_soon(self._break_off_turn, self._turn)
        return True

    def _break_off(self) -> None:
        self._break_off_turn(self._turn)

    def _break_off_turn(self, turn: Turn | None) -> None:
        """Not at once: who asks may be the handler itself."""
        if turn is not None and turn is self._turn:
            turn.break_off()
