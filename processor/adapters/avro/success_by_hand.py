"""How is the outcome of a job whose first run completed written in a microsecond or two?

Version 1 of Outcome, Started and Completed, byte for byte as the general way writes the outcome at
length; whatever is not usual raises one of `UNUSUAL` and is written the general way. What many
outcomes share, the worker's name and the place of its run, is encoded once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from processor.adapters.avro.submission_by_hand import UNUSUAL, some_text, some_trace
from processor.adapters.avro.varints import LAST_PAIRS, NUMBERS, PAIRS, number

if TYPE_CHECKING:
    from processor.domain.outcome import Success

__all__ = ["COMPLETED_MARK", "MARK", "STARTED_MARK", "UNUSUAL", "encode"]

MARK: Final = bytes.fromhex("c3018bbf2f44bed8d74e")
STARTED_MARK: Final = bytes.fromhex("c3019a6abc88db674282")
COMPLETED_MARK: Final = bytes.fromhex("c301c8cbb0409b3af032")

_COMPLETED: Final = b"\x12Completed"
_TWO_EVENTS_STARTED: Final = b"\x04\x0eStarted"
_NO_MORE: Final = bytes(3)
"""The end of the events, no submission, no follow-ups."""


def encode(success: Success) -> bytes:
    """The bytes of the same outcome at length. Raises one of `UNUSUAL`."""
    record = success.record
    lane, partition = success.lane, success.partition
    entity = record.entity.encode()
    tenant, batch, request_id = record.tenant, record.batch, record.caller.request_id
    trace = success.trace
    time = success.started_at << 1
    started = PAIRS[time & 0x3FFF] + PAIRS[time >> 14 & 0x3FFF] + _rest_of_time(time >> 28)
    time = success.completed_at << 1
    completed = PAIRS[time & 0x3FFF] + PAIRS[time >> 14 & 0x3FFF] + _rest_of_time(time >> 28)
    result = success.result
    before_result = number(len(result))
    run = _run(success.attempt, success.run, partition, lane, success.worker, success.release)
    told = b"\0" if trace is None else some_trace(trace)
    return b"".join(
        (
            MARK,
            record.job.bytes,
            _front(record.generation, success.timeline),
            completed,
            _place(lane, partition),
            number(success.offset),
            _text(record.type),
            NUMBERS[len(entity)],
            entity,
            b"\0" if tenant is None else some_text(tenant),
            b"\0" if batch is None else b"\2" + batch.bytes,
            b"\0" if request_id is None else some_text(request_id),
            _TWO_EVENTS_STARTED,
            NUMBERS[18 + len(run) + len(told)],
            STARTED_MARK,
            started,
            run,
            told,
            _COMPLETED,
            number(18 + len(before_result) + len(result)),
            COMPLETED_MARK,
            completed,
            before_result,
            result,
            _NO_MORE,
        )
    )


@lru_cache(maxsize=64)
def _rest_of_time(bits: int) -> bytes:
    """The last four bytes of a time; they change every two minutes."""
    return PAIRS[bits & 0x3FFF] + LAST_PAIRS[bits >> 14]


@lru_cache(maxsize=64)
def _front(generation: int, timeline: int) -> bytes:
    return NUMBERS[generation] + NUMBERS[timeline] + b"\x04"


@lru_cache(maxsize=4096)
def _place(lane: int, partition: int) -> bytes:
    return _COMPLETED + NUMBERS[lane] + NUMBERS[partition]


@lru_cache(maxsize=4096)
def _run(attempt: int, run: int, partition: int, lane: int, worker: str, release: str) -> bytes:
    numbers = NUMBERS[attempt] + NUMBERS[run] + NUMBERS[partition] + NUMBERS[lane]
    return numbers + _text(worker) + _text(release)


@lru_cache(maxsize=4096)
def _text(text: str) -> bytes:
    encoded = text.encode()
    return NUMBERS[len(encoded)] + encoded
