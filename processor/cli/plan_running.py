"""How is a plan run from a terminal, and what is told meanwhile?

Progress goes to standard error, what came of it to standard output. Ctrl-C stops the plan; a
process that dies does not: a worker goes on with it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from processor.cli.telling import iso, plain, tell, tell_json, who
from processor.domain.errors import AlreadyFinished, ProcessorError

if TYPE_CHECKING:
    from processor.domain.selection import Selection
    from processor.ports.plans import Draft, Plan
    from processor.runtime.plans import Plans
    from processor.settings import Settings

EVERY: Final = 2.0
"""Seconds between two lines of progress, where standard error is no terminal."""
INTERRUPTED: Final = "Ctrl-C"


async def tell_preview(settings: Settings, selection: Selection, *, json: bool) -> None:
    """What a plan would choose now."""
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import group_as_json, tell_groups

    async with reading_letters(settings) as letters:
        chosen = await letters.count(selection)
        groups = await letters.groups(selection)
    if json:
        told = [group_as_json(group) for group in groups]
        tell_json({"letters": chosen.letters, "entities": chosen.entities, "groups": told})
        return
    tell(
        f"{chosen.letters:,} dead letters of {chosen.entities:,} entities are chosen"
        f" ({selection.words()}); nothing was done"
    )
    if groups:
        tell_groups(groups)


async def made_and_run(
    settings: Settings, draft: Draft, expect: int | None, *, detach: bool, json: bool
) -> None:
    """Make a plan and run it to its end; or only make it, for a worker to run."""
    from processor.bootstrap.operating import operating_on

    async with operating_on(settings) as operations:
        plan = await operations.plans.make(draft, expect=expect)
        if detach:
            _tell(plan, json=json)
        else:
            sys.stderr.write(f"{plain(headline(plan))}\n")
            await run_here(operations.plans, plan.id, json=json)


async def run_here(plans: Plans, number: int, *, json: bool) -> None:
    """Run a plan in this process; raises `ProcessorError` where it was stopped."""
    progress = Progress()
    running = asyncio.ensure_future(plans.run(number, progress))
    try:
        plan = await asyncio.shield(running)
    except asyncio.CancelledError:
        await _stop(plans, number)
        await asyncio.wait({running})
        raise
    finally:
        progress.end()
    _tell(plan, json=json)
    if plan.ended_by is not None:
        raise ProcessorError(
            f"plan {number} was stopped by {plan.ended_by} after {plan.done:,} of"
            f" {plan.letters:,}: {plan.ended_because}; {how_to_resume(number)}"
        )


async def _stop(plans: Plans, number: int) -> None:
    try:
        plan = await plans.stop(number, by=who(None), because=INTERRUPTED)
    except AlreadyFinished:
        return
    sys.stderr.write(
        f"\nplan {number} is stopped after {plan.done:,} of {plan.letters:,};"
        f" {how_to_resume(number)}\n"
    )


def how_to_resume(number: int) -> str:
    """The command that goes on with it."""
    return f"go on with: processor plans resume {number} --because TEXT"


class Progress:
    """Tells how far a plan is: in a terminal in one line, elsewhere in a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told_at = time.monotonic()
        self._began: tuple[float, int] | None = None
        self._open = False

    def __call__(self, plan: Plan) -> None:
        """A look at it."""
        now = time.monotonic()
        if self._began is None:
            self._began = now, plan.done
        if not self._terminal and now - self._told_at < EVERY:
            return
        self._told_at = now
        began, before = self._began
        rate = (plan.done - before) / max(now - began, 0.001)
        line = plain(f"{stand(plan)}, {rate:,.0f} a second")
        if self._terminal:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
            self._open = True
        else:
            sys.stderr.write(f"{line}\n")

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            sys.stderr.write("\n")


def headline(plan: Plan) -> str:
    """What a plan is."""
    draft = plan.draft
    said = [
        f"plan {plan.id}: {draft.kind} {plan.letters:,} dead letters, {draft.selection.words()}"
    ]
    if draft.canary is not None:
        said.append(f"{draft.canary:,} first, stop above {draft.stop_above or 0:.0%} failures")
    if draft.rate is not None:
        said.append(f"{draft.rate:g} a second")
    if draft.priority is not None:
        said.append(f"in lane {draft.priority.label}")
    return "; ".join(said)


def stand(plan: Plan) -> str:
    """How far it is."""
    said = f"plan {plan.id} {plan.state}: {plan.done:,} of {plan.letters:,} done"
    if plan.refused:
        said += f", {plan.refused:,} refused"
    if plan.state == "running" and plan.canary_upto is not None and plan.done >= plan.canary_upto:
        said += ", waits for the ends of its canary"
    return said


def describe(plan: Plan) -> list[str]:
    """All about it, for a person."""
    draft = plan.draft
    lines = [headline(plan), f"made {iso(plan.at)} by {draft.by}: {draft.because}", stand(plan)]
    if plan.runner is not None:
        lines.append(f"run by {plan.runner}")
    elif plan.state == "running":
        lines.append("run by nobody just now: a worker takes it up within seconds")
    if plan.ended_by is not None:
        lines.append(f"stopped {iso(plan.ended_at)} by {plan.ended_by}: {plan.ended_because}")
        lines.append(how_to_resume(plan.id))
    return lines


def as_json(plan: Plan) -> dict[str, Any]:
    """A plan for programs, times in ISO 8601 (UTC)."""
    draft, selection = plan.draft, plan.draft.selection
    return {
        "plan": plan.id,
        "kind": draft.kind,
        "state": plan.state,
        "letters": plan.letters,
        "done": plan.done,
        "refused": plan.refused,
        "left": plan.left,
        "selection": {
            "words": selection.words(),
            "ids": selection.ids,
            "type": selection.type,
            "place": selection.place,
            "release": selection.release,
            "tenant": selection.tenant,
            "died_after": iso(selection.died_after),
            "died_before": iso(selection.died_before),
            "overtaken": selection.overtaken,
            "discarded": selection.discarded,
        },
        "by": draft.by,
        "because": draft.because,
        "at": iso(plan.at),
        "priority": None if draft.priority is None else draft.priority.label,
        "rate": draft.rate,
        "canary": draft.canary,
        "stop_above": draft.stop_above,
        "canary_upto": plan.canary_upto,
        "runner": plan.runner,
        "ended_by": plan.ended_by,
        "ended_because": plan.ended_because,
        "ended_at": iso(plan.ended_at),
    }


def _tell(plan: Plan, *, json: bool) -> None:
    if json:
        tell_json(as_json(plan))
    else:
        tell(stand(plan))
