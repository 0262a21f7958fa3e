"""How does the outcome of a run read?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.errors import Reject
from processor.domain.job import Succeed, decide
from processor.domain.limits import ERROR_BYTES, OUTCOME_BYTES
from processor.domain.outcome import Outcome, Success, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.events import Durable
    from processor.ports.codec import Codec
    from processor.runtime.run import Run

OLDER_ERROR_BYTES: Final = 2_048
"""What is kept of each older error's message: twenty of them stay far below an outcome's limit."""
OF_A_RUN: Final = ERROR_BYTES + 4_096
"""What a run that fails adds at most, its submission apart."""

log = structlog.get_logger(__name__)


class Outcomes:
    """Encodes outcomes: what the generation's outcome held before, and what this run adds."""

    def __init__(
        self, codec: Codec, timeline: Callable[[], int], most: int = OUTCOME_BYTES
    ) -> None:
        """`most`: bytes of an outcome, so that the log takes its record (H10)."""
        self._codec = codec
        self._timeline = timeline
        self._most = most

    def encode_success(self, run: Run, at: int, result: bytes) -> bytes:
        """The outcome after the run, which completed at that time.

        Raises `Reject` where the log would not take it.
        """
        body = self._success(run, at, result)
        if len(body) > self._most:
            message = f"the outcome has {len(body):,} bytes; at most {self._most:,} are kept"
            raise Reject(message)
        return body

    def encode_retry(self, run: Run, *events: Durable) -> bytes | None:
        """The outcome after these events; None where a failure of the next run would not fit."""
        run.last = events[-1]
        body = self._codec.encode_outcome(self._outcome(run, events))
        room = self._most - len(run.delivery.value) - OF_A_RUN
        return body if len(body) <= room else None

    def encode_failure(self, run: Run, *events: Durable) -> bytes:
        """The same with the submission whole, as a dead letter needs it."""
        run.last = events[-1]
        submission = run.delivery.value
        body = self._codec.encode_outcome(self._outcome(run, events, submission))
        if (over := len(body) - self._most) > 0:  # no client of ours sends one so large
            log.error("only the first bytes of a submission are kept", bytes=len(submission))
            outcome = self._outcome(run, events, submission[: -over - 1])
            body = self._codec.encode_outcome(outcome)
        return body

    def _success(self, run: Run, at: int, result: bytes) -> bytes:
        delivery = run.delivery
        if delivery.events or run.follow_ups is not None:
            completed = decide(Succeed(at, result), run.job)
            run.last = completed
            follow_ups = () if run.follow_ups is None else tuple(run.follow_ups.encoded)
            outcome = self._outcome(run, (run.started, completed), follow_ups=follow_ups)
            return self._codec.encode_outcome(outcome)
        worker, release = run.identity
        run.last = success = Success(
            delivery.record,
            self._timeline(),
            delivery.lane,
            delivery.partition.number,
            delivery.offset,
            worker,
            release,
            run.at,
            run.attempt,
            run.number,
            run.trace,
            at,
            result,
        )
        return self._codec.encode_success(success)

    def _outcome(
        self,
        run: Run,
        events: tuple[Durable, ...],
        submission: bytes | None = None,
        follow_ups: tuple[bytes, ...] = (),
    ) -> Outcome:
        delivery, record = run.delivery, run.delivery.record
        if delivery.events:
            events = shorten((*delivery.events, *events), OLDER_ERROR_BYTES)
        return Outcome(
            record.job,
            record.generation,
            self._timeline(),
            record.type,
            record.entity,
            record.tenant,
            delivery.lane,
            delivery.partition.number,
            delivery.offset,
            events,
            record.batch,
            record.caller.request_id,
            submission,
            follow_ups,
        )
