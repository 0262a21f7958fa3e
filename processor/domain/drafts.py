"""How is a submission made of checked values, without sixteen guarded assignments?

A frozen dataclass pays for each field twice when it is made. A draft has the same slots unguarded;
once it is filled it becomes the frozen class, which Python allows between classes of one layout
and refuses, loudly, between any others. Five times as fast; called for every submission made or
read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from processor.domain.submission import SubmissionRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.submission import Caller, Replay, Trace

_become: Final[Callable[[object, type], None]] = vars(object)["__class__"].__set__


class _Draft:
    """A `SubmissionRecord` that is being filled."""

    __slots__ = SubmissionRecord.__slots__

    def __init__(  # noqa: PLR0913, PLR0917 - one for each field, by place: that is its purpose
        self,
        job: JobId,
        type: str,
        payload: bytes,
        entity: str,
        priority: Priority,
        submitted_at: int,
        generation: int,
        tenant: str | None,
        dedupe_key: str | None,
        batch: UUID | None,
        not_before: int | None,
        attempts: int | None,
        caller: Caller,
        trace: Trace | None,
        parent: JobId | None,
        replay: Replay | None,
    ) -> None:
        self.job = job
        self.type = type
        self.payload = payload
        self.entity = entity
        self.priority = priority
        self.submitted_at = submitted_at
        self.generation = generation
        self.tenant = tenant
        self.dedupe_key = dedupe_key
        self.batch = batch
        self.not_before = not_before
        self.attempts = attempts
        self.caller = caller
        self.trace = trace
        self.parent = parent
        self.replay = replay
        _become(self, SubmissionRecord)


submission: Final = cast("Callable[..., SubmissionRecord]", _Draft)
"""Makes a `SubmissionRecord` of its fields in their order."""
