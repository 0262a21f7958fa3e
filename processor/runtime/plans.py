"""How is something done to many dead letters: planned, looked at, stopped, resumed, run?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Final

from processor.domain.errors import (
    AlreadyFinished,
    ConfigurationError,
    PlanNotFound,
    PlanRefused,
)
from processor.ports.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.selection import Selection
    from processor.ports.plans import Draft, Plan
    from processor.ports.plans import Plans as PlanRows
    from processor.ports.projection import LetterGroup
    from processor.runtime.desk import Desk
    from processor.runtime.plan_runner import PlanRunner

STOP_ABOVE: Final = 0.1
"""The share of a canary that may fail, where nobody says."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a selection would choose now."""

    letters: int
    entities: int
    groups: list[LetterGroup]


class Plans:
    """Plans over dead letters: each a row, run by one process at a time, whoever has died."""

    def __init__(self, desk: Desk, rows: PlanRows, runner: PlanRunner) -> None:
        self._desk = desk
        self._rows = rows
        self._runner = runner

    async def preview(self, selection: Selection) -> Preview:
        """What a plan would be made of; nothing is written."""
        with self._desk.telling():
            chosen = await self._desk.letters.size(selection)
            return Preview(*chosen, await self._desk.letters.groups(selection))

    async def make(self, draft: Draft, *, expect: int | None = None) -> Plan:
        """Choose the letters, once and for all, and write down who wants what done to them.

        Whoever is free runs it: whoever calls `run`, or a worker within a few seconds. Without a
        `stop_above` a canary stops the plan when more than a tenth of it failed. Raises
        `PlanRefused` without a filter, where nothing was chosen, or another number than `expect`;
        `ConfigurationError` for numbers that make no sense.
        """
        if draft.selection.empty:
            raise PlanRefused(
                "say which dead letters are meant: a plan needs a filter, or their ids", 0
            )
        if draft.canary is not None and draft.stop_above is None:
            draft = replace(draft, stop_above=STOP_ABOVE)
        _check(draft)
        with self._desk.telling():
            made = await self._rows.make(draft, expect)
        if isinstance(made, int):
            raise PlanRefused(_refusal(made, expect), made)
        return made

    async def get(self, plan: int) -> Plan:
        """A plan as it stands; raises `PlanNotFound`."""
        with self._desk.telling():
            found = await self._rows.of(plan)
        if found is None:
            raise PlanNotFound(f"no plan has the number {plan}")
        return found

    async def recent(self, limit: int = 100) -> list[Plan]:
        """The newest first."""
        with self._desk.telling():
            return await self._rows.recent(limit)

    async def stop(self, plan: int, *, by: str, because: str) -> Plan:
        """Stop it after the letters that are on their way; it can be resumed.

        Raises `PlanNotFound`, `AlreadyFinished` for one that does not run.
        """
        with self._desk.telling():
            stopped = await self._rows.stop(plan, by, because)
        found = await self.get(plan)
        if not stopped:
            raise AlreadyFinished(f"plan {plan} does not run: it is {found.state}")
        return found

    async def resume(self, plan: int, *, by: str, because: str) -> Plan:
        """Let it go on where it stood; after a failed canary with a canary of the next letters.

        Raises `PlanNotFound`, `AlreadyFinished` for one that is complete or runs.
        """
        with self._desk.telling():
            resumed = await self._rows.resume(plan, by, because)
        found = await self.get(plan)
        if not resumed:
            raise AlreadyFinished(f"plan {plan} is not stopped: it is {found.state}")
        return found

    async def run(self, plan: int, told: Callable[[Plan], None] | None = None) -> Plan:
        """Run it to its end or until it is stopped, and tell how far it is; the plan as it ended.

        While another process runs it, this one only looks on, and takes over where that one dies.
        Raises `PlanNotFound`, `Unavailable`: it runs on wherever somebody takes it up.
        """
        await self.get(plan)
        with self._desk.telling():
            return await self._runner.run(plan, told)


def _check(draft: Draft) -> None:
    if draft.kind not in (OperationKind.REPLAY, OperationKind.DISCARD):
        raise ConfigurationError(f"a plan replays or discards; {draft.kind} is neither")
    if draft.kind is OperationKind.DISCARD and (draft.canary or draft.selection.discarded):
        raise ConfigurationError("a discard has no canary, and needs letters that are open")
    if draft.rate is not None and not 0 < draft.rate < inf:
        raise ConfigurationError(f"the rate is letters a second, more than 0, not {draft.rate:g}")
    if draft.canary is not None and draft.canary < 1:
        raise ConfigurationError(f"a canary is of 1 job or more, not {draft.canary}")
    if draft.stop_above is not None and (draft.canary is None or not 0 <= draft.stop_above < 1):
        raise ConfigurationError(
            "a plan stops above a share of its canary's failures: give a canary, and a share from"
            f" 0 to below 1, not {draft.stop_above:g}"
        )


def _refusal(found: int, expected: int | None) -> str:
    if expected is not None and found != expected:
        return f"{found:,} dead letters are chosen, not {expected:,}: nothing was done"
    return "no dead letter is chosen: nothing was done"
