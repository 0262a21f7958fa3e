"""What does an operator work with, and how does a record of his come into the log?"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from processor.domain.errors import Unavailable
from processor.ports.log import Append, LogFailure, Place
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

    from processor.domain.topics import Topics
    from processor.ports.cancelling import Cancelling
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.holds import Holds
    from processor.ports.ledger import Ledger
    from processor.ports.log import Log
    from processor.ports.operations import Operations
    from processor.ports.projection import LetterRows
    from processor.ports.waiting_room import Rows
    from processor.runtime.acknowledged import Acknowledged

TIMEOUT: Final = 10.0
"""Seconds until a record without acknowledgement counts as unknown."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What operating works with."""

    log: Log
    codec: Codec
    clock: Clock
    topics: Topics
    partitions: int
    acknowledged: Acknowledged
    letters: LetterRows
    operations: Operations
    ledger: Ledger
    rows: Rows
    cancelling: Cancelling
    holds: Holds
    timeline: Callable[[], int]
    """The database's timeline as it was last seen."""
    metrics: MetricsService = field(default_factory=MetricsService)
    tracing: Tracing = field(default_factory=Tracing)
    telling: Callable[[], AbstractContextManager[None]] = nullcontext
    """Around everything that an operator asks: failures become one clear line there."""

    async def publish(self, value: bytes, partition: int, entity: str) -> None:
        """Append an outcome that is durable to the journal; raises `Unavailable`."""
        await self.append_all(
            [Append(Place(self.topics.events, partition), entity.encode(), value)]
        )

    async def append_all(
        self, records: Sequence[Append], spans: Sequence[Span | None] = ()
    ) -> list[int]:
        """Append records in their order, and end their spans; the offset of each.

        Raises `Unavailable` where one is not known to be appended.
        """
        answers = await self.log.append(records, TIMEOUT)
        for span, answer in zip(spans, answers, strict=False):
            if span is not None:
                self.tracing.sent(span, answer)
        failures = [one for one in answers if isinstance(one, LogFailure)]
        if failures:
            raise Unavailable(
                f"what was asked is not known to be done: {failures[0]}; asking again is harmless"
            )
        return [one for one in answers if not isinstance(one, LogFailure)]
