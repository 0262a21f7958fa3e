"""Which submissions of a call fit, and which one does not?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from processor.domain.errors import InvalidSubmission, SubmissionTooLarge
from processor.runtime.submission import Submission, Unfit, payload_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK: Final = 2_000
"""Submissions that are sent together, at most."""

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""And their payloads, about: a chunk is closed once it has as many bytes."""

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
    if isinstance(submissions, Sequence):
        checked: Chunk = []
        async for chunk in _streamed(submissions):
            checked += chunk
        for start, end in _cuts(checked):
            yield checked[start:end]
    else:
        async for chunk in _streamed(submissions):
            yield chunk


async def _streamed(submissions: Submissions) -> AsyncGenerator[Chunk]:
    chunk: Chunk = []
    index = size = 0
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


def _cuts(checked: Chunk) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    start = size = 0
    for end, one in enumerate(checked, 1):
        size += len(one.payload)
        if end - start >= CHUNK or size >= CHUNK_BYTES or end == len(checked):
            cuts.append((start, end))
            start, size = end, 0
    return cuts
