"""What does an operator do: cancel, replay, edit, discard, hold, release, and look who did?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.changes import difference
from processor.domain.errors import ConfigurationError, InvalidSubmission, ProcessorError
from processor.ports.holds import HoldKind
from processor.ports.operations import AuditQuery, Edit
from processor.runtime.cancelling import cancel
from processor.runtime.checking import check
from processor.runtime.discarder import Discarder
from processor.runtime.letters import letter_of, not_found
from processor.runtime.replayer import Replayer, Wanted
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.changes import Change
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.holds import Hold
    from processor.ports.operations import Operation
    from processor.runtime.asking import Asker
    from processor.runtime.cancelling import Cancellation
    from processor.runtime.desk import Desk
    from processor.runtime.handlers import Jobs
    from processor.runtime.letters import Letter, Operated

PATIENCE: Final = 2.0
"""Seconds that an operation waits for a dead letter that is not projected yet."""
_PAUSE: Final = 0.1


class Operator:
    """Replays, edits and discards dead letters, cancels jobs, holds and releases."""

    def __init__(self, desk: Desk, asker: Asker, *, patience: float = PATIENCE) -> None:
        self._desk = desk
        self._asker = asker
        self._patience = patience
        self._replayer = Replayer(desk)
        self._discarder = Discarder(desk)

    async def cancel(self, job: JobId, by: str, because: str) -> Cancellation:
        """End a job that has not ended; see `processor.runtime.cancelling.cancel`."""
        with self._desk.telling():
            return await cancel(self._desk, self._asker, job, by, because)

    async def replay(
        self, dead_letter: UUID, by: str, because: str, priority: Priority | None = None
    ) -> Operated:
        """Start the next generation of a dead letter's job, in its own lane or the one named.

        Raises `DeadLetterNotFound`, `InvalidSubmission` for a letter whose record could not be
        decoded, `AlreadyFinished` for one that was discarded more than 7 days ago, `Unavailable`.
        """
        with self._desk.telling():
            letter = await self._letter(dead_letter)
            return _one(await self._replayer.replay([letter], Wanted(by, because, priority)))

    async def changes(
        self, dead_letter: UUID, payload: object, jobs: Jobs | None = None
    ) -> tuple[Change, ...]:
        """How a payload differs from what died; raises as `edit` does, and changes nothing."""
        with self._desk.telling():
            return self._edit(await self._letter(dead_letter), payload, jobs).changes

    async def edit(
        self,
        dead_letter: UUID,
        payload: object,
        by: str,
        because: str,
        *,
        priority: Priority | None = None,
        jobs: Jobs | None = None,
    ) -> Operated:
        """Start the next generation with another payload; the one that died keeps its own.

        Raises as `replay` does, and `ParseError` where the model that `jobs` has for the type
        refuses it, `InvalidSubmission` or `SubmissionTooLarge` where it cannot be submitted or is
        what died, `AlreadyFinished` where somebody replayed the letter before in another way.
        """
        with self._desk.telling():
            letter = await self._letter(dead_letter)
            wanted = Wanted(by, because, priority, edit=self._edit(letter, payload, jobs))
            return _one(await self._replayer.replay([letter], wanted))

    async def discard(self, dead_letter: UUID, by: str, because: str) -> Operated:
        """Close a dead letter without running its job again; a blocked entity goes on.

        Raises `DeadLetterNotFound`, `AlreadyFinished` for one that was replayed, `Unavailable`.
        """
        with self._desk.telling():
            letter = await self._letter(dead_letter)
            return _one(await self._discarder.discard([letter], Wanted(by, because)))

    async def hold(
        self, kind: HoldKind, value: str, by: str, because: str, until: int | None = None
    ) -> Hold:
        """Keep what it names from running; see `processor.ports.holds.Holds`."""
        with self._desk.telling():
            return await self._desk.holds.hold(kind, value, by, because, until)

    async def release(
        self, kind: HoldKind, value: str, by: str, because: str, rate: int | None = None
    ) -> bool:
        """Let it go on, at once or so many jobs a second; False where no hold was open.

        Raises `ConfigurationError` for a rate that is none, or of a lane, which keeps no rows.
        """
        if rate is not None and (rate < 1 or kind == HoldKind.LANE):
            raise ConfigurationError(
                "a rate is 1 job a second or more, of a type, an entity or a tenant; a lane is"
                " released at once"
            )
        with self._desk.telling():
            return await self._desk.holds.release((kind, value), by, because, rate)

    async def holds(self) -> list[Hold]:
        """Every open hold, the oldest first."""
        with self._desk.telling():
            return await self._desk.holds.open()

    async def audit(self, query: AuditQuery) -> list[Operation]:
        """Who did what, when and why, the newest first."""
        with self._desk.telling():
            return await self._desk.operations.told(query)

    def _edit(self, letter: Letter, payload: object, jobs: Jobs | None) -> Edit:
        died = self._replayer.submission_of(letter)
        edited = check(Submission(died.type, payload, id=died.job)).payload
        changes = difference(died.payload, edited)
        if not changes:
            why = "it is what died; replay it as it is"
            raise InvalidSubmission(f"the payload is not changed: {why}", {died.job: why})
        handler = None if jobs is None else jobs.find(died.type)
        if handler is not None:
            handler.parse(edited)
        return Edit(edited, changes)

    async def _letter(self, dead_letter: UUID) -> Letter:
        desk = self._desk
        deadline = desk.clock.monotonic() + self._patience
        while True:
            row = await desk.letters.by_id(dead_letter)
            if row is not None and row.body is not None:
                return letter_of(row, desk.codec)
            if desk.clock.monotonic() >= deadline:
                raise not_found(dead_letter)
            await desk.clock.sleep(_PAUSE)


def _one(told: list[Operated | ProcessorError]) -> Operated:
    (one,) = told
    if isinstance(one, ProcessorError):
        raise one
    return one
