"""Which submissions of a call fit, and which one does not?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from processor.domain.errors import InvalidSubmission, SubmissionTooLarge
from processor.runtime.submission import Submission, Unfit, payload_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK: Final = 2_000
"""Submissions that are sent together, at most."""

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""And their payloads, about: a chunk is closed once it has as many bytes."""

KEPT_BYTES: Final = 16 * 1024 * 1024
"""So much of a sequence's payloads is kept until it is sent; the rest is serialised again."""

_OVERHEAD: Final = 128
"""Bytes of a kept payload beside its own, about."""

Submissions: TypeAlias = Iterable[Submission] | AsyncIterable[Submission]


class Checked(NamedTuple):
    """A submission that fits."""

    submission: Submission
    payload: bytes


Chunk: TypeAlias = list[Checked]


def check(submission: object, index: int | None = None) -> Checked:
    """Check one, the index-th of its call (from 0); raises what says which one and why."""
    if not isinstance(submission, Submission):
        which = "what was handed in" if index is None else f"number {index} of what was handed in"
        raise InvalidSubmission(f"{which} is a {type(submission).__name__}, no Submission", {})
    try:
        return Checked(submission, payload_of(submission))
    except Unfit as unfit:
        which = "submission" if index is None else f"submission number {index}"
        kind = SubmissionTooLarge if unfit.too_large else InvalidSubmission
        message = f"{which} ({submission.id}) was refused: {unfit}"
        raise kind(message, {submission.id: str(unfit)}) from None


async def chunks_of(submissions: Submissions) -> AsyncGenerator[Chunk]:
    """Bounded chunks in the order given; every one of a sequence is checked before the first."""
    if not isinstance(submissions, Sequence):
        async for chunk in _streamed(submissions):
            yield chunk
        return
    kept: deque[Chunk] = deque()
    count = sent = size = 0
    async for chunk in _streamed(submissions):
        if size < KEPT_BYTES:
            kept.append(chunk)
        count += len(chunk)
        size += sum(len(one.payload) + _OVERHEAD for one in chunk)
    while kept:
        sent += len(kept[0])
        yield kept.popleft()
    async for chunk in _streamed(islice(submissions, sent, count), sent):
        yield chunk


async def _streamed(submissions: Submissions, index: int = 0) -> AsyncGenerator[Chunk]:
    chunk: Chunk = []
    size = 0
    async for submission in _each(submissions):
        try:
            checked = check(submission, index)
        except (InvalidSubmission, SubmissionTooLarge) as refused:
            refused.unknown.update({one.submission.id: "not sent" for one in chunk})
            raise
        chunk.append(checked)
        index += 1
        size += len(checked.payload)
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            yield chunk
            await asyncio.sleep(0)
            chunk, size = [], 0
    if chunk:
        yield chunk


async def _each(submissions: object) -> AsyncGenerator[object]:
    if isinstance(submissions, AsyncIterable):
        async for submission in submissions:
            yield submission
    elif isinstance(submissions, Iterable):
        for submission in submissions:
            yield submission
    else:
        check(submissions)
