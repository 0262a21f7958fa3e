"""How do submissions that fit become records in their lanes?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.ids import partition_of
from processor.domain.priority import LANES, Priority
from processor.domain.submission import trace_headers
from processor.ports.log import Append, LogFailure, Place
from processor.runtime.submission import record_of
from processor.runtime.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from opentelemetry.trace import Span

    from processor.domain.ids import JobId
    from processor.domain.submission import SubmissionRecord, Trace
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.log import Log
    from processor.runtime.acknowledged import Acknowledged, Acknowledgement
    from processor.runtime.checking import Checked

_ENTITIES_KEPT: Final = 65_536
"""Entities whose partition need not be computed again."""


class Terms(NamedTuple):
    """What the submissions of one call share."""

    priority: Priority
    batch: UUID | None
    trace: Trace | None
    timeout: float
    """Seconds until a record without acknowledgement counts as unknown."""


class Submitter:
    """Appends submissions and remembers where the broker says they stand."""

    def __init__(
        self,
        log: Log,
        codec: Codec,
        clock: Clock,
        topics: Topics,
        partitions: int,
        acknowledged: Acknowledged,
        tracing: Tracing | None = None,
    ) -> None:
        self._log = log
        self._codec = codec
        self._clock = clock
        self._partitions = partitions
        self._acknowledged = acknowledged
        self._tracing = tracing or Tracing()
        self._places = [
            [Place(topics.lane(lane), number) for number in range(partitions)] for lane in LANES
        ]

        @lru_cache(_ENTITIES_KEPT)
        def remembered(entity: str) -> int:
            return partition_of(entity, partitions)

        self._partition_of = remembered

    async def send(self, checked: Sequence[Checked], terms: Terms) -> dict[UUID, str]:
        """Append them in their order; what is not known to be appended, and why."""
        now = self._clock.now()
        records: list[SubmissionRecord] = []
        appends: list[Append] = []
        spans: list[tuple[int, Span]] = []
        traced = self._tracing.look()
        for submission, payload in checked:
            record = record_of(
                submission,
                payload,
                priority=terms.priority,
                submitted_at=now,
                batch=terms.batch,
                trace=terms.trace,
            )
            # An entity that only this job has would push the others out of memory.
            partition = (
                partition_of(record.entity, self._partitions)
                if submission.entity is None
                else self._partition_of(record.entity)
            )
            place = self._places[record.priority][partition]
            if traced:
                remote = submission.trace is not None
                span, record = self._tracing.send(record, place, remote=remote)
                if span is not None:
                    spans.append((len(records), span))
            records.append(record)
            appends.append(
                Append(
                    place,
                    record.entity.encode(),
                    self._codec.encode_submission(record),
                    trace_headers(record.trace) if record.trace is not None else (),
                )
            )
        answers = await self._log.append(appends, terms.timeout)
        for number, span in spans:
            self._tracing.sent(span, answers[number])
        return self._kept(records, appends, answers)

    def acknowledged(self, job: JobId) -> Acknowledgement | None:
        """The newest place of a job that was sent from here, while it is remembered."""
        return self._acknowledged.find(job)

    def _kept(
        self,
        records: Sequence[SubmissionRecord],
        appends: Sequence[Append],
        answers: Sequence[int | LogFailure],
    ) -> dict[UUID, str]:
        now = self._clock.now()
        unknown: dict[UUID, str] = {}
        for record, append, answer in zip(records, appends, answers, strict=True):
            if isinstance(answer, LogFailure):
                unknown[record.job] = str(answer)
            else:
                self._acknowledged.keep(record, append.place, answer, now)
        self._acknowledged.forget()
        return unknown
