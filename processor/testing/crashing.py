"""Does a handler's effect take place once, wherever its worker dies?

A life is played undisturbed, and the places are counted at which it waits or calls a port. Then it
is played again once for each of them, before and after the call's effect: the worker dies there,
and another one goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from processor.adapters.memory.step import onward
from processor.domain.job import ENDED
from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.runtime.handlers import Handler, Jobs
from processor.runtime.submission import Submission
from processor.testing.harness import PARTITIONS, Harness
from processor.testing.member import this_process
from processor.testing.naming import CODEC, TOPICS
from processor.testing.recording import Recording
from processor.testing.running import registered
from processor.testing.virtual_time import check_no_loop_runs, play

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from processor.adapters.memory.transactions import Lend
    from processor.ports.transactions import Claim
    from processor.runtime.handlers import Function
    from processor.runtime.request import Request
    from processor.testing.recording import Call

    Make = Callable[[], object]

FOR_EVER: Final = 2**62
AGES: Final = 1_000
"""So often at most a job falls due again before its life counts as endless."""


def crash_everywhere(
    handler: Handler[Any] | Function[Any],
    payload: object = None,
    *,
    session: Make | None = None,
    connection: Make | None = None,
    **fields: Any,  # noqa: ANN401 - Submission's own
) -> int:
    """Let the worker die at every await and call of one job's life; how many deaths that were.

    Each time anew, in memory; another worker goes on. `session` and `connection` are called for
    each transaction and give what the handler writes through; what is called on them counts once
    the transaction commits. `fields` are those of a `Submission`. Raises `AssertionError`, naming
    the place, where commits, end, result or follow-ups are not those of the undisturbed life.
    """
    check_no_loop_runs("crash_everywhere")
    called = registered(handler)
    submission = Submission(called.type, payload, **fields)
    plot = _Plot(called, submission, session, connection)
    calm = plot.lived()
    deaths = 0
    for number, place in enumerate(calm.places):
        for after in (False, True):
            life = plot.lived(number, after=after)
            deaths += life.died
            if life.told() != calm.told():
                moment = "after" if after else "before"
                raise AssertionError(
                    f"the worker died {moment} place {number}, {place}:\n  {life.told()}\n"
                    f"and undisturbed it was:\n  {calm.told()}"
                )
    return deaths


@dataclass(slots=True)
class _Life:
    """What became of a job."""

    places: list[str] = field(default_factory=list)
    died: bool = False
    commits: list[tuple[str, ...]] = field(default_factory=list)
    end: str = ""
    result: bytes | None = None
    submitted: frozenset[str] = frozenset()

    def commit(self, _: Claim, calls: tuple[Call, ...]) -> None:
        """Keep what a transaction has done."""
        self.commits.append(tuple(call.name for call in calls))

    def told(self) -> str:
        """What must not depend on deaths."""
        result = "" if self.result is None else f", result {self.result.decode()}"
        return (
            f"{self.end}{result}, {len(self.submitted)} submissions, committed:"
            f" {'; '.join(', '.join(calls) or 'nothing' for calls in self.commits) or 'nothing'}"
        )


@dataclass(frozen=True, slots=True)
class _Plot:
    """A life that is played again and again."""

    handler: Handler[Any]
    submission: Submission
    session: Make | None
    connection: Make | None

    def lived(self, dies_at: int | None = None, *, after: bool = False) -> _Life:
        """Play it; the worker dies at that place."""
        life = _Life()
        play(self._played(life, dies_at, after=after))
        return life

    async def _played(self, life: _Life, dies_at: int | None, *, after: bool) -> None:
        fate = _Fate(life, dies_at, after=after)
        recording = Recording(self.session, self.connection, life.commit)
        async with _Mortal(fate.followed(self.handler), fate, recording) as harness:
            fate.begun = True
            await harness.submit(self.submission)
            await harness.lived_to_the_end(life, self.submission)


class _Fate:
    """Counts the places of a life, and ends it at one of them."""

    def __init__(self, life: _Life, dies_at: int | None, *, after: bool) -> None:
        self._life = life
        self._dies_at = dies_at
        self._after = after
        self.begun = False

    async def call(self, name: str) -> BaseException | None:
        """Stand as the step of the worker's adapters."""
        dies = self._is_here(name)
        if dies and not self._after:
            raise this_process().die_in_a_call()
        lost = await onward(name)
        return this_process().die_in_a_call() if dies else lost

    def followed(self, handler: Handler[Any]) -> Jobs:
        """The handler, whose every wait is a place too."""
        jobs = Jobs()
        function = cast("Callable[[Request[Any]], Awaitable[object]]", handler.function)

        @wraps(function)
        async def follow(request: Request[Any]) -> object:
            return await _Followed(function(request), self)

        followed: Function[Any] = handler.function if handler.in_thread else follow
        jobs.register(handler.type, followed, retry=handler.retry, timeout=handler.timeout)
        return jobs

    def waits(self) -> None:
        """The handler's own code waits for something."""
        if self._is_here("an await of the handler"):
            raise this_process().die_in_a_call()

    def _is_here(self, name: str) -> bool:
        if not self.begun or self._life.died:
            return False
        number = len(self._life.places)
        self._life.places.append(name)
        self._life.died = number == self._dies_at
        return self._life.died


class _Followed:
    """Awaits a handler, telling whenever it waits."""

    def __init__(self, work: Awaitable[object], fate: _Fate) -> None:
        self._work = work
        self._fate = fate

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._work.__await__()
        wakes: Any = None
        raised: BaseException | None = None
        while True:
            try:
                waits_for = steps.send(wakes) if raised is None else steps.throw(raised)
            except StopIteration as ended:
                return ended.value
            wakes = raised = None
            try:
                self._fate.waits()
                wakes = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to the handler
                raised = error


class _Mortal(Harness):
    """A harness whose worker may die; the next one goes on."""

    def __init__(self, jobs: Jobs, fate: _Fate, recording: Recording) -> None:
        super().__init__(jobs)
        self._hook = fate.call
        self._recording = recording

    async def lived_to_the_end(self, life: _Life, submission: Submission) -> None:
        """Let everything fall due until the job has ended, and tell how."""
        await self.settled()
        status = await self.status(submission.id)
        ages = 0
        while status.state not in ENDED and self._unsettled.next_due() is not None:
            ages += 1
            assert ages < AGES, f"the job does not come to an end, it is {status.state}"
            await self.advance(seconds=self._seconds_to(FOR_EVER))
            status = await self.status(submission.id)
        life.end, life.result = str(status.state), status.result
        life.submitted = frozenset(self._submissions())

    def _lender(self, held: AsyncExitStack) -> Lend:  # noqa: ARG002 - nothing to give back
        return self._recording.lend

    def _submissions(self) -> list[str]:
        topics = self._cluster.topics
        return [
            str(CODEC.decode_submission(record.value or b"").job)
            for lane in LANES
            for number in range(PARTITIONS)
            for record in topics.partitions[Place(TOPICS.lane(lane), number)].records
        ]
