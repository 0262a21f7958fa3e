"""How are the jobs of dead letters started anew, one or many at once?

Who was first is written down before anything else happens, with the payload where it was edited;
then the records are appended, in the order given, whoever was first: doing it again is harmless. Of
several records with one generation the first to be executed counts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.errors import AlreadyFinished, InvalidSubmission, ProcessorError
from processor.domain.ids import partition_of
from processor.domain.priority import Priority
from processor.domain.submission import Replay, trace_headers
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.ledger import Ending
from processor.ports.log import Append, Place
from processor.ports.operations import OperationKind
from processor.ports.projection import Closing
from processor.ports.waiting_room import WaitingState
from processor.runtime.instants import clock
from processor.runtime.letters import Letter, Operated
from processor.runtime.trace_context import first_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Span

    from processor.domain.submission import SubmissionRecord
    from processor.ports.ledger import Known
    from processor.ports.operations import Death, Edit, Operation
    from processor.runtime.desk import Desk

UNDONE_WITHIN: Final = 7 * 24 * 3600 * 1_000_000
"""Microseconds in which a discard can be undone: as long as what is over is remembered."""


class Wanted(NamedTuple):
    """Who wants it, why, and what is to be another than it was."""

    by: str
    because: str
    priority: Priority | None = None
    """The lane, instead of each job's own."""
    plan: int | None = None
    edit: Edit | None = None
    """Of one letter alone."""


@dataclass(slots=True)
class _Start:
    """One dead letter on its way to the next generation."""

    letter: Letter
    submission: SubmissionRecord
    first: Operation
    generation: int = 0
    """The one that was last appended, or is known to stand in the lane."""

    @property
    def after(self) -> int:
        """The generation after which the next one is looked for."""
        died = self.letter.died.generation
        return died + 1 if self.letter.closed is Closing.DISCARDED else died

    def next(self, endings: dict[int, Ending]) -> int:
        """The generation that a replay starts: one past the discards, where there are some."""
        generation = self.after + 1
        while endings.get(generation) is Ending.DISCARDED:
            generation += 1
        return generation


class Replayer:
    """Starts the next generation of dead letters' jobs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def replay(
        self, letters: Sequence[Letter], wanted: Wanted
    ) -> list[Operated | ProcessorError]:
        """What became of each, in the order given, in which their records are appended.

        An error is that letter's own, which nothing was done to. Raises `Unavailable`: then some
        are not known to be appended, and all should be asked for again in the same order.
        """
        found: list[Operated | ProcessorError | _Start] = []
        late = await self._too_late(letters)
        readable = [self._readable(one, late) for one in letters]
        deaths = [one.death for one in readable if isinstance(one, Letter)]
        firsts = await self._firsts(deaths, wanted)
        for one in readable:
            if isinstance(one, Letter):
                found.append(self._begun(one, firsts[one.death], wanted.edit))
            else:
                found.append(one)
        await self._append_all([one for one in found if isinstance(one, _Start)], wanted.priority)
        return [_ended(one) if isinstance(one, _Start) else one for one in found]

    def submission_of(self, letter: Letter) -> SubmissionRecord:
        """What died; raises `InvalidSubmission` where it could not be decoded."""
        died = letter.died
        try:
            if not died.type or died.submission is None:
                raise Undecodable("its bytes are no record of ours")
            return self._desk.codec.decode_submission(died.submission)
        except Undecodable as error:
            mend = (
                "replay it with the release that knows its schema"
                if isinstance(error, UnknownSchema)
                else "discard it, and submit what it should have been"
            )
            why = f"dead letter {died.id} cannot be replayed: {error}; {mend}"
            raise InvalidSubmission(why, {died.job: str(error)}) from error

    async def _firsts(self, deaths: Sequence[Death], wanted: Wanted) -> dict[object, Operation]:
        if not deaths:
            return {}
        told = await self._desk.operations.first(
            OperationKind.REPLAY,
            list(dict.fromkeys(deaths)),
            wanted.by,
            wanted.because,
            plan=wanted.plan,
            edit=wanted.edit,
        )
        return {(one.job, one.generation): one for one in told}

    async def _too_late(self, letters: Sequence[Letter]) -> dict[object, Operation]:
        """Discards that can be undone no more: nobody asked for a replay in time."""
        discarded = [one.death for one in letters if one.closed is Closing.DISCARDED]
        if not discarded:
            return {}
        told = await self._desk.operations.of(discarded)
        replayed = {(one.job, one.generation) for one in told if one.kind is OperationKind.REPLAY}
        before = self._desk.clock.now() - UNDONE_WITHIN
        return {
            (one.job, one.generation): one
            for one in told
            if one.kind is OperationKind.DISCARD
            and one.at < before
            and (one.job, one.generation) not in replayed
        }

    def _readable(self, letter: Letter, late: dict[object, Operation]) -> Letter | ProcessorError:
        if (discard := late.get(letter.death)) is not None:
            return AlreadyFinished(
                f"dead letter {letter.died.id} was discarded by {discard.actor},"
                f" {clock(discard.at)}: a discard can be undone for 7 days; submit the job anew"
            )
        try:
            self.submission_of(letter)
        except InvalidSubmission as refused:
            return refused
        return letter

    def _begun(
        self, letter: Letter, first: Operation, edit: Edit | None
    ) -> _Start | ProcessorError:
        if edit is not None and first.payload != edit.payload:
            how = "unchanged" if first.payload is None else "with another payload"
            return AlreadyFinished(
                f"dead letter {letter.died.id} was replayed {how} by {first.actor},"
                f" {clock(first.at)}: edit what its job dies of next"
            )
        submission = self.submission_of(letter)
        if first.payload is not None:
            submission = replace(submission, payload=first.payload)
        return _Start(letter, submission, first)

    async def _append_all(self, starts: Sequence[_Start], priority: Priority | None) -> None:
        # A discard may come in between: then there is one generation more to start.
        left = starts
        while left:
            known = await self._desk.ledger.look_up([], [one.letter.died.job for one in left], [])
            endings = _endings(known)
            moved = []
            for one in left:
                following = one.next(endings[one.letter.died.job])
                if following != one.generation:
                    one.generation = following
                    # A replay that is projected stands in the lane. Were it sent again once the
                    # ledger has forgotten what became of it, it would run again.
                    if one.letter.closed is not Closing.REPLAYED:
                        moved.append(one)
            await self._append(moved, priority, known)
            left = moved

    async def _append(
        self, starts: Sequence[_Start], priority: Priority | None, known: Known
    ) -> None:
        """Append the records; a trace names the dead letter's and that of the first submission."""
        if not starts:
            return
        desk = self._desk
        desk.tracing.look()
        blocking = {
            (row.job, row.generation) for row in known.waiting if row.state == WaitingState.BLOCKING
        }
        made = [self._record(one, priority, one.letter.death in blocking) for one in starts]
        offsets = await desk.append_all(
            [append for append, _, _ in made], [span for _, span, _ in made]
        )
        now = desk.clock.now()
        for (append, _, record), offset in zip(made, offsets, strict=True):
            desk.acknowledged.keep(record, append.place, offset, now)
        desk.acknowledged.forget()

    def _record(
        self,
        start: _Start,
        priority: Priority | None,
        blocks: bool,  # noqa: FBT001 - of a table
    ) -> tuple[Append, Span | None, SubmissionRecord]:
        desk, died, submission = self._desk, start.letter.died, start.submission
        in_place = blocks and start.generation == died.generation + 1
        record = replace(
            submission,
            generation=start.generation,
            priority=submission.priority if priority is None else priority,
            submitted_at=desk.clock.now(),
            not_before=None,
            replay=Replay(died.id, start.first.actor, start.first.reason, in_place=in_place),
        )
        lane = Priority.CRITICAL if in_place else record.priority
        place = Place(desk.topics.lane(lane), partition_of(record.entity, desk.partitions))
        span, record = desk.tracing.replay(record, place, died.trace, first_of(submission))
        value = desk.codec.encode_submission(record)
        headers = trace_headers(record.trace)
        return Append(place, record.entity.encode(), value, headers), span, record


def _endings(known: Known) -> defaultdict[object, dict[int, Ending]]:
    """How each generation of each job ended."""
    endings: defaultdict[object, dict[int, Ending]] = defaultdict(dict)
    for row in known.ledger:
        endings[row.job][row.generation] = row.ending
    return endings


def _ended(start: _Start) -> Operated:
    return Operated(start.letter.died.job, start.generation, start.first)
