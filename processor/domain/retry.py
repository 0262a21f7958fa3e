"""When is a failed attempt followed by another?

`Retry` is a value that holds tenacity's own strategies; nothing here waits or acts. The strategies
are asked by the attempt (they draw from the global `random`), which hands `decide` the delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

if TYPE_CHECKING:
    from tenacity.retry import RetryBaseT
    from tenacity.wait import WaitBaseT


def _exponential() -> WaitBaseT:
    return wait_random_exponential(multiplier=1, max=60)


def _any_exception() -> RetryBaseT:
    return retry_if_exception_type(Exception)


@dataclass(frozen=True)
class Retry:
    """A handler's policy: how many attempts, how long between them, after which exceptions."""

    attempts: int = 5
    """Within one generation; a submission's own `attempts` takes its place."""
    wait: WaitBaseT = field(default_factory=_exponential)
    """Exponential from 1 s, doubled, up to 60 s with full jitter, unless another is given."""
    on: RetryBaseT = field(default_factory=_any_exception)
    """Which exceptions deserve another attempt."""
    on_exhausted: Literal["skip", "block"] = "skip"
    """Whether the entity goes on after a failure for good, or waits for an operator."""


def delay_before_next(
    policy: Retry, attempt: int, error: Exception, attempts: int | None = None
) -> float | None:
    """Seconds until the attempt after this one (counted from 1); None where there is none."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    state.set_exception((type(error), error, error.__traceback__))
    if not policy.on(state) or stop_after_attempt(attempts or policy.attempts)(state):
        return None
    return float(policy.wait(state))
