"""How do jobs that may share a transaction come together, start, and stop?

They are gathered while the dispatcher takes jobs, and start when it has taken what it can: each
group as a task of its own that holds one slot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from processor.runtime.forming import Forming
from processor.runtime.job_group import JobGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextvars import Context

    from processor.domain.mailbox import Mailboxes
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Jobs
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.sharing import Sharing
    from processor.runtime.world import Manner

log = structlog.get_logger(__name__)


def gathering(
    jobs: Jobs,
    sharing: Sharing,
    manner: Manner,
    run: Callable[[JobGroup], Coroutine[None, None, None]],
) -> Callable[[list[int], Callable[[], None]], Gathering]:
    """What makes a worker's, of the slots that are held by lane, and of what wakes it."""

    def made(held: list[int], wake: Callable[[], None]) -> Gathering:
        forming = Forming(jobs, sharing, manner.groups, held, manner.slots)
        return Gathering(forming, run, held, wake)

    return made


class Gathering:
    """The groups that form, and those that run."""

    def __init__(
        self,
        forming: Forming,
        run: Callable[[JobGroup], Coroutine[None, None, None]],
        held: list[int],
        wake: Callable[[], None],
    ) -> None:
        """`held`: the slots that are held, by lane; a group's is given back when it has ended."""
        self._forming = forming
        self._run = run
        self._held = held
        self._wake = wake
        self.groups: dict[asyncio.Task[Any], JobGroup] = {}
        self.turns: dict[asyncio.Task[Any], Delivery] = {}
        """Whose turn it is in each group."""
        self._alone: dict[Delivery, None] = {}
        self._seen: dict[int, tuple[Delivery, str | None]] = {}
        self.left_behind: set[asyncio.Task[Any]] = set()
        """Groups whose handler does not end."""

    def look(self) -> bool:
        """Look at all jobs anew; whether each of them runs by itself: nothing need be asked."""
        self._seen.clear()
        return self._forming.idle

    def takes(self, lane: int, delivery: Delivery) -> bool:
        """Take a job that was next of its lane, if it may share its transaction."""
        kind = self._kind_of(lane, delivery)
        if kind is None:
            return False
        delivery.partition.out += 1
        self._forming.add(delivery.lane, kind, delivery)
        return True

    def with_room(
        self, mailboxes: Mailboxes[Delivery], may: Sequence[bool], served: Sequence[bool]
    ) -> list[int]:
        """How many jobs are ready in the lanes whose next one may start, or join a group.

        `may`: whether a lane's job may start by itself; `served`: whether any may.
        """
        ready = list(mailboxes.ready)
        for lane, count in enumerate(ready):
            if count:
                one = mailboxes.next_of(lane)
                kind = self._kind_of(lane, one) if served[lane] else None
                if not (may[lane] if kind is None else self._forming.has_room(one.lane, kind)):
                    ready[lane] = 0
        return ready

    def _kind_of(self, lane: int, delivery: Delivery) -> str | None:
        """As `Forming` says; asked once of each lane's next job, which stays the same for long."""
        seen = self._seen.get(lane)
        if seen is None or seen[0] is not delivery:
            seen = self._seen[lane] = (delivery, self._forming.kind_of(delivery))
        return seen[1]

    def start(self, context: Context | None, by_itself: Callable[[Delivery], None]) -> int:
        """Start what was gathered, spread over what is idle; how many jobs that are.

        `by_itself` starts a job that found nobody, and says when it is `over`.
        """
        started = 0
        for lane, kind, deliveries in self._forming.groups():
            started += len(deliveries)
            if len(deliveries) == 1:
                self._alone[deliveries[0]] = None
                by_itself(deliveries[0])
                continue
            group = JobGroup(lane, kind, deliveries, self.turns)
            loop = asyncio.get_running_loop()
            group.task = loop.create_task(self._carry(group), context=context)
            self.groups[group.task] = group
        return started

    def over(self, delivery: Delivery) -> None:
        """An attempt has ended: perhaps one that could have shared its transaction."""
        if delivery in self._alone:
            del self._alone[delivery]
            self._forming.ended(delivery.lane)

    def leave(self, partition: OwnedPartition | None) -> None:
        """Stop what runs of a partition, or all of it."""
        for group in self.groups.values():
            asyncio.get_running_loop().call_soon(group.leave, partition)

    def stop_one(self, delivery: Delivery) -> bool:
        """Stop a job that was ended from outside; False where it is in no group."""
        return any(group.stop_one(delivery) for group in self.groups.values())

    def leave_behind(self, group: JobGroup) -> None:
        """Go on without a group whose handler does not end: its jobs went their own way."""
        if group.task is not None and self._end(group):
            self.left_behind.add(group.task)

    async def _carry(self, group: JobGroup) -> None:
        try:
            await self._run(group)
        except Exception as error:
            log.critical("a group broke outside its handlers", exc_info=error)
        finally:
            self._end(group)
            self.left_behind -= {group.task}

    def _end(self, group: JobGroup) -> bool:
        if group.task is None or self.groups.pop(group.task, None) is None:
            return False
        self.turns.pop(group.task, None)
        self._held[group.lane] -= 1
        self._forming.ended(group.lane)
        self._wake()
        return True
