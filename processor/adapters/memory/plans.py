"""How would plans stand, and be run, without a database?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from processor.adapters.memory.operations import write_note
from processor.adapters.memory.step import Step, onward
from processor.ports.ledger import Ending
from processor.ports.operations import Note, OperationKind
from processor.ports.plans import CANARY, Ends, Plan, PlanState, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.adapters.memory.database import MemoryDatabase
    from processor.adapters.memory.projection import MemoryProjections
    from processor.ports.plans import Done, Draft
    from processor.ports.projection import LetterRow

_ABSORBS: Final = (Ending.COMPLETE, Ending.CANCELLED)


@dataclass(slots=True)
class _Kept:
    plan: Plan
    letters: list[LetterRow]
    done: dict[int, Done] = field(default_factory=dict)
    runner: UUID | None = None
    name: str = ""
    until: float = 0.0


class MemoryPlans:
    """`Plans` and `PlanRuns`; its steps are `plans.` and the method's name."""

    def __init__(
        self, database: MemoryDatabase, projections: MemoryProjections, *, step: Step = onward
    ) -> None:
        self._database = database
        self._projections = projections
        self.step = step

    @property
    def _plans(self) -> dict[int, _Kept]:
        plans: dict[int, _Kept] = self._database.plans
        return plans

    async def make(self, draft: Draft, expected: int | None = None) -> Plan | int:
        """See `Plans`."""
        await self._told("make")
        letters = sorted(self._projections.choose(draft.selection), key=_turn)
        count = len(letters)
        if not letters or count != (count if expected is None else expected):
            return count
        number = len(self._plans) + 1
        now = self._database.clock.now()
        plan = Plan(number, draft, now, count, PlanState.RUNNING, 0, 0, canary_upto=draft.canary)
        self._plans[number] = _Kept(plan, letters)
        subject = f"plan {number}: {draft.kind} {count:,} dead letters, {draft.selection.words()}"
        note = Note(OperationKind.PLAN, draft.by, draft.because, subject, plan=number)
        write_note(self._database, note)
        return plan

    async def of(self, plan: int) -> Plan | None:
        """See `Plans`."""
        await self._told("of")
        return self._seen(plan) if plan in self._plans else None

    async def recent(self, limit: int) -> list[Plan]:
        """See `Plans`."""
        await self._told("recent")
        return [self._seen(plan) for plan in sorted(self._plans, reverse=True)][:limit]

    async def stop(self, plan: int, by: str, because: str) -> bool:
        """See `Plans`."""
        await self._told("stop")
        if not self._runs(plan):
            return False
        self._alter(
            plan,
            state=PlanState.STOPPED,
            ended_by=by,
            ended_because=because,
            ended_at=self._database.clock.now(),
        )
        self._plans[plan].runner = None
        note = Note(OperationKind.STOP, by, because, f"plan {plan}", plan=plan)
        write_note(self._database, note)
        return True

    async def resume(self, plan: int, by: str, because: str) -> bool:
        """See `Plans`."""
        await self._told("resume")
        kept = self._plans.get(plan)
        if kept is None or kept.plan.state is not PlanState.STOPPED:
            return False
        upto = kept.plan.canary_upto
        if kept.plan.ended_by == CANARY:
            upto = (upto or 0) + (kept.plan.draft.canary or 0)
        self._alter(
            plan,
            state=PlanState.RUNNING,
            ended_by=None,
            ended_because=None,
            ended_at=None,
            canary_upto=upto,
        )
        note = Note(OperationKind.RESUME, by, because, f"plan {plan}", plan=plan)
        write_note(self._database, note)
        return True

    async def lease(self, plan: int, runner: UUID, name: str, seconds: float) -> bool:
        """See `PlanRuns`."""
        await self._told("lease")
        kept, now = self._plans[plan], self._database.clock.monotonic()
        if not self._runs(plan) or not (kept.runner in (None, runner) or kept.until < now):
            return False
        kept.runner, kept.name, kept.until = runner, name, now + seconds
        return True

    async def let_go(self, plan: int, runner: UUID) -> None:
        """See `PlanRuns`."""
        await self._told("let_go")
        if self._plans[plan].runner == runner:
            self._plans[plan].runner = None

    async def free(self) -> list[int]:
        """See `PlanRuns`."""
        await self._told("free")
        return [plan for plan in self._plans if self._runs(plan) and not self._is_led(plan)]

    async def next(self, plan: int, limit: int, upto: int | None) -> list[Turn]:
        """See `PlanRuns`."""
        await self._told("next")
        kept = self._plans[plan]
        known = self._projections.letters
        left = [
            Turn(number, known.get((row.job, row.generation)))
            for number, row in enumerate(kept.letters, 1)
            if number not in kept.done and (upto is None or number <= upto)
        ]
        return left[:limit]

    async def mark(self, plan: int, done: Sequence[Done]) -> None:
        """See `PlanRuns`."""
        await self._told("mark")
        for one in done:
            self._plans[plan].done.setdefault(one.number, one)

    async def ends(self, plan: int, canary: int, upto: int) -> Ends:
        """See `PlanRuns`."""
        await self._told("ends")
        kept = self._plans[plan]
        found = [
            self._end(kept.letters[number - 1], done.started)
            for number, done in kept.done.items()
            if upto - canary < number <= upto and done.started is not None
        ]
        failed = sum(one in (Ending.FAILED, Ending.DISCARDED) for one in found)
        return Ends(len(found), failed, found.count(None))

    async def pass_canary(self, plan: int) -> None:
        """See `PlanRuns`."""
        await self._told("pass_canary")
        self._alter(plan, canary_upto=None)

    async def finish(self, plan: int) -> None:
        """See `PlanRuns`."""
        await self._told("finish")
        if self._runs(plan) and len(self._plans[plan].done) == len(self._plans[plan].letters):
            now = self._database.clock.now()
            self._alter(plan, state=PlanState.COMPLETE, ended_at=now)

    async def _told(self, name: str) -> None:
        lost = await self.step(f"plans.{name}")
        if lost is not None:
            raise lost

    def _runs(self, plan: int) -> bool:
        kept = self._plans.get(plan)
        return kept is not None and kept.plan.state is PlanState.RUNNING

    def _is_led(self, plan: int) -> bool:
        kept = self._plans[plan]
        return kept.runner is not None and kept.until >= self._database.clock.monotonic()

    def _seen(self, plan: int) -> Plan:
        kept = self._plans[plan]
        started = sum(one.started is not None for one in kept.done.values())
        return replace(
            kept.plan,
            done=started,
            refused=len(kept.done) - started,
            runner=kept.name if self._is_led(plan) else None,
        )

    def _alter(self, plan: int, **changes: Any) -> None:  # noqa: ANN401 - the plan's own fields
        self._plans[plan].plan = replace(self._plans[plan].plan, **changes)

    def _end(self, letter: LetterRow, started: int | None) -> Ending | None:
        ends = [
            row
            for row in self._database.ledger.values()
            if row.job.bytes == letter.job
            and (row.generation >= (started or 0) or row.ending in _ABSORBS)
        ]
        first = min(ends, key=lambda row: row.generation, default=None)
        return None if first is None else first.ending


def _turn(row: LetterRow) -> tuple[int, int, int, UUID]:
    lane = -1 if row.lane is None else row.lane
    offset = -1 if row.offset is None else row.offset
    return lane, offset, row.died_at or 0, row.id
