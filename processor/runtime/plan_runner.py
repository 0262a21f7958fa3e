"""How is a plan run, so that it goes on whoever dies?

Whoever runs it holds a lease, takes its letters a portion at a time, and marks what became of each
only when that is acknowledged. Who dies in between leaves letters that are done but not marked: the
next runner does them again, which is harmless. Letters of one entity are appended in the plan's
order, which is that of the log, also where a portion is repeated.
"""

from __future__ import annotations

import asyncio
import os
import platform
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from processor.domain.errors import DeadLetterNotFound, ProcessorError, Unavailable
from processor.ports.ledger import Fault
from processor.ports.operations import OperationKind
from processor.ports.plans import CANARY, Done, PlanState
from processor.runtime.discarder import Discarder
from processor.runtime.letters import letter_of
from processor.runtime.replayer import Replayer, Wanted
from processor.runtime.submission import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from processor.ports.plans import Plan, PlanRuns, Plans, Turn
    from processor.runtime.desk import Desk
    from processor.runtime.letters import Letter, Operated

LEASE: Final = 10.0
"""Seconds after which a runner that shows no sign of life is followed by another."""
PORTION: Final = 500
"""Letters that are taken at once."""
SHORTEST: Final = 0.25
"""Seconds that a portion is for, where there is a rate."""
LOOKS: Final = 0.5
"""Seconds between two looks at what is waited for."""
FREE_EVERY: Final = 3.0
"""Seconds between two looks for a plan that nobody runs."""

log = structlog.get_logger(__name__)


class Step(NamedTuple):
    """What came of one step of a run."""

    taken: int
    """Letters that were taken."""
    pause: float
    """Seconds until the next step makes sense."""


class PlanRunner:
    """Runs plans, one process at a time each."""

    def __init__(self, desk: Desk, rows: Plans, runs: PlanRuns, *, portion: int = PORTION) -> None:
        self._desk = desk
        self._rows = rows
        self._runs = runs
        self._most = portion
        self._replayer = Replayer(desk)
        self._discarder = Discarder(desk)

    async def run(self, plan: int, told: Callable[[Plan], None] | None = None) -> Plan:
        """Run it, or look on while another does, until it does not run any more."""
        me, clock = new_id(), self._desk.clock
        try:
            while True:
                leased = await self._runs.lease(plan, me, _name(), LEASE)
                found = await self._rows.of(plan)
                assert found is not None, "plans are not deleted"  # noqa: S101 - and it was there
                if told is not None:
                    told(found)
                if found.state is not PlanState.RUNNING:
                    return found
                began = clock.monotonic()
                step = await self._step(found) if leased else Step(0, LOOKS)
                await clock.sleep(max(0.0, step.pause - (clock.monotonic() - began)))
        finally:
            await self._let_go(plan, me)

    async def run_free(self) -> None:
        """Run whatever plan nobody runs, one after the other, until cancelled."""
        while True:
            try:
                for plan in await self._runs.free():
                    log.info("runs a plan that nobody runs", plan=plan)
                    ended = await self.run(plan)
                    log.info("a plan has ended", plan=plan, state=ended.state, done=ended.done)
            except (Fault, Unavailable) as failure:
                log.warning("a plan waits", because=str(failure))
            await self._desk.clock.sleep(FREE_EVERY)

    async def _let_go(self, plan: int, me: UUID) -> None:
        """Leave it to others at once; where that does not come through they wait a little."""
        try:
            await asyncio.shield(self._runs.let_go(plan, me))
        except (Fault, Unavailable) as failure:
            log.info("a plan's lease runs out by itself", plan=plan, because=str(failure))

    async def _step(self, plan: Plan) -> Step:
        """Take the next portion, or look what the canary came to."""
        portion, pause = _portion(plan, self._most)
        turns = await self._runs.next(plan.id, portion, plan.canary_upto)
        if turns:
            await self._runs.mark(plan.id, await self._take(plan, turns))
            return Step(len(turns), pause * len(turns) / portion)
        if plan.canary_upto is None:
            await self._runs.finish(plan.id)
            return Step(0, 0.0)
        return Step(0, await self._look(plan, plan.canary_upto))

    async def _look(self, plan: Plan, upto: int) -> float:
        """Decide whether the others follow the canary; the seconds until the next look."""
        ends = await self._runs.ends(plan.id, plan.draft.canary or 0, upto)
        most = plan.draft.stop_above or 0.0
        passed = ends.decide(most)
        if passed is None:
            return LOOKS
        if passed:
            await self._runs.pass_canary(plan.id)
        else:
            because = (
                f"{ends.failed:,} of its {ends.replayed:,} jobs failed, more than {most:.0%}:"
                " the others were not replayed"
            )
            await self._rows.stop(plan.id, CANARY, because)
        return 0.0

    async def _take(self, plan: Plan, turns: Sequence[Turn]) -> list[Done]:
        """Do it to each letter, in their order; what is refused keeps none of the others."""
        draft = plan.draft
        wanted = Wanted(draft.by, draft.because, draft.priority, plan.id)
        read = [self._read(turn) for turn in turns]
        letters = [one for one in read if not isinstance(one, ProcessorError)]
        act = (
            self._discarder.discard
            if draft.kind is OperationKind.DISCARD
            else self._replayer.replay
        )
        results = iter(await act(letters, wanted))
        return [
            _done(turn.number, one if isinstance(one, ProcessorError) else next(results))
            for turn, one in zip(turns, read, strict=True)
        ]

    def _read(self, turn: Turn) -> Letter | ProcessorError:
        if turn.letter is None:
            return DeadLetterNotFound("the dead letter is known no more")
        try:
            return letter_of(turn.letter, self._desk.codec)
        except DeadLetterNotFound as missing:
            return missing


def _portion(plan: Plan, most: int) -> tuple[int, float]:
    """How many letters at once, and how many seconds they are for."""
    rate = plan.draft.rate
    if rate is None:
        return most, 0.0
    portion = max(1, min(most, round(rate * SHORTEST)))
    return portion, portion / rate


def _done(number: int, result: Operated | ProcessorError) -> Done:
    if isinstance(result, ProcessorError):
        return Done(number, None, str(result))
    return Done(number, result.generation)


def _name() -> str:
    return f"{platform.node()}, process {os.getpid()}"
