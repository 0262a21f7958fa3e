"""What does one handler do with one payload, without broker and database?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic_core import from_json

from processor.adapters.clock import SystemClock
from processor.domain.errors import ConfigurationError
from processor.domain.ids import entity_key, partition_of
from processor.domain.priority import Priority
from processor.ports.ownership import Fence
from processor.runtime.calling import Caller
from processor.runtime.checking import check
from processor.runtime.delivery import Delivery
from processor.runtime.handler_threads import HandlerThreads
from processor.runtime.handlers import Handler, Jobs
from processor.runtime.observing import Observer
from processor.runtime.partition import OwnedPartition
from processor.runtime.run import Desk, Identity, Run
from processor.runtime.submission import Submission, new_id, record_of
from processor.testing.naming import CODEC

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.submission import SubmissionRecord
    from processor.ports.ledger import Answer, Entry
    from processor.ports.transactions import Claim
    from processor.runtime.handlers import Function

PARTITIONS = 12


class Progress(NamedTuple):
    """What a handler told of its progress."""

    percent: float
    note: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run that succeeded."""

    result: Any
    """As `client.result` would give it: what was returned, as JSON has it."""
    progress: tuple[Progress, ...]
    submitted: tuple[Submission, ...]
    """Its follow-ups, under the ids they would have."""


async def run(
    handler: Handler[Any] | Function[Any],
    payload: object = None,
    *,
    session: object = None,
    connection: object = None,
    attempt: int = 1,
    generation: int = 1,
    **fields: Any,  # noqa: ANN401 - Submission's own
) -> Ran:
    """Run a handler once as a worker would: parsed payload, time-out, checked result.

    `session` and `connection` are what `request.session()` and `request.connection()` give; they
    stay the caller's, nothing is committed or rolled back here. `fields` are those of a
    `Submission`: `tenant`, `caller`, `entity`, `id`. Raises what the handler raises, and
    `ParseError`, `AttemptTimeout`, `ResultInvalid`, `Reject` where a worker would fail the attempt.
    """
    for name, number in (("attempt", attempt), ("generation", generation)):
        if number < 1:
            raise ConfigurationError(f"the {name} is counted from 1, it cannot be {number}")
    called = registered(handler)
    checked = check(Submission(called.type, payload, **fields))
    clock = SystemClock()
    record = replace(
        record_of(
            checked.submission,
            checked.payload,
            priority=Priority.NORMAL,
            submitted_at=clock.now(),
        ),
        generation=generation,
    )
    heard: list[Progress] = []
    taken: list[Submission] = []
    given = _Given(session, connection)
    result = await _called(called, record, attempt, given, heard, taken)
    return Ran(result, tuple(heard), tuple(taken))


async def run_record(
    handler: Handler[Any],
    record: SubmissionRecord,
    given: Given,
    heard: list[Progress],
    taken: list[Submission],
) -> Any:  # noqa: ANN401 - whatever the handler returned
    """Run a handler on a submission that was made; its result, as JSON has it.

    `given` is what it has of a database; what it tells and submits is put into the lists, also
    where it raises.
    """
    return await _called(handler, record, 1, _Lent(given), heard, taken)


async def _called(
    handler: Handler[Any],
    record: SubmissionRecord,
    attempt: int,
    given: _Given,
    heard: list[Progress],
    taken: list[Submission],
) -> Any:  # noqa: ANN401 - whatever the handler returned
    clock = SystemClock()
    desk = Desk(CODEC, clock, given)
    watched = _Watched(desk, _delivered(record, attempt), clock.now(), heard, taken)
    threads = HandlerThreads(1)
    try:
        result = await Caller(threads, _Nobody()).call(watched, handler)
    finally:
        threads.shutdown()
        if watched.opening is not None:  # a task that the handler left behind opens it no more
            await watched.opening.close()
    return from_json(result)


def registered(handler: Handler[Any] | Function[Any]) -> Handler[Any]:
    """A handler as it is, or made of a function that is not registered: its name is the type."""
    if isinstance(handler, Handler):
        return handler
    return Jobs().register(getattr(handler, "__name__", type(handler).__name__), handler)


def _delivered(record: SubmissionRecord, attempt: int) -> Delivery:
    number = partition_of(record.entity, PARTITIONS)
    partition = OwnedPartition(Fence(number, new_id()), (0, 0, 0, 0))
    key = entity_key(record.tenant, record.entity)
    delivery = Delivery(record, CODEC.encode_submission(record), partition, record.priority, 0, key)
    delivery.attempt = delivery.runs = attempt - 1
    return delivery


class _Watched(Run):
    """A run that keeps all it was told."""

    def __init__(
        self,
        desk: Desk,
        delivery: Delivery,
        now: int,
        heard: list[Progress],
        taken: list[Submission],
    ) -> None:
        super().__init__(desk, Identity("test", ""), delivery, now, delivery.record.trace)
        self._heard = heard
        self._taken = taken

    def tell(self, percent: float, note: str) -> None:
        """See `Run`."""
        super().tell(percent, note)
        self._heard.append(Progress(percent, note))

    def submit(self, submission: Submission) -> JobId:
        """See `Run`."""
        job = super().submit(submission)
        named = submission.dedupe_key is not None  # which makes the id, also of a copy
        self._taken.append(submission if named else replace(submission, id=job))
        return job


class _Nobody(Observer):
    """Sees nothing: a test's runs are no work that anybody counts."""

    def __init__(self) -> None:
        pass

    def called(self, run: Run) -> None:
        """See `Observer`."""
        run.called = True


class _Given:
    """Implements `Transactions` and `Transaction` over what a test has passed."""

    def __init__(self, session: object, connection: object) -> None:
        self._session = session
        self._connection = connection

    async def begin(self, _claim: Claim) -> _Given:
        """See `Transactions`."""
        return self

    def connection(self) -> Any:  # noqa: ANN401 - whatever was passed
        """See `Transaction`."""
        return _passed("connection", self._connection)

    async def session(self) -> Any:  # noqa: ANN401 - whatever was passed
        """See `Transaction`."""
        return _passed("session", self._session)

    def fault(self, error: BaseException) -> None:
        """See `Transaction`."""

    async def seal(self) -> None:
        """See `Transaction`."""

    async def complete(self, entry: Entry) -> Answer:
        """See `Transaction`; a run of one handler comes to no end that is written down."""
        raise NotImplementedError(entry)

    async def rollback(self) -> None:
        """See `Transaction`."""


class Given(Protocol):
    """What a handler has of a database."""

    def connection(self) -> Any:  # noqa: ANN401 - whatever is given
        """What `request.connection()` gives."""
        ...

    async def session(self) -> Any:  # noqa: ANN401 - whatever is given
        """What `request.session()` gives."""
        ...


class _Lent(_Given):
    """The same over what somebody lends."""

    def __init__(self, given: Given) -> None:
        super().__init__(None, None)
        self._given = given

    async def begin(self, _claim: Claim) -> _Lent:
        """See `Transactions`."""
        return self

    def connection(self) -> Any:  # noqa: ANN401 - whatever is given
        """See `Transaction`."""
        return self._given.connection()

    async def session(self) -> Any:  # noqa: ANN401 - whatever is given
        """See `Transaction`."""
        return await self._given.session()


def _passed(name: str, given: object) -> object:
    if given is None:
        raise ConfigurationError(
            f"the handler asks for request.{name}(): pass it one, run(handler, payload, {name}=…)"
        )
    return given
