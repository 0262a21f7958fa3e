"""How is a submission of version 1 read and written in a few microseconds?

Theory of operation: what is usual is read by constant places and tables; whatever is not usual, a
long name or corrupt bytes, raises somewhere (`UNUSUAL`), and the general way decides. So nothing
here may *return* for bytes that the general way would refuse, or return anything else than it
would: a property test compares the two, in both directions, byte for byte.
A slice beyond the end is short and raises nothing; but then the next place does, or the last
comparison, which wants the end of the record exactly.
"""

from __future__ import annotations

import struct
from typing import Final
from uuid import UUID

from processor.adapters.avro.identities import job_of, uuid_of
from processor.adapters.avro.varints import (
    FIRST_VALUES,
    LAST_PAIRS,
    LAST_VALUES,
    LENGTHS,
    MIDDLE_VALUES,
    NUMBERS,
    PAIRS,
    long_length,
    number,
)
from processor.domain.drafts import submission
from processor.domain.priority import Priority
from processor.domain.submission import NOBODY, Caller, SubmissionRecord, Trace

MARK: Final = bytes.fromhex("c3014fd6e50c9413ebf2")
UNUSUAL: Final = (IndexError, KeyError, ValueError, struct.error)

_GENERATIONS: Final = {2 * generation: generation for generation in range(1, 64)}
_PRIORITIES: Final = {2 * lane: lane for lane in Priority}
_PAIRS_OF_TIME: Final = struct.Struct("<HHHH").unpack_from
_NOTHING_MORE: Final = bytes(7)
_NOTHING_AFTER_KEY: Final = bytes(4)
_SHORT: Final = 0x80
_PRESENT: Final = 2
"""The second branch of a union: there is a value."""


def decode(value: bytes) -> SubmissionRecord:
    """The usual submission; the caller has seen its mark. Raises one of `UNUSUAL`."""
    first, second, third, last = _PAIRS_OF_TIME(value, 28)
    at = 36 + LENGTHS[value[36]]
    type_ = value[37:at].decode()
    end = at + LENGTHS[value[at]]
    entity = value[at + 1 : end].decode()
    if value.find(0, 36, end) >= 0:
        raise ValueError("empty, or holds a NUL")
    tenant, at = (None, end + 1) if not value[end] else _name(value, end)
    length = value[at]
    if length < _SHORT:
        start, end = at + 1, at + LENGTHS[length]
    else:
        start, end = long_length(value, at)
    payload = value[start:end]
    batch, at = (None, end + 1) if not value[end] else _id(value, end)
    trace: Trace | None = None
    caller = NOBODY
    dedupe_key: str | None = None
    if value[at:] != _NOTHING_MORE:
        trace, caller, dedupe_key = _rest(value, at)
    return submission(
        job_of(value[10:26]),
        type_,
        payload,
        entity,
        _PRIORITIES[value[27]],
        FIRST_VALUES[first]
        | MIDDLE_VALUES[second] << 13
        | MIDDLE_VALUES[third] << 27
        | LAST_VALUES[last] << 41,
        _GENERATIONS[value[26]],
        tenant,
        dedupe_key,
        batch,
        None,
        None,
        caller,
        trace,
        None,
        None,
    )


def _rest(value: bytes, at: int) -> tuple[Trace | None, Caller, str | None]:
    trace: Trace | None = None
    caller = NOBODY
    kind = value[at]
    at += 1
    if kind == _PRESENT:
        traceparent, at = _text(value, at)
        tracestate, at = _text(value, at)
        trace = Trace(traceparent, tracestate)
    elif kind:
        raise ValueError("no trace")
    kind = value[at]
    at += 1
    if kind == _PRESENT:
        user, at = _optional(value, at)
        session, at = _optional(value, at)
        request_id, at = _optional(value, at)
        ip, at = _optional(value, at)
        user_agent, at = _optional(value, at)
        caller = Caller(user, session, request_id, ip, user_agent)
    elif kind:
        raise ValueError("no caller")
    dedupe_key, at = (None, at + 1) if not value[at] else _name(value, at)
    if value[at:] != _NOTHING_AFTER_KEY:
        raise ValueError("more than is usual")
    return trace, caller, dedupe_key


def _text(value: bytes, at: int) -> tuple[str, int]:
    length = value[at]
    if length < _SHORT:
        end = at + LENGTHS[length]
        return value[at + 1 : end].decode(), end
    start, end = long_length(value, at)
    return value[start:end].decode(), end


def _optional(value: bytes, at: int) -> tuple[str | None, int]:
    kind = value[at]
    if not kind:
        return None, at + 1
    if kind != _PRESENT:
        raise ValueError("no text")
    return _text(value, at + 1)


def _name(value: bytes, at: int) -> tuple[str, int]:
    if value[at] != _PRESENT:
        raise ValueError("no name")
    end = at + 1 + LENGTHS[value[at + 1]]
    name = value[at + 2 : end].decode()
    if "\0" in name:
        raise ValueError("holds a NUL")
    return name, end


def _id(value: bytes, at: int) -> tuple[UUID, int]:
    if value[at] != _PRESENT:
        raise ValueError("no id")
    return uuid_of(value[at + 1 : at + 17]), at + 17


def encode(record: SubmissionRecord) -> bytes:
    """The usual submission; raises one of `UNUSUAL`."""
    type_ = record.type.encode()
    entity = record.entity.encode()
    payload = record.payload
    length = len(payload)
    tenant, batch = record.tenant, record.batch
    time = record.submitted_at << 1
    return b"".join(
        (
            MARK,
            record.job.int.to_bytes(16),
            NUMBERS[record.generation],
            NUMBERS[record.priority],
            PAIRS[time & 0x3FFF],
            PAIRS[time >> 14 & 0x3FFF],
            PAIRS[time >> 28 & 0x3FFF],
            LAST_PAIRS[time >> 42],
            NUMBERS[len(type_)],
            type_,
            NUMBERS[len(entity)],
            entity,
            b"\0" if tenant is None else some_text(tenant),
            NUMBERS.get(length) or number(length),
            payload,
            b"\0" if batch is None else b"\2" + batch.int.to_bytes(16),
            _encode_rest(record),
        )
    )


def _encode_rest(record: SubmissionRecord) -> bytes:
    trace, caller, key = record.trace, record.caller, record.dedupe_key
    if (
        record.not_before is not None
        or record.attempts is not None
        or record.parent is not None
        or record.replay is not None
    ):
        raise ValueError("not usual")
    if trace is None and key is None and (caller is NOBODY or caller == NOBODY):
        return _NOTHING_MORE
    return b"".join(
        (
            b"\0" if trace is None else some_trace(trace),
            b"\0" if caller == NOBODY else _some_caller(caller),
            b"\0" if key is None else some_text(key),
            _NOTHING_AFTER_KEY,
        )
    )


def some_text(text: str) -> bytes:
    """A text that could also be absent."""
    encoded = text.encode()
    return b"\2" + NUMBERS[len(encoded)] + encoded


def some_trace(trace: Trace) -> bytes:
    """A trace that could also be absent."""
    tracestate = trace.tracestate.encode()
    return some_text(trace.traceparent) + NUMBERS[len(tracestate)] + tracestate


def _some_caller(caller: Caller) -> bytes:
    parts = (caller.user, caller.session, caller.request_id, caller.ip, caller.user_agent)
    return b"\2" + b"".join([b"\0" if one is None else some_text(one) for one in parts])
