"""How is the outcome of a job that just ran and completed written in a few microseconds?

Version 1 of Outcome, Started and Completed, byte for byte as the general way writes them; any other
outcome raises one of `UNUSUAL` and is written the general way.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from processor.adapters.avro.submission_by_hand import UNUSUAL, some_text, some_trace
from processor.adapters.avro.varints import LAST_PAIRS, NUMBERS, PAIRS, number
from processor.domain.events import Completed, Started
from processor.domain.outcome import Outcome

__all__ = ["COMPLETED_MARK", "MARK", "STARTED_MARK", "UNUSUAL", "encode"]

MARK: Final = bytes.fromhex("c3018bbf2f44bed8d74e")
STARTED_MARK: Final = bytes.fromhex("c3019a6abc88db674282")
COMPLETED_MARK: Final = bytes.fromhex("c301c8cbb0409b3af032")

_COMPLETED: Final = b"\x12Completed"
_TWO_EVENTS_STARTED: Final = b"\x04\x0eStarted"
_NO_MORE: Final = bytes(3)
"""The end of the events, no submission, no follow-ups."""


def encode(outcome: Outcome) -> bytes:
    """The usual outcome: started, completed, no follow-ups. Raises one of `UNUSUAL`."""
    started, completed = outcome.events
    if type(started) is not Started or type(completed) is not Completed:
        raise ValueError("not usual")
    if outcome.follow_ups or outcome.submission is not None:
        raise ValueError("not usual")
    tenant, batch, request_id = outcome.tenant, outcome.batch, outcome.request_id
    offset = outcome.offset
    time = completed.at << 1
    first, second = PAIRS[time & 0x3FFF], PAIRS[time >> 14 & 0x3FFF]
    third, last = PAIRS[time >> 28 & 0x3FFF], LAST_PAIRS[time >> 42]
    result = completed.result
    length = len(result)
    before_result = NUMBERS.get(length) or number(length)
    run = _started(started)
    return b"".join(
        (
            MARK,
            outcome.job.int.to_bytes(16),
            NUMBERS[outcome.generation],
            NUMBERS[outcome.timeline],
            b"\x04",
            first,
            second,
            third,
            last,
            _COMPLETED,
            NUMBERS[outcome.lane],
            NUMBERS[outcome.partition],
            NUMBERS.get(offset) or number(offset),
            _text(outcome.type),
            _text(outcome.entity),
            b"\0" if tenant is None else some_text(tenant),
            b"\0" if batch is None else b"\2" + batch.int.to_bytes(16),
            b"\0" if request_id is None else some_text(request_id),
            _TWO_EVENTS_STARTED,
            NUMBERS[len(run)],
            run,
            _COMPLETED,
            number(18 + len(before_result) + length),
            COMPLETED_MARK,
            first,
            second,
            third,
            last,
            before_result,
            result,
            _NO_MORE,
        )
    )


def _started(event: Started) -> bytes:
    time = event.at << 1
    return b"".join(
        (
            STARTED_MARK,
            PAIRS[time & 0x3FFF],
            PAIRS[time >> 14 & 0x3FFF],
            PAIRS[time >> 28 & 0x3FFF],
            LAST_PAIRS[time >> 42],
            NUMBERS[event.attempt],
            NUMBERS[event.run],
            NUMBERS[event.partition],
            NUMBERS[event.lane],
            _text(event.worker),
            _text(event.release),
            b"\0" if event.trace is None else some_trace(event.trace),
        )
    )


@lru_cache(maxsize=4096)
def _text(text: str) -> bytes:
    encoded = text.encode()
    return NUMBERS[len(encoded)] + encoded
