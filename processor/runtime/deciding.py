"""Is a failed attempt followed by another, and when?"""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.errors import ParseError, Reject, ResultInvalid, TryAgain
from processor.domain.events import Reason, Retrying, Started
from processor.domain.retry import delay_before_next
from processor.ports.waiting_room import LONGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.domain.events import Durable
    from processor.domain.retry import Retry

log = structlog.get_logger(__name__)

NEVER_AGAIN: Final = (Reject, ParseError, ResultInvalid)
"""What another attempt cannot mend."""

TRY_AGAIN_WITHIN: Final = 24 * 3600.0
"""Seconds after a generation's first run in which `TryAgain` is granted: nothing is immortal."""


def delay_after(
    error: BaseException,
    policy: Retry,
    attempts: int | None,
    started: Started,
    events: Sequence[Durable],
    now: int,
) -> float | None:
    """Seconds until the next attempt; None where there is none.

    `attempts` is the submission's own limit, `events` what the generation's outcome held before
    this run. Asks the policy's strategies, which draw from the global `random`; where they break,
    or give no number, there is no other attempt.
    """
    try:
        delay = _asked(error, policy, attempts, started, events, now)
    except Exception:  # the application's own strategies, whatever they raise
        log.exception("a retry policy broke; the job is not run again")
        return None
    if delay is None or math.isnan(delay):
        return None
    return min(max(0.0, delay), LONGEST)


def _asked(
    error: BaseException,
    policy: Retry,
    attempts: int | None,
    started: Started,
    events: Sequence[Durable],
    now: int,
) -> float | None:
    if isinstance(error, TryAgain):
        return _granted(error, started, events, now)
    if isinstance(error, NEVER_AGAIN):
        return None
    if isinstance(error, asyncio.CancelledError):  # the handler's own: nobody cancelled the attempt
        error = RuntimeError("the handler was cancelled from within")
    if not isinstance(error, Exception):
        return None
    return delay_before_next(policy, started.attempt, error, attempts)


def counts(events: Sequence[Durable]) -> bool:
    """Whether the next run is the policy's next attempt: not after `TryAgain`."""
    last = events[-1] if events else None
    return not (isinstance(last, Retrying) and last.error.reason is Reason.TRY_AGAIN)


def _granted(
    error: TryAgain, started: Started, events: Sequence[Durable], now: int
) -> float | None:
    after = error.after.total_seconds() if isinstance(error.after, timedelta) else error.after
    first = next((event.at for event in events if isinstance(event, Started)), started.at)
    within = (now - first) / 1_000_000 + after <= TRY_AGAIN_WITHIN
    return after if within else None
