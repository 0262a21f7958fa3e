"""How does a producer submit jobs, and learn what became of them?"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, overload

from processor.domain.errors import ConfigurationError, InvalidSubmission, SubmitError
from processor.domain.priority import Priority
from processor.ports.operations import AuditQuery
from processor.runtime.checking import check, chunks_of
from processor.runtime.sending import Sending
from processor.runtime.submission import Submission, new_id
from processor.runtime.submitting import Terms
from processor.runtime.trace_context import active_trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.event_bus import EventBus
    from processor.ports.holds import Hold, HoldKind
    from processor.ports.log import Place
    from processor.ports.operations import Operation
    from processor.runtime.acknowledged import Acknowledgement
    from processor.runtime.asking import Asker
    from processor.runtime.cancelling import Cancellation
    from processor.runtime.checking import Submissions
    from processor.runtime.handlers import Jobs
    from processor.runtime.letters import Operated
    from processor.runtime.operating import Operator
    from processor.runtime.submitting import Submitter

SUBMIT_TIMEOUT: Final = 10.0
RESULT_TIMEOUT: Final = 10.0
AUDIT: Final = AuditQuery()


class Client:
    """Submits jobs and asks for their status, on ports; without a history it only submits."""

    def __init__(
        self,
        submitter: Submitter,
        asker: Asker | None = None,
        events: EventBus | None = None,
        operator: Operator | None = None,
    ) -> None:
        self._submitter = submitter
        self._asker = asker
        self._events = events
        self._operator = operator

    @overload
    async def submit(
        self,
        submissions: Submission,
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
        timeout: float = SUBMIT_TIMEOUT,
    ) -> JobId: ...

    @overload
    async def submit(
        self,
        submissions: Iterable[Submission] | AsyncIterable[Submission],
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
        timeout: float = SUBMIT_TIMEOUT,
    ) -> list[JobId]: ...

    async def submit(
        self,
        submissions: Submission | Submissions,
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
        timeout: float = SUBMIT_TIMEOUT,
    ) -> JobId | list[JobId]:
        """Append one submission, or many that share a batch; returns once they are acknowledged.

        Of a list or tuple every submission is checked before the first is sent; any other iterable
        is read and checked piece by piece. Either needs constant memory but for the ids. `priority`
        counts for submissions without one of their own. `timeout` (seconds) is for each piece.

        Raises `InvalidSubmission` or `SubmissionTooLarge` for the first that does not fit, and
        `SubmitError` with the ids that are not known to be appended. An error of the iterable's own
        comes through, with a note that says how many before it are. Submitting the same objects
        again is harmless.
        """
        priority = Priority.NORMAL if priority is None else priority
        _check_priority(priority)
        if isinstance(submissions, Submission):
            terms = Terms(priority, batch, active_trace(), timeout)
            unknown = await self._submitter.send([check(submissions)], terms)
            _raise_for(unknown, 1)
            return submissions.id
        terms = Terms(priority, batch or new_id(), active_trace(), timeout)
        return await self._submit_many(submissions, terms)

    async def status(self, job_id: JobId) -> JobStatus:
        """What is known of a job; never *unknown* for what this client submitted.

        Waits a little for the history to come so far. Raises `JobNotFound`.
        """
        return await self._asking().status(job_id)

    def acknowledged(self, job_id: JobId) -> Acknowledgement | None:
        """Where the log says that a submission of this client's stands, while it is remembered."""
        return self._submitter.acknowledged(job_id)

    async def reach(self, positions: Mapping[Place, int]) -> bool:
        """Wait a little for the history to come so far; whether it has."""
        return await self._asking().reach(positions)

    async def result(self, job_id: JobId, timeout: float = RESULT_TIMEOUT) -> Any:  # noqa: ANN401 - whatever the handler returned
        """Wait for the job's end, at most `timeout` seconds; what its handler returned.

        Raises `JobNotComplete` when it failed, was cancelled or has not ended, `JobNotFound`.
        """
        return await self._asking().result(job_id, timeout)

    async def cancel(self, job_id: JobId, *, by: str = "", because: str = "") -> Cancellation:
        """End a job that has not ended; one that has stays what it is, and the answer says so.

        A running handler is stopped and rolled back. Raises `JobNotFound`.
        """
        return await self._operating().cancel(job_id, by, because)

    async def replay(
        self,
        dead_letter_id: UUID,
        *,
        by: str = "",
        because: str = "",
        priority: Priority | None = None,
    ) -> JobId:
        """Start the job of a dead letter anew, under the same id and with its history.

        In the lane it had, or the one named. Again is harmless: one generation follows a dead
        letter. Raises `DeadLetterNotFound`, or `InvalidSubmission` for a record that could not be
        decoded.
        """
        return (await self._operating().replay(dead_letter_id, by, because, priority)).job

    async def discard(self, dead_letter_id: UUID, *, by: str = "", because: str = "") -> JobId:
        """Close a dead letter; its job stays failed, and an entity that it blocks goes on.

        A replay undoes it. Raises `DeadLetterNotFound`, `AlreadyFinished` for one that was
        replayed.
        """
        return (await self._operating().discard(dead_letter_id, by, because)).job

    async def edit(
        self,
        dead_letter_id: UUID,
        payload: object,
        *,
        by: str = "",
        because: str = "",
        priority: Priority | None = None,
        jobs: Jobs | None = None,
    ) -> Operated:
        """Replay it with another payload; the generation that died keeps its own.

        With `jobs` the payload must fit the model of their handler for the type: else `ParseError`.
        Raises as `replay` does, `InvalidSubmission` for what cannot be submitted or is what died,
        `AlreadyFinished` where the letter was replayed before in another way.
        """
        return await self._operating().edit(
            dead_letter_id, payload, by, because, priority=priority, jobs=jobs
        )

    async def hold(
        self, kind: HoldKind, value: str, *, by: str, because: str, until: int | None = None
    ) -> Hold:
        """Keep a type, an entity, a tenant or a lane from running; the first hold stands.

        `until` in microseconds since the epoch; None: until somebody releases it.
        """
        return await self._operating().hold(kind, value, by, because, until)

    async def release(
        self, kind: HoldKind, value: str, *, by: str, because: str, rate: int | None = None
    ) -> bool:
        """Let it go on, at most `rate` jobs a second; False where no hold of it was open."""
        return await self._operating().release(kind, value, by, because, rate)

    async def holds(self) -> list[Hold]:
        """Every open hold, the oldest first."""
        return await self._operating().holds()

    async def audit(self, query: AuditQuery = AUDIT) -> list[Operation]:
        """Who did what, when and why, the newest first."""
        return await self._operating().audit(query)

    @property
    def events(self) -> EventBus:
        """The EventBus: `async for event in client.events.subscribe(JobFailed, group="billing")`.

        Each event comes at least once to each group, which catches up on up to 7 days; a
        subscriber recognises copies by `event_id`. Subscriptions end with the client.
        """
        if self._events is None:
            raise ConfigurationError("this client was made without an EventBus")
        return self._events

    def _operating(self) -> Operator:
        if self._operator is None:
            raise ConfigurationError(
                "JOBS_DATABASE is not set: submitting needs only Kafka, operating the database"
            )
        return self._operator

    def _asking(self) -> Asker:
        if self._asker is None:
            raise ConfigurationError(
                "JOBS_DATABASE is not set: submitting needs only Kafka, a status needs the database"
            )
        return self._asker

    async def _submit_many(self, submissions: Submissions, terms: Terms) -> list[JobId]:
        batch = Sending(self._submitter, terms)
        try:
            async with aclosing(chunks_of(submissions)) as chunks:
                async for chunk in chunks:
                    await batch.send(chunk)
                    if batch.unknown and not isinstance(submissions, Sequence):
                        break
            await batch.settle()
        except SubmitError as refused:
            await batch.settle()
            raise batch.told_with(refused) from None
        except Exception as broken:
            await batch.settle()
            broken.add_note(batch.note())
            raise
        finally:
            batch.give_up()
        _raise_for(batch.unknown, len(batch.ids))
        return batch.ids


def _check_priority(priority: object) -> None:
    if not isinstance(priority, Priority):
        raise InvalidSubmission(f"the priority must be a Priority, not {priority!r}", {})


def _raise_for(unknown: dict[UUID, str], of: int) -> None:
    if not unknown:
        return
    job, why = next(iter(unknown.items()))
    raise SubmitError(
        f"{len(unknown):,} of {of:,} submissions are not known to be appended, the first is"
        f" {job}: {why}",
        unknown,
    )
