"""Which partitions does Kafka's consumer group want this worker to own?

Theory of operation. One consumer joins the group, subscribed to all lanes under the range assignor,
so that partition p of every lane goes to the same member. It reads nothing: everything assigned is
paused at once. It is polled only to hear of its errors and to be counted as alive; who does not
poll for `poll_seconds` leaves the group, so it is polled only while the worker makes progress.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError, NoError, RebalanceInProgressError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from processor.adapters.kafka.connection import (
    START_SECONDS,
    STOP_SECONDS,
    begin,
    end,
    first_line,
)
from processor.adapters.kafka.grouping import of_group
from processor.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

STEP_SECONDS = 0.25
ANSWERS = frozenset({NoError.errno, RebalanceInProgressError.errno})
"""What the coordinator says to a member that it knows."""

log = structlog.get_logger(__name__)


class KafkaMembership:
    """Implements `processor.ports.membership.Membership`; `async with`.

    Entering raises `Unavailable` when no broker answers in time; it does not wait for an
    assignment. Leaving tells the group, within a bounded time. Nothing is ever committed.
    """

    def __init__(  # noqa: PLR0913 - the times of a member
        self,
        address: str,
        group: str,
        lanes: Sequence[str],
        partitions: int,
        *,
        progress: Callable[[], bool] = lambda: True,
        session_seconds: float = 45.0,
        heartbeat_seconds: float = 3.0,
        rebalance_seconds: float = 60.0,
        poll_seconds: float = 60.0,
        start_seconds: float = START_SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._address = address
        self._lanes = tuple(lanes)
        self._partitions = partitions
        self._progress = progress
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._settings = of_group(
            address,
            group,
            session=session_seconds,
            heartbeat=heartbeat_seconds,
            rebalance=rebalance_seconds,
            poll=poll_seconds,
        )
        # Nothing is read through it: a position that were missing would be no loss.
        self._settings["auto_offset_reset"] = "latest"
        self._consumer: Any = None
        self._polling: asyncio.Task[None] | None = None
        self._assigned: frozenset[int] = frozenset()
        self._answered = -math.inf
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._join()
        self._polling = asyncio.create_task(self._poll())
        self._polling.add_done_callback(_ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})
        if self._consumer is not None:
            await end(self._consumer, self._stop_seconds)

    def assigned(self) -> frozenset[int]:
        """See `processor.ports.membership.Membership`."""
        return self._assigned

    def heartbeat_age(self) -> float:
        """See `processor.ports.membership.Membership`; counted from when it was sent."""
        return time.monotonic() - self._answered

    async def changed(self) -> None:
        """See `processor.ports.membership.Membership`."""
        await self._change.wait()
        self._change.clear()

    async def _join(self) -> None:
        consumer = AIOKafkaConsumer(**self._settings)
        await begin(consumer, self._address, self._start_seconds)
        self._consumer = consumer
        # No await from here to the end: the join begins with the subscription.
        self._watch(consumer._coordinator)  # noqa: SLF001 - a heartbeat's age is not exposed
        consumer.subscribe(self._lanes, listener=_Listener(consumer, self._note))

    def _watch(self, coordinator: Any) -> None:  # noqa: ANN401 - aiokafka ships no types
        """Note when the coordinator was last asked something that it then answered."""
        send = coordinator._send_req  # noqa: SLF001

        async def watched(request: Any) -> Any:  # noqa: ANN401
            asked = time.monotonic()
            response = await send(request)
            known = isinstance(request, (HeartbeatRequest, SyncGroupRequest))
            if known and response.error_code in ANSWERS:
                self._answered = max(self._answered, asked)
            return response

        coordinator._send_req = watched  # noqa: SLF001

    def _note(self, assigned: Iterable[tuple[str, int]]) -> None:
        lanes = Counter(partition for _topic, partition in assigned)
        whole = {number for number, count in lanes.items() if count == len(self._lanes)}
        wanted = frozenset(number for number in whole if number < self._partitions)
        if left := lanes.keys() - wanted:
            log.warning(
                "partitions are not worked: not in every lane, or beyond the pinned count",
                partitions=sorted(left),
                pinned=self._partitions,
            )
        if wanted != self._assigned:
            log.info("the group wants other partitions of this worker", partitions=sorted(wanted))
            self._assigned = wanted
            self._change.set()

    async def _poll(self) -> None:
        """Hear of the coordinator's errors, and count as alive while the worker progresses."""
        polled = True
        while True:
            await asyncio.sleep(STEP_SECONDS)
            if self._progress() != polled:
                polled = not polled
                log.warning("the worker makes progress" if polled else "the worker stands still")
            if not polled:
                continue
            try:
                await self._consumer.getmany(timeout_ms=0)
            except KafkaError as error:
                log.warning("the group's coordinator reports an error", error=first_line(error))
                await self._mend()

    async def _mend(self) -> None:
        """Join anew where the client has given up; otherwise it goes on by itself."""
        if not self._consumer._coordinator._coordination_task.done():  # noqa: SLF001
            return
        await end(self._consumer, self._stop_seconds)
        while True:
            try:
                await self._join()
            except Unavailable as error:
                log.warning("the group cannot be joined yet", error=str(error))
                await asyncio.sleep(STEP_SECONDS)
            else:
                return


@ConsumerRebalanceListener.register
class _Listener:
    """Pauses whatever is assigned before anything can be fetched; revocations say nothing."""

    def __init__(self, consumer: Any, note: Callable[[Iterable[Any]], None]) -> None:  # noqa: ANN401
        self._consumer = consumer
        self._note = note

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Do nothing: who owns a partition is decided elsewhere, and a join waits for this."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Pause, and give each a position, so that none is looked up."""
        self._consumer.pause(*assigned)
        for partition in assigned:
            self._consumer.seek(partition, 0)
        self._note(assigned)


def _ended(polling: asyncio.Task[None]) -> None:
    if not polling.cancelled() and (error := polling.exception()) is not None:
        log.error("the group is no longer polled: this worker will leave it", error=repr(error))
